import json
import tracemalloc

import numpy as np
import pytest
from pyarrow import parquet

from layercli.data import predictions
from layercli.data.predictions import PREDICTION_WRITERS, expand_steps
from layercli.io.csv_cells import escape_formula


def test_npz_from_chunks_equals_npz_of_whole_arrays(tmp_path):
    words = [["a", ""], ["longer", "é"], ["x" * 40]]
    numbers = [np.arange(len(part) * 6, dtype="float32").reshape(-1, 2, 3) for part in words]
    chunks = [
        {"word": np.array(part, dtype=object), "a/b": values}
        for part, values in zip(words, numbers, strict=True)
    ]
    assert PREDICTION_WRITERS[".npz"](tmp_path / "p.npz", chunks) == 5
    with np.load(tmp_path / "p.npz", allow_pickle=False) as found:
        assert found.files == ["word", "a/b"]
        np.testing.assert_array_equal(found["word"], np.array([word for part in words for word in part]))
        np.testing.assert_array_equal(found["a/b"], np.concatenate(numbers))
        assert found["a/b"].dtype == np.float32
    assert [path.name for path in tmp_path.iterdir()] == ["p.npz"]


def test_npz_writer_uses_constant_memory(tmp_path):
    tracemalloc.start()
    PREDICTION_WRITERS[".npz"](tmp_path / "p.npz", ({"x": np.zeros((1000, 128))} for _ in range(60)))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 10 * 1000 * 128 * 8 < 60 * 1000 * 128 * 8


@pytest.mark.parametrize("text", ["=cmd|' /C calc'!A0", "+SUM(A1)", "-a", "@x", "\t=1", "\r=1"])
def test_formulas_are_quoted(text):
    assert escape_formula(text) == f"'{text}"


@pytest.mark.parametrize("value", ["plain", "a=b", "-1.5", "+3", "", -2.5, 7, None])
def test_other_values_are_unchanged(value):
    assert escape_formula(value) is value


def test_each_step_has_a_row():
    chunk = {
        "row": np.array([7, 8]),
        "s": np.array(["a", "b"], dtype=object),
        "prediction": np.arange(4.0).reshape(2, 2),
        "wide": np.arange(8).reshape(2, 2, 2),
        "error": np.array([None, "x"], dtype=object),
    }
    found = expand_steps(chunk, 2, 3)
    assert list(found) == ["row", "s", "step", "prediction", "wide", "error"]
    assert {name: column.tolist() for name, column in found.items()} == {
        "row": [7, 7, 8, 8],
        "s": ["a", "a", "b", "b"],
        "step": [3, 4, 3, 4],
        "prediction": [0, 1, 2, 3],
        "wide": [[0, 1], [2, 3], [4, 5], [6, 7]],
        "error": [None, None, "x", "x"],
    }
    assert expand_steps(chunk, 3, 1) is chunk


def test_absent_values_in_every_format(tmp_path):
    absent = [False, True]
    chunks = [
        {
            "class": np.array(["a", None], dtype=object),
            "label": np.ma.MaskedArray([1, 0], mask=absent),
            "p": np.ma.MaskedArray(np.array([0.5, 0], np.float32), mask=absent),
            "grid": np.ma.MaskedArray(np.ones((2, 2)), mask=[[False, False], [True, True]]),
        }
    ]
    rows = [
        {"class": "a", "label": 1, "p": 0.5, "grid": [1, 1]},
        {"class": None, "label": None, "p": None, "grid": [None, None]},
    ]
    for suffix in (".csv", ".jsonl", ".parquet", ".npz"):
        assert PREDICTION_WRITERS[suffix](tmp_path / f"p{suffix}", chunks) == 2
    assert (tmp_path / "p.csv").read_text() == "class,label,p,grid_0,grid_1\na,1,0.5,1.0,1.0\n,,,,\n"
    assert [json.loads(line) for line in (tmp_path / "p.jsonl").read_text().splitlines()] == rows
    assert parquet.read_table(tmp_path / "p.parquet").to_pylist() == rows
    with np.load(tmp_path / "p.npz") as arrays:
        assert (arrays["class"].tolist(), arrays["label"].tolist()) == (["a", ""], [1, -1])
        np.testing.assert_array_equal(arrays["p"], [0.5, np.nan])


def test_parquet_rows_are_written_in_large_groups(tmp_path):
    chunks = [
        {"x": np.arange(first, first + 100), "e": np.array([None] * 100)} for first in range(0, 9000, 100)
    ]
    PREDICTION_WRITERS[".parquet"](tmp_path / "p.parquet", chunks)
    file = parquet.ParquetFile(tmp_path / "p.parquet")
    assert [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)] == [4100, 4100, 800]
    assert file.read()["x"].to_pylist() == list(range(9000))


def test_arrays_are_divided_into_columns_by_index(monkeypatch):
    monkeypatch.setattr(predictions, "MAX_CSV_COLUMNS", 4)
    found = predictions._flatten_columns({"a": np.array([1, 2]), "b": np.arange(8).reshape(2, 2, 2)})
    assert {name: values.tolist() for name, values in found.items()} == {
        "a": [1, 2],
        "b_0_0": [0, 4],
        "b_0_1": [1, 5],
        "b_1_0": [2, 6],
        "b_1_1": [3, 7],
    }
    with pytest.raises(ValueError, match="b has 5 numbers for each example, too many for a CSV file"):
        predictions._flatten_columns({"b": np.zeros((2, 5))})
