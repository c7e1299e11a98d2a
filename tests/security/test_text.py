"""Configs that are small but would take much time or memory."""

import errno
import io
import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest

from layercli.check import check_config
from layercli.config import layer_entries
from layercli.config.language import expand
from layercli.data.predictions import write_csv
from layercli.distribution.process_group import ProcessGroup
from layercli.graph import shapes
from layercli.layers.shapes import Tensor
from layercli.reports.console import print_json
from layercli.schema import strict_model
from layercli.sweep import plan
from layercli.workflows.predict import _TerminalText
from tests.running import HANG_SECONDS, LAYERCLI, invoke

MODEL = "model: {input: [4], layers: [Flatten]}\n"
SECONDS = 10.0
"""More than any of these takes on a slow and busy machine; unbounded, each took over 20 s, or gigabytes."""


def keys(prefix, count):
    return "{" + ", ".join(f"{prefix}{number}: 1" for number in range(count)) + "}"


def codes(text):
    start = time.process_time()
    found = {problem.code for problem in check_config("c.yaml", text=text).problems}
    assert time.process_time() - start < SECONDS
    return found


CHAIN = ", ".join(f"v{number}: '${{v{number - 1}}}'" for number in range(1, 10_000))
QUOTED = "'x${a}', "
DOUBLING = ", ".join(
    f"b{number}: {{layers: [{{block: b{number + 1}, inputs: [input, input]}}]}}" for number in range(45)
)

NAMED = f"{{input: [4], layers: [{{type: Dense, units: 1, name: {'a' * 60}, repeat: 3000}}]"
PATTERNS = "[" + ", ".join(f"'*{'?' * 200}{number}b'" for number in range(100)) + "]"
RANKS = "{" + ", ".join(f"'*{'?' * 200}{number}b': 1" for number in range(100)) + "}"
MAPPING = "{" + ", ".join(f"x{number}: input" for number in range(9000)) + "}"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (f"a: &a {keys('k', 16_000)}\nb: {{{'<<: *a, ' * 5000}}}\n{MODEL}", "too-many-nodes"),
        (f"a: &a {keys('k', 16_000)}\nb: {{<<: [{'*a, ' * 5000}]}}\n{MODEL}", "too-many-nodes"),
        (f"vars: {{a: {'b' * 9000}}}\nname: '{'${a}' * 200_000}'\n{MODEL}", "bad-reference"),
        (f"vars: {{a: {'b' * 9000}}}\nz: [{QUOTED * 50_000}]\n{MODEL}", "too-many-nodes"),
        (f"vars: {keys('var', 30_000)}\nz: '{'${vra}' * 50_000}'\n{MODEL}", "unknown-variable"),
        (
            f"blocks: {{{DOUBLING}, b45: {{layers: [Add]}}}}\n"
            "model: {input: [4], layers: [Flatten, {block: b0, inputs: [flatten, flatten]}]}\n",
            "out-of-range",
        ),
        (
            f"blocks: {{b0: {{layers: [{{block: b1, inputs: [{'input, ' * 20_000}]}}]}}, b1: {{layers: [Add]}}}}\n"
            "model: {input: [4], layers: [Flatten, {block: b0, inputs: [" + "flatten, " * 9_000 + "]}]}\n",
            "out-of-range",
        ),
        (
            f"blocks: {{b: {{layers: [{{type: Add, inputs: {MAPPING}}}]}}}}\n"
            "model: {input: [4], layers: [Flatten, {block: b, inputs: [" + "flatten, " * 9_000 + "]}]}\n",
            "out-of-range",
        ),
        (
            f"blocks: {{b: {{params: {keys('p', 20_000)}, layers: [Flatten]}}}}\n"
            "model: {input: [4], layers: [{block: b, repeat: 9999}]}\n",
            "out-of-range",
        ),
        (
            f"model: {{input: [4], layers: [{{type: Dense, units: 3, name: {'x' * 900_000}, repeat: 9000}}]}}\n",
            "out-of-range",
        ),
        (
            "model: {input: [8, 8, 1], layers: [{type: UpSampling2D, size: 2147483647, repeat: 200}]}\n",
            "shape-mismatch",
        ),
        (f"model: {{input: [{'2147483647, ' * 4}], layers: [Flatten]}}\n", "out-of-range"),
        (f"model: {NAMED}, freeze: {PATTERNS}}}\n", "bad-argument"),
        (f"model: {NAMED}, lora_rank: {RANKS}}}\n", "bad-argument"),
        (
            f"model: {NAMED}}}\ntrain: {{loss: mse, stages: [{{epochs: 1, freeze: {PATTERNS}}}]}}\n",
            "bad-argument",
        ),
    ],
    ids=[
        "merge keys",
        "lists of merges",
        "a long string",
        "many long strings",
        "unknown variables",
        "inputs that double",
        "inputs that multiply",
        "inputs that multiply in a mapping",
        "parameters of repeated blocks",
        "a long name",
        "overflowing sizes",
        "a huge input",
        "patterns to freeze",
        "patterns of ranks",
        "patterns of stages",
    ],
)
def test_work_is_counted_before_it_is_done(text, code):
    assert code in codes(text)


