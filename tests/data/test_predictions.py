import tracemalloc

import numpy as np
import pytest

from layercli.data.predictions import PREDICTION_WRITERS, escape_formula


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
