"""jsonl data: types of values, inner objects, lines that are not objects, and new rows."""

import io
import json
from pathlib import Path

import numpy as np
import pytest

from layercli.config.data.section import DATA_TYPES, SplitConfig
from layercli.data.reader_state import ReaderState
from layercli.data.statistics import compute_statistics
from layercli.data.types import DataError
from layercli.formats.registry import iterate_new_rows, load_dataset, load_new_dataset, locate_row
from tests.formats.helpers import refusal

pytestmark = pytest.mark.usefixtures("cache")


def write(place, *rows, name="t.jsonl", **keys):
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    (place / name).write_text("\n".join(lines))
    return {"type": "jsonl", "path": str(place / name), "target": "y"} | keys


def numbers(place, *values, **keys):
    """Return the numbers of a column with these values."""
    rows = [{"v": value, "y": n} for n, value in enumerate(values)]
    return load_dataset(DATA_TYPES.parse(write(place, *rows, **keys))).x[:, 0].tolist()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((1, 2.5, -3), [1, 2.5, -3]),
        ((True, False, True), [1, 0, 1]),
        (("1", 2, "3.5"), [1, 2, 3.5]),
        ((1 << 70, 0), [float(1 << 70), 0]),
        (("yes", "no"), [1, 0]),
    ],
)
def test_values_of_a_column_are_numbers(place, values, expected):
    assert numbers(place, *values) == expected


def test_missing_values_are_null_nan_words_or_absent(place):
    rows = [
        {"v": 1, "y": 0},
        {"v": None, "y": 1},
        {"y": 2},
        {"v": float("nan"), "y": 3},
        {"v": "N/A", "y": 4},
    ]
    examples = load_dataset(DATA_TYPES.parse(write(place, *rows)))
    np.testing.assert_array_equal(examples.x[:, 0], [1, *[np.nan] * 4])


def test_inner_objects_are_columns(place):
    data = write(place, "\ufeff" + json.dumps({"a": {"b": {"c": 5}}, "y": 1}), "", {"a": {"b": {}}, "y": 2})
    examples = load_dataset(DATA_TYPES.parse(data | {"inputs": {"x": ["a.b.c"]}}))
    np.testing.assert_array_equal(examples.x["x"][:, 0], [5, np.nan])
    assert locate_row(DATA_TYPES.parse(data), 1).endswith("t.jsonl, line 3")


def test_lists_are_not_inputs(place):
    data = write(place, {"v": 1, "l": [1, 2], "y": 1}, {"v": 2, "l": "text", "y": 2})
    assert "`l`" in refusal(**data)[1]
    assert load_dataset(DATA_TYPES.parse(data | {"inputs": {"x": ["v"]}})).x["x"].tolist() == [[1], [2]]


def test_all_wrong_lines_are_reported_together(place):
    deep = '{"a":' * 20 + "1" + "}" * 20
    data = write(place, {"y": 1}, '{"a": 3,', "[1, 2]", '{"a": 1, "a"}', deep, "[" * 100_000)
    with pytest.raises(DataError) as caught:
        load_dataset(DATA_TYPES.parse(data))
    messages = [finding.message.partition("t.jsonl, ")[2] for finding in caught.value.findings]
    assert messages[0].startswith("line 2, column 9 is not JSON: ")
    assert messages[1] == "line 3: not a JSON object."
    assert messages[2].startswith("line 4, column 13 is not JSON: ")
    assert messages[3] == "line 5: objects are more than 8 levels deep."
    assert messages[4] == "line 6 has too many lists or objects inside of each other."


def test_first_text_among_numbers_is_located(place):
    data = write(place, *({"v": n, "y": n} for n in range(5)), {"v": "many", "y": 3})
    assert "t.jsonl, line 6" in refusal(**data)[1]


def test_bytes_that_are_not_text_are_refused_by_line(place):
    (place / "t.jsonl").write_bytes(
        '{"v": "é", "y": 1}\n'.encode() + '{"v": "é", "y": 1}\n'.encode("latin-1")
    )
    assert refusal(type="jsonl", path="t.jsonl", target="y")[1] == "t.jsonl, line 2 is not UTF-8."


