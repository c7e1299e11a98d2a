"""The functions of a script that make sequences of rows, run on rows whose sequences are counted by hand."""

import numpy as np
import pyarrow as pa
import pytest

from layercli.config.data.tables import WindowsConfig
from layercli.graph.target_meaning import TargetMeaning
from layercli.script.facts import ScriptFacts, ScriptTarget
from layercli.script.table_code import _write_filling
from layercli.script.window_code import write_make_windows, write_series, write_series_parts

SERIES = np.array([0, 0, 0, 0, 0, 1, 1, 1])
ROWS = np.arange(8)


@pytest.mark.parametrize(
    ("keys", "rows", "targets"),
    [
        ({"length": 3}, [[0, 1, 2], [1, 2, 3]], [3, 4]),
        ({"length": 2, "horizon": 2}, [[0, 1], [1, 2]], [3, 4]),
        ({"length": 2}, [[0, 1], [1, 2], [2, 3], [5, 6]], [2, 3, 4, 7]),
        ({"length": 3, "horizon": 0}, [[0, 1, 2], [1, 2, 3], [2, 3, 4], [5, 6, 7]], [2, 3, 4, 7]),
        ({"length": 2, "stride": 2}, [[0, 1], [2, 3], [5, 6]], [2, 4, 7]),
        ({"length": 2, "steps": 2}, [[0, 1], [1, 2]], [[2, 3], [3, 4]]),
        ({"length": 1, "horizon": 0}, [[row] for row in range(8)], list(range(8))),
    ],
)
def test_sequences_of_two_series(keys, rows, targets):
    windows = WindowsConfig(**keys)
    facts = ScriptFacts({None: ScriptTarget(TargetMeaning("numbers"))}, windows=windows)
    names = {"np": np}
    exec("\n".join(write_make_windows(windows, facts)), names)
    x, y = names["make_windows"](ROWS, ROWS, SERIES)
    assert (x.tolist(), y.tolist()) == (rows, targets)


def run_lines(lines, **names):
    names["np"] = np
    exec("if True:\n" + "\n".join(lines), names)
    return names


@pytest.mark.parametrize(
    ("by", "times", "series", "order"),
    [
        (None, None, [0, 0, 0, 0], [0, 1, 2, 3]),
        (None, [3, 1, 4, 2], [0, 0, 0, 0], [1, 3, 0, 2]),
        (["s"], None, [0, 0, 1, 1], [0, 2, 1, 3]),
        (["s"], [3, 1, 2, 0], [0, 0, 1, 1], [2, 0, 3, 1]),
        (["s", "t"], None, [0, 1, 2, 2], [0, 1, 2, 3]),
    ],
)
def test_rows_are_sorted_by_series_and_time(by, times, series, order):
    columns = {"s": ["b", "a", "b", "a"], "t": [1, 1, 1, 1], "row": [0, 1, 2, 3]}
    if by == ["s", "t"]:
        columns = {"s": ["b", "a", "a", "a"], "t": [1, 1, 2, 2], "row": [0, 1, 2, 3]}
    lines = [] if times is None else [f"    times = np.array({times})"]
    names = run_lines(write_series(WindowsConfig(length=2, by=by), lines), table=pa.table(columns))
    assert names["series"].tolist() == series
    assert names["table"]["row"].to_pylist() == order


def test_last_rows_of_each_series_are_the_test_set():
    names = run_lines(write_series_parts(("1", "len(rows) // 4")), series=np.array([0] * 8 + [1] * 4))
    assert [part.tolist() for part in names["parts"]] == [[0, 1, 2, 3, 4, 8, 9], [5, 10], [6, 7, 11]]


@pytest.mark.parametrize(
    ("policies", "filling"),
    [
        (["mean"], [2.0, 30.0, 5.0]),
        (["zero"], 0.0),
        ([-1], -1.0),
        (["median", "mean", 7.5], [1.0, 30.0, 7.5]),
        (["zero", "median", "mean"], [0.0, 10.0, 5.0]),
        ([1, "zero", 1], [1.0, 0.0, 1.0]),
        (["refuse", "mean", "mean"], [np.nan, 30.0, 5.0]),
    ],
)
def test_missing_numbers_are_filled_by_column(policies, filling):
    x = np.array([[1.0, 10.0, 5.0], [1.0, 70.0, np.nan], [4.0, 10.0, 5.0]])
    found = run_lines(_write_filling(policies, "x"), x=x)["filling"]
    np.testing.assert_array_equal(found, filling)
