"""``layercli validate``: files and folders, output formats, and ``--fix``."""

import json
import os
import subprocess
import time

import pytest

from layercli.workflows.autofix import compute_fixes
from layercli.workflows.config_files import map_files
from tests.running import CONFIGS, HANG_SECONDS, LAYERCLI, invoke

GOOD = "model:\n  input: [4]\n  layers:\n    - {type: Dense, units: 3}\n"
BAD = GOOD.replace("units", "unitz")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files = {
        "a/good.yaml": GOOD,
        "a/b/bad.yml": BAD,
        "a/base.yaml": "extends: ../good.yaml\n",
        "good.yaml": GOOD,
        "a/other.yaml": "services:\n  web: {model: x}\n",
        "a/list.yaml": "- 1\n",
        "a/.hidden/bad.yaml": BAD,
        "runs/x/1/config.yaml": BAD,
        "a/runs/1/config.yaml": BAD,
        "a/broken.yaml": "model: [\n",
        "empty/x.txt": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.usefixtures("folder")
def test_folder_checks_its_configs():
    result = invoke("validate", "a", "good.yaml", "a/good.yaml")
    assert result.exit_code == 1
    assert [line.split(":")[0] for line in result.stdout.splitlines() if "error:" in line] == [
        "a/broken.yaml",
        "a/b/bad.yml",
    ]
    assert result.stdout.splitlines()[-1] == (
        "5 files checked: 2 errors. Skipped 2 other YAML files (no `model` or `extends` key)."
    )


@pytest.mark.usefixtures("folder")
def test_named_file_is_always_checked():
    assert invoke("validate", "a/other.yaml").exit_code == 1


def test_sweep_file_is_checked_with_its_base(tmp_path):
    sweep = (CONFIGS / "sweeps" / "digits.yaml").read_text().replace("../", f"{CONFIGS}/")
    path = tmp_path / "sweep.yaml"
    path.write_text(sweep)
    assert json.loads(invoke("validate", path, "--json").stdout) == {"ok": True, "problems": []}
    path.write_text(sweep.replace("val_accuracy", "val_acuracy"))
    (problem,) = json.loads(invoke("validate", path, "--json").stdout)["problems"]
    assert (problem["code"], problem["line"]) == ("unknown-monitor", 7)
    assert compute_fixes(str(path))[1] == sweep


@pytest.mark.usefixtures("folder")
def test_folder_without_configs_is_an_error():
    document = json.loads(invoke("validate", "empty", "good.yaml", "--json").stdout)
    assert [(problem["code"], problem["file"]) for problem in document["problems"]] == [
        ("unreadable-file", "empty")
    ]


def test_many_files_are_checked_in_order_by_several_processes(folder, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    files = []
    for number in range(40):
        files.append(f"c{number}.yaml")
        (folder / files[-1]).write_text(BAD if number % 3 == 0 else GOOD)
    document = json.loads(invoke("validate", *files, "--json").stdout)
    assert [problem["file"] for problem in document["problems"]] == [
        f"c{number}.yaml" for number in range(0, 40, 3)
    ]
    (folder / "processes").mkdir()
    assert len(set(map_files(_meet_other_process, files, folder / "processes"))) == 2


def _meet_other_process(_, processes):
    """Return the process id as soon as a second process works on a file, too: else a fast one would take them all."""
    (processes / str(os.getpid())).touch()
    until = time.monotonic() + HANG_SECONDS
    while len(list(processes.iterdir())) < 2 and time.monotonic() < until:
        time.sleep(0.001)
    return os.getpid()


def test_github_annotations(folder):
    (folder / "odd,name.yaml").write_text(GOOD.replace("3}", "'100%'}"))
    lines = invoke("validate", "--format", "github", "odd,name.yaml", "good.yaml").stdout.splitlines()
    assert lines == [
        "::error file=odd%2Cname.yaml,line=4,col=28,title=layercli wrong-type::`units` must be a positive "
        'integer, got the string "100%25".%0Afix: For example `units: 64`.',
        "2 files checked: 1 error.",
    ]


def test_problems_after_the_first_20_are_shown_on_request(folder):
    layers = ["  - {type: Dense, units: '5'}"] * 23
    (folder / "many.yaml").write_text("\n".join(["model:", "  input: [4]", "  layers:", *layers, ""]))

    def count(*options):
        return invoke("validate", "many.yaml", *options).stdout.count("`units` must be")

    assert (count(), count("--all"), count("--format", "github")) == (20, 23, 23)
    some, every = (
        json.loads(invoke("validate", "many.yaml", "--json", *more).stdout) for more in ([], ["--all"])
    )
    assert (len(some["problems"]), some["problem_count"]) == (20, 23)
    assert (len(every["problems"]), every.get("problem_count")) == (23, None)


@pytest.mark.usefixtures("folder")
def test_json_option_equals_json_format():
    assert invoke("validate", "a", "--json").stdout == invoke("validate", "a", "--format", "json").stdout
    assert invoke("validate", "a", "--json", "--format", "json").exit_code == 1
    assert invoke("validate", "a", "--json", "--format", "github").exit_code == 2
    assert invoke("validate", "a", "--format", "xml").exit_code == 2


MENDED = {
    "a misspelt argument": ("{type: Dense, unitz: 3}  # keep", "{type: Dense, units: 3}  # keep"),
    "a misspelt type": ("Flaten", "Flatten"),
    "a misspelt activation": (
        "{type: Dense, units: 3, activation: 'sofmax'}",
        "{type: Dense, units: 3, activation: softmax}",
    ),
    "a number in quotes": ('{type: Dense, units: "3"}', "{type: Dense, units: 3}"),
    "a list or a number in quotes": (
        '{type: Conv1D, filters: 3, kernel_size: "2", use_bias: "true"}',
        "{type: Conv1D, filters: 3, kernel_size: 2, use_bias: true}",
    ),
    "a number with a point": ("{type: Dense, units: 3.0}", "{type: Dense, units: 3}"),
    "a word for a truth value": (
        "{type: Dense, units: 3, use_bias: no}",
        "{type: Dense, units: 3, use_bias: false}",
    ),
    "two on one line": ('{type: Dens, unitz: "3"}', "{type: Dense, units: 3}"),
    "a name of the wiring": (
        "{type: Dense, units: 3, inputs: inptu}",
        "{type: Dense, units: 3, inputs: input}",
    ),
}


@pytest.mark.parametrize(("wrong", "right"), MENDED.values(), ids=MENDED)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_fix_changes_only_the_reported_values(tmp_path, wrong, right, end):
    text = f"# é 𝄞\n\nmodel:\n  input: [4, 2]\n  layers:\n    - {wrong}\n".replace("\n", end)
    for mark in ("", "\ufeff"):
        path = tmp_path / "c.yaml"
        path.write_bytes((mark + text).encode())
        path.chmod(0o640)
        result = invoke("validate", "--fix", path)
        assert result.exit_code == 0, result.stdout
        assert path.read_bytes().decode() == mark + text.replace(wrong, right)
        assert path.stat().st_mode & 0o777 == 0o640
        assert f"+    - {right}" in result.stdout
        assert compute_fixes(str(path))[0] == compute_fixes(str(path))[1]


@pytest.mark.parametrize(
    "layer",
    [
        "{type: Dense, size: 3}",  # too far from any argument
        "{type: Dense, units: -3}",  # ambiguous
        "{type: Dense, units: 3, unitz: 4}",  # both spellings
    ],
)
def test_fix_skips_uncertain_values(tmp_path, layer):
    path = tmp_path / "c.yaml"
    path.write_text(GOOD.replace("{type: Dense, units: 3}", layer))
    before = path.read_text()
    result = invoke("validate", "--fix", path)
    assert result.exit_code == 1
    assert path.read_text() == before
    assert "(fixed)" not in result.stdout


def test_fix_corrects_key_with_invalid_value(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("model: {input: [4, 2], layers: [{type: LSTM, units: 3, return_sequence: 7}]}\n")
    assert "`return_sequences` must be true or false, got 7." in invoke("validate", "--fix", path).stdout


def test_fix_edits_variables_but_not_other_files(tmp_path):
    (tmp_path / "base.yaml").write_text(BAD)
    path = tmp_path / "c.yaml"
    path.write_text(
        'extends: base.yaml\nvars: {n: "7"}\nmodel: {layers: [{type: Dense, units: "${n}"}]}\ntrain: {loss: mse, epoch: 3}\n'
    )
    invoke("validate", "--fix", path)
    assert "n: 7}" in path.read_text()
    assert "epochs: 3" in path.read_text()
    path.write_text("extends: base.yaml\n")
    invoke("validate", "--fix", path)
    assert (tmp_path / "base.yaml").read_text() == BAD


@pytest.mark.usefixtures("folder")
def test_fix_requires_a_file():
    assert invoke("validate", "--fix", "-", stdin=GOOD).exit_code == 2
    assert invoke("validate", "--fix", "good.yaml", "--set", "seed=1").exit_code == 2


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_fix_keeps_valid_configs(path):
    before, after = compute_fixes(str(path))
    assert before == after != ""


def test_fix_never_makes_random_typos_worse(tmp_path):
    """Remove a letter from each word of a config in turn: the fix never adds errors."""
    text = (CONFIGS / "digits_cnn.yaml").read_text()
    path = tmp_path / "c.yaml"
    mended_count = 0
    for place in range(0, len(text), 11):
        if not text[place].isalpha():
            continue
        path.write_text(text[:place] + text[place + 1 :])
        before, after = compute_fixes(str(path))
        mended_count += after == text
        assert after in (before, text) or after.count("\n") == text.count("\n")
    assert mended_count >= 7


@pytest.mark.parametrize(("config", "code"), [("digits_dense.yaml", 0), ("../docs/broken.yaml", 1)])
def test_closed_pipe_keeps_exit_code(config, code):
    arguments = [LAYERCLI, "validate", CONFIGS / config]
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as closed:
        done = subprocess.run(arguments, stdout=closed, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (code, "")


def test_fix_of_a_sweep_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    base = "data: {type: sklearn, dataset: digits, split: {validation: 0.1}}\nmodel:\n  layers:\n"
    layers = "    - {type: Dense, units: 8}\n    - {type: Dense, units: 10, activation: softmax}\n"
    (tmp_path / "base.yaml").write_text(base + layers + "train: {loss: crossentropy, epochs: 2}\n")
    fixed = (
        "base: base.yaml\nspace:\n  train.epochs: {int: [1, 4]}\n  model.layers.dense.use_bias: {choice: [true, false]}\n"
        "objective: {metric: val_loss}\ntrials: 3  # few\nsampler: TPESampler\n"
    )
    wrong = fixed.replace("epochs", "epoch").replace("layers.d", "layer.d").replace("trials", "trial")
    (tmp_path / "sweep.yaml").write_text(wrong.replace("Sampler", "Samplr"))
    result = invoke("validate", "--fix", "sweep.yaml")
    assert (tmp_path / "sweep.yaml").read_text() == fixed
    assert "-trial: 3  # few\n" in result.stdout
    assert result.stdout.endswith("1 file checked: no problems.\n")
    assert (tmp_path / "base.yaml").read_text().startswith(base)