def test_streamed_rows_equal_those_in_memory(place):
    data = write(place, *({"v": n, "w": n / 2, "y": n % 2} for n in range(50)))
    for stream in ("always", "never"):
        dataset = load_dataset(DATA_TYPES.parse(data | {"stream": stream}))
        assert compute_statistics(dataset).inputs[None].totals.tolist() == [1225, 612.5]


def test_new_lines_may_lack_names_that_other_lines_of_their_file_have(place):
    rows = [{"v": n, "in": {"w": n / 2}, "y": n % 2} for n in range(4)]
    section = DATA_TYPES.parse(write(place, *rows, inputs={"x": ["v", "in.w"]}, missing={"numbers": "zero"}))
    plan = load_dataset(section).table_plan
    write(place, {"v": 7, "in": {"w": 1}}, {"in": {"w": 3}}, "not JSON", name="new.jsonl")
    [found] = iterate_new_rows(section, [Path("new.jsonl")], plan, ())
    assert found.examples.x["x"].tolist() == [[7, 1], [0, 3]]
    assert [error is None for error in found.errors] == [True, True, False]
    # Another line may still bring the name of a stream, so that its absence is reported at once.
    [found] = iterate_new_rows(section, [io.BytesIO(b'{"in": {"w": 3}}\n')], plan, ())
    assert found.errors == ("it has no `v`",)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (r'{"x": "a\ud800b", "y": 1}', r"it has \ud800, which is half of a character"),
        (r'{"a": {"\uDC01": 1}, "y": 1}', r"it has \udc01, which is half of a character"),
        ('{"x": 1, "x": 2, "y": 1}', "it has several values of the name `x`"),
        ('{"a": {"b": 1}, "a.b": 2, "y": 1}', "it has several values of the name `a.b`"),
        ('{"a": {"b": 1, "b": 2}, "y": 1}', "it has several values of the name `b`"),
    ],
)
def test_lines_whose_values_would_be_lost_are_refused(place, line, problem):
    data = write(place, {"x": 3, "y": 0}, line)
    assert refusal(**data)[1] == f"{data['path']}, line 2: {problem}."


def test_escaped_pairs_and_equal_names_of_different_objects_are_read(place):
    data = write(place, r'{"a": {"v": 1}, "b": {"v": 2}, "t": "\ud83d\ude00 \\ud800", "y": 1}')
    examples = load_dataset(DATA_TYPES.parse(data | {"inputs": {"x": ["a.v", "b.v"], "t": "t"}}))
    np.testing.assert_array_equal(examples.x["x"], [[1, 2]])
    assert examples.x["t"].tolist() == [["\U0001f600 \\ud800"]]


@pytest.mark.parametrize("target", ["y", ["n", "y"]])
@pytest.mark.parametrize("stream", ["never", "always"])
def test_lists_are_not_targets(place, target, stream):
    data = write(place, *({"v": row, "n": row, "y": [row]} for row in range(3)), stream=stream)
    path, message = refusal(**data | {"target": target})
    assert path[:2] == ("data", "target")
    assert message == "The target `y` must contain numbers or text, got list<element: string>."


@pytest.mark.parametrize("stream", ["never", "always"])
@pytest.mark.parametrize(
    ("classes", "problem"),
    [
        (["a", "b"], "The column `y` must contain text, got list<element: string>."),
        ([True, False], "The column `y` must contain text, got list<element: string>."),
        ([10, 20], "`y` must contain classes as in training, got list<element: string> (`y`)."),
        ([0, 1], "`y` must contain numbers as in training, got list<element: string> (`y`)."),
    ],
)
def test_new_files_have_no_lists_as_targets(place, stream, classes, problem):
    rows = [{"v": number, "y": value} for number, value in enumerate(classes)]
    kind = "labels" if classes == [10, 20] else None
    data = DATA_TYPES.parse(write(place, *rows, stream=stream, target_type=kind))
    state = ReaderState.from_splits(load_dataset(data).split(SplitConfig(), seed=0, shuffle=False))
    new = write(place, {"v": 1, "y": ["a"]}, name="new.jsonl")["path"]
    with pytest.raises(DataError) as caught:
        load_new_dataset(data, [new], state, has_targets=True)
    assert [finding.message for finding in caught.value.findings] == [problem]