def test_malformed_layers_are_not_read_after_too_many_errors(monkeypatch):
    parsed = []

    def parse(arguments):
        parsed.append(arguments)
        return real_parse(arguments)

    real_parse = layer_entries._parse_layer
    monkeypatch.setattr(layer_entries, "_parse_layer", parse)
    text = f"model: {{input: [4], layers: [{'{type: Dense, units: 3, rates: 1}, ' * 9000}]}}\n"
    assert len(check_config("c.yaml", text=text).problems) == 5000
    assert len(parsed) == 5000


def test_sizes_after_an_error_do_not_grow():
    grown = Tensor((None, 2**70, 3), "float32")
    assert shapes._drop_huge_sizes(grown).shape == (None, None, 3)


def test_defaults_of_a_block_are_resolved_once(monkeypatch):
    resolved = []

    def substitute(node, *rest):
        resolved.append(node.value)
        return real_substitute(node, *rest)

    real_substitute = expand.substitute_variables
    monkeypatch.setattr(expand, "substitute_variables", substitute)
    text = "blocks: {b: {params: {u: 77}, layers: [{type: Dense, units: '${u}'}]}}\n"
    result = check_config("c.yaml", text=f"{text}model: {{input: [4], layers: [{'{block: b}, ' * 50}]}}\n")
    assert result.ok
    assert [entry.layer.units for entry in result.config.model.layers] == [77] * 50
    assert resolved.count(77) == 1


def test_chain_of_variables_keeps_short_explanations():
    result = check_config("c.yaml", text=f"vars: {{v0: x, {CHAIN}}}\nname: '${{v9999}}'\n{MODEL}")
    assert result.ok
    assert len(result.document.find(("name",)).via) == 1000


def test_many_errors_stop_the_search():
    result = check_config("c.yaml", text=f"z: [{'012, ' * 9000}]\n{MODEL}")
    assert len(result.problems) == 5000


def test_picture_of_many_lanes_is_refused(tmp_path):
    config = tmp_path / "c.yaml"
    config.write_text(
        "model: {input: [4], layers: [{type: Dense, units: 4, name: d}, "
        "{type: Add, inputs: [d, previous], repeat: 2500}]}\n"
    )
    result = invoke("build", config, "--plot", tmp_path / "m.svg", "--unfold")
    assert result.exit_code == 1
    assert "too many layers and connections for a picture" in result.output


def test_grid_of_a_huge_range_is_refused(tmp_path, iris):
    (tmp_path / "s.yaml").write_text(
        f"base: {iris}\nspace: {{train.epochs: {{int: [1, 2147483647]}}}}\nobjective: {{metric: val_accuracy}}\n"
        "sampler: GridSampler\n"
    )
    result = invoke("sweep", tmp_path / "s.yaml", "--json")
    assert result.exit_code == 1
    assert "more than 100,000" in result.output


@pytest.fixture
def swept(tmp_path, iris):
    def write(space):
        path = tmp_path / "s.yaml"
        path.write_text(f"base: {iris}\nspace:\n  {space}\nobjective: {{metric: val_accuracy}}\n")
        return str(path)

    return write


def test_probes_that_repeat_layers_are_few(swept, monkeypatch):
    checked = []

    def check(document):
        checked.append(document)
        return real_check(document)

    real_check = plan.check_document
    monkeypatch.setattr(plan, "check_document", check)
    monkeypatch.setattr(plan, "_MAX_PROBE_WORK", 3000)
    counts = ", ".join(str(500 + number) for number in range(200))
    plan.read_sweep_plan(swept(f"model.layers[0].repeat: {{choice: [{counts}]}}"))
    assert len(checked) == 1 + 6  # the base, and 3000 layers


def test_names_of_layers_are_listed_once_for_all_parameters(swept, monkeypatch):
    listed = []

    def name_entries(items):
        listed.append(items)
        return real_names(items)

    real_names = plan.name_entries
    monkeypatch.setattr(plan, "name_entries", name_entries)
    names = ("units: {choice: [8]}", "use_bias: {choice: [true]}", "trainable: {choice: [true]}")
    plan.read_sweep_plan(swept("\n  ".join(f"model.layers.dense.{name}" for name in names)))
    assert len(listed) == 1


def test_labels_of_a_choice_are_formatted_once(swept):
    opened, _ = plan.read_sweep_plan(swept("model.layers[0].units: {choice: [8, 9]}"))
    (parameter,) = opened.sweep.parameters.values()
    assert parameter.labels == ["8", "9"]
    assert parameter.labels is parameter.labels


@pytest.mark.parametrize("command", ["validate", "show", "inspect-data", "sweep"])
def test_command_does_not_wait_for_a_named_pipe(tmp_path, command):
    os.mkfifo(tmp_path / "c.yaml")
    result = invoke(command, tmp_path / "c.yaml")
    assert result.exit_code == 1
    assert "it is a pipe" in result.output


