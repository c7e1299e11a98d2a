import tracemalloc

import numpy as np
import pytest

from layercli.data.predictions import PREDICTION_WRITERS, escape_formula


def test_an_npz_is_written_piece_by_piece_as_if_all_had_been_there_at_once(tmp_path):
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


def test_an_npz_never_holds_all_rows_in_memory(tmp_path):
    tracemalloc.start()
    PREDICTION_WRITERS[".npz"](tmp_path / "p.npz", ({"x": np.zeros((1000, 128))} for _ in range(60)))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 10 * 1000 * 128 * 8 < 60 * 1000 * 128 * 8


@pytest.mark.parametrize("text", ["=cmd|' /C calc'!A0", "+SUM(A1)", "-a", "@x", "\t=1", "\r=1"])
def test_a_text_that_a_spreadsheet_would_run_gets_a_quote_before_it(text):
    assert escape_formula(text) == f"'{text}"


@pytest.mark.parametrize("value", ["plain", "a=b", "-1.5", "+3", "", -2.5, 7, None])
def test_all_else_is_written_as_it_is(value):
    assert escape_formula(value) is value
