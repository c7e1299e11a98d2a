"""``check`` reports located problems for any text and never raises."""

import io
import os
import re
import sys
import time
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from layercli.check import check_config
from layercli.layers.registry import LAYERS
from layercli.source.load import STDIN

CONFIGS = sorted(Path(__file__).parents[1].glob("configs/*.yaml"))
TEXTS = [path.read_text(encoding="utf-8") for path in CONFIGS]
PAGE = (Path(__file__).parents[1] / "docs" / "language.md").read_text(encoding="utf-8")
TEXTS += [text for text in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL) if "extends:" not in text]
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "75"))
"""Cases of each test; a long run by hand takes thousands, and others each time."""
SECONDS = 10.0
"""Processor time that no config of this size takes on a slow machine."""

_CODE = re.compile(r"[a-z]+(-[a-z0-9]+)*")
_LINE_END = re.compile("\r\n|[\n\r\x85\u2028\u2029]")

fuzz = settings(
    derandomize="FUZZ_EXAMPLES" not in os.environ,
    deadline=None,
    database=None,
    max_examples=EXAMPLES,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**12), 10**12),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(
        [
            "Dense",
            "Conv2D",
            "lstm",
            "Flatten",
            "relu",
            "adam",
            "mse",
            "accuracy",
            "digits",
            "sklearn",
            "x.py:X",
            "same",
            "channels_first",
            "EarlyStopping",
            "val_loss",
            "float16",
            "[/b]",
            "${a}",
            "${width}-${",
            "$${",
            "previous",
            "input",
            "dense:1",
            "c.yaml",
            "\x1b[1m",
            "../x",
            "a" * 300,
        ]
    ),
    st.sampled_from(
        [0, 1, -1, 2, 3, 10, 2**31, 10**400, 0.5, [], {}, [1, 2], [3, 3], [-1], [None, 4], [[1]]]
    ),
)
KEYS = st.one_of(
    st.sampled_from(
        [
            "type",
            "name",
            "units",
            "layers",
            "layer",
            "model",
            "input",
            "train",
            "loss",
            "data",
            "activation",
            "rate",
            "kernel_size",
            "filters",
            "callbacks",
            "metrics",
            "optimizer",
            "inputs",
            "repeat",
            "output_shape",
            "block",
            "blocks",
            "with",
            "reuse",
            "vars",
            "params",
            "extends",
            "<<",
            "outputs",
            "dtype",
        ]
    ),
    st.text(max_size=8),
)
DOCUMENTS = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=12,
)


def assert_answered(tmp_path, content):
    """Check the content as a file: every problem has a code, a message, and a place within the file."""
    path = tmp_path / "c.yaml"
    path.write_bytes(content)
    start = time.process_time()
    checked = check_config(str(path))
    assert time.process_time() - start < SECONDS
    lines = [len(line) for line in _LINE_END.split(content.decode("utf-8-sig", errors="replace"))]
    for problem in checked.problems:
        assert _CODE.fullmatch(problem.code), problem
        assert problem.message, problem
        assert problem.message[-1] in ".!", problem
        assert problem.hint is None or problem.hint[-1] in ".?", problem
        assert problem.file == str(path)
        assert 1 <= problem.line <= len(lines), problem
        # Columns may point one past the end; an invalid byte counts as one column.
        assert 1 <= problem.column <= lines[problem.line - 1] + 1 or problem.code == "not-utf8", problem
    assert checked.ok or checked.problems
    return checked


def test_the_configs_themselves_have_no_problems(tmp_path):
    for text in TEXTS:
        assert assert_answered(tmp_path, text.encode()).problems == []


@fuzz
@given(st.data())
def test_bytes_changed_at_random(tmp_path, data):
    content = bytearray(data.draw(st.sampled_from(TEXTS)).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(content)))
        end = data.draw(st.integers(start, min(start + 6, len(content))))
        piece = data.draw(
            st.one_of(st.binary(max_size=4), st.sampled_from([b"\t", b": ", b"- ", b"{", b"]", b"\r", b"'"]))
        )
        content[start:end] = piece
    assert_answered(tmp_path, bytes(content))


@fuzz
@given(st.data())
def test_lines_deleted_repeated_and_swapped(tmp_path, data):
    lines = data.draw(st.sampled_from(TEXTS)).split("\n")
    for _ in range(data.draw(st.integers(1, 5))):
        first, second = (data.draw(st.integers(0, len(lines) - 1)) for _ in range(2))
        match data.draw(st.sampled_from(["delete", "repeat", "swap", "indent"])):
            case "delete" if len(lines) > 1:
                del lines[first]
            case "repeat":
                lines.insert(second, lines[first])
            case "swap":
                lines[first], lines[second] = lines[second], lines[first]
            case "indent":
                lines[first] = data.draw(st.sampled_from(["", " ", "  ", "\t"])) + lines[first].lstrip()
    assert_answered(tmp_path, "\n".join(lines).encode())


@fuzz
@given(st.data())
def test_values_replaced_and_keys_renamed(tmp_path, data):
    document = yaml.safe_load(data.draw(st.sampled_from(TEXTS)))
    for _ in range(data.draw(st.integers(1, 3))):
        holder = document
        while True:
            steps = list(holder) if isinstance(holder, dict) else range(len(holder))
            step = data.draw(st.sampled_from(steps)) if steps else None
            if (
                step is None
                or not isinstance(holder[step], (dict, list))
                or data.draw(st.integers(0, 3)) == 0
            ):
                break
            holder = holder[step]
        if step is None:
            continue
        if isinstance(holder, dict) and data.draw(st.booleans()):
            holder[data.draw(KEYS)] = holder.pop(step)
        else:
            holder[step] = deepcopy(data.draw(DOCUMENTS))  # drawn values are shared
    assert_answered(tmp_path, _dump(document))


@fuzz
@given(DOCUMENTS)
def test_arbitrary_yaml(tmp_path, document):
    assert_answered(tmp_path, _dump(document))


@fuzz
@given(st.lists(st.dictionaries(KEYS, SCALARS, max_size=5), min_size=1, max_size=6), SCALARS)
def test_arbitrary_layers(tmp_path, layers, shape):
    assert_answered(tmp_path, _dump({"model": {"input": shape, "layers": layers}}))


SIZES = st.one_of(st.integers(1, 6), st.lists(st.integers(-1, 6), max_size=3), SCALARS)


@st.composite
def layers_of_the_catalogue(draw):
    name = draw(st.sampled_from(LAYERS.names))
    fields = LAYERS.load(name).model_fields
    layer = {"type": name}
    for key, field in fields.items():
        if field.is_required() or draw(st.integers(0, 5)) == 0:
            layer[key] = draw(st.one_of(st.sampled_from(field.examples), SIZES) if field.examples else SIZES)
    return layer


@fuzz
@given(
    st.lists(layers_of_the_catalogue(), min_size=1, max_size=4),
    st.lists(st.one_of(st.none(), st.integers(1, 9)), max_size=4),
)
def test_layers_of_the_catalogue_in_any_order(tmp_path, layers, shape):
    assert_answered(tmp_path, _dump({"model": {"input": shape, "layers": layers}}))


@fuzz
@given(content=st.one_of(st.binary(max_size=80), st.sampled_from(TEXTS).map(str.encode)))
def test_standard_input(monkeypatch, content):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content)))
    checked = check_config(STDIN)
    assert checked.file == "<stdin>"
    assert all(problem.file == "<stdin>" and _CODE.fullmatch(problem.code) for problem in checked.problems)


def _dump(document):
    return yaml.safe_dump(document, allow_unicode=True, sort_keys=False).encode("utf-8", errors="replace")