def test_pipe_of_the_shell_is_read(iris):
    command = f"{LAYERCLI} validate <(cat {iris}) && cat {iris} | {LAYERCLI} validate /dev/stdin"
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, timeout=HANG_SECONDS, check=False
    )
    assert done.stdout == "1 file checked: no problems.\n" * 2


def test_base_that_is_a_pipe_is_refused(tmp_path):
    os.mkfifo(tmp_path / "base.yaml")
    (tmp_path / "s.yaml").write_text(
        "base: base.yaml\nspace: {train.epochs: {int: [1, 2]}}\nobjective: {metric: loss}\n"
    )
    command = [LAYERCLI, "sweep", str(tmp_path / "s.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANG_SECONDS, check=False)
    assert done.returncode == 1
    assert "must be a regular file" in done.stderr


FULL_OUTPUT = """
import json, os, sys
from layercli.check import check_config
from layercli.cli import main

full = os.open("/dev/full", os.O_WRONLY)
for line in sys.stdin:
    sys.argv, error = json.loads(line)
    if process := os.fork():
        print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)
    else:
        os.dup2(full, 1)
        os.dup2(os.open(error, os.O_WRONLY | os.O_CREAT), 2)
        main()
        sys.exit()
"""
"""Runs each command in a fork of one process that has imported layercli, with a full output."""


@pytest.fixture(scope="module")
def forking_process():
    command = [sys.executable, "-c", FULL_OUTPUT]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.stdin.close()


@pytest.fixture
def run_with_full_output(forking_process, tmp_path):
    """Return a function that runs a command with a full output: its exit code and its errors."""

    def run_with_full_output(arguments):
        error = tmp_path / "error"
        forking_process.stdin.write(json.dumps((["layercli", *arguments], str(error))) + "\n")
        forking_process.stdin.flush()
        return int(forking_process.stdout.readline()), error.read_text()

    return run_with_full_output


class FullDisk(io.StringIO):
    def write(self, text):
        raise OSError(errno.ENOSPC, "No space left on device", text)


def test_full_output_of_a_group_is_remembered():
    group = ProcessGroup(["train", "c.yaml"], size=1, restarts=0)
    group._copy_output(io.StringIO("a line\n"), FullDisk(), 0)
    group._readers[0].join()
    assert group._output_error.errno == errno.ENOSPC


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the system has no /dev/full")
@pytest.mark.parametrize(
    "arguments",
    [
        "--version",
        "layers",
        "layers --json",
        "schema",
        "validate none.yaml",
        "show {config}",
        "diff {config} {config} --json",
        "inspect-shapes --static {config}",
        "inspect-data {config}",
        "runs {folder}",
    ],
)
def test_full_output_is_an_error_with_a_sentence(arguments, iris, run_with_full_output):
    arguments = arguments.format(config=iris, folder=iris.parent)
    code, error = run_with_full_output(arguments.split())
    assert code == 1
    assert "No space left on device" in error
    assert "Traceback" not in error


def test_closed_output_is_not_a_bug(iris):
    command = f"{LAYERCLI} show {iris} >&- 2>&-"
    assert subprocess.run(command, shell=True, check=False).returncode == 0


def test_json_escapes_control_characters(capsys):
    print_json({"name": "a\x1b[2J\x9b2J\x7fé"})
    assert capsys.readouterr().out == '{\n  "name": "a\\u001b[2J\\u009b2J\\u007fé"\n}\n'


def test_predictions_on_a_terminal_have_no_control_characters():
    written = io.StringIO()
    terminal = _TerminalText(written)
    assert write_csv(terminal, [{"row": np.array([1]), "class\x1b[2J": np.array(["\x9b2Ja"], object)}]) == 1
    terminal.flush()
    assert written.getvalue() == "row,class\ufffd[2J\n1,\ufffd2Ja\n"


def test_json_escapes_names_that_are_not_utf8(tmp_path):
    command = [str(LAYERCLI).encode(), b"validate", bytes(tmp_path) + b"/no\xff", b"--json"]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 1
    done.stdout.decode("utf-8")


def test_only_the_first_wrong_items_of_a_list_are_reported(monkeypatch):
    monkeypatch.setattr(strict_model, "_MAX_ERRORS", 3)
    layer = "{type: Discretization, bin_boundaries: [a, b, c, d, e]}"
    problems = check_config("c.yaml", text=f"model: {{input: [4], layers: [{layer}]}}\n").problems
    assert [problem.path for problem in problems] == [
        f"model.layers[0].bin_boundaries[{n}]" for n in range(3)
    ]


def test_excerpt_of_a_line_of_question_marks_takes_linear_time(tmp_path):
    (tmp_path / "c.yaml").write_text(f"name: '{'?' * 300_000}'\n")
    result = invoke("validate", str(tmp_path / "c.yaml"))
    assert result.exit_code == 1
    assert "`name` must be a folder name" in result.output
