"""Tables in memory: decoding that frees the table, and a split within its arrays."""

import numpy as np
import pyarrow as pa
import pytest

from layercli.config.data.section import SplitConfig
from layercli.data import row_moves
from layercli.data.tables import decode
from layercli.data.tables.decode import decode_and_free, decode_table, find_complete_rows
from layercli.data.tables.in_memory import TableExamples
from layercli.data.tables.plan import TablePlan, TargetPlan
from layercli.data.types import TENSOR_ALIGNMENT, make_aligned_array

ROWS = 1000
PLAN = TablePlan(
    {"numbers": ("a", "b"), "words": ("t",), "ids": ("i",)},
    frozenset({"t"}),
    {None: TargetPlan("y", 3)},
    weight_column="w",
    required_columns=("a", "y"),
    integer_dtypes={"ids": "int64"},
)


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(ROWS, 2))
    columns = {
        "a": pa.array(numbers[:, 0], mask=rng.random(ROWS) < 0.1),
        "b": pa.array(numbers[:, 1].astype(np.float32), mask=rng.random(ROWS) < 0.1),
        "t": pa.array([f"t{number % 7}" for number in range(ROWS)]),
        "i": pa.array(np.arange(ROWS) + (1 << 40)),
        "y": pa.array(rng.integers(0, 3, ROWS)),
        "w": pa.array(rng.random(ROWS)),
    }
    halves = [pa.table({name: column[part] for name, column in columns.items()}) for part in PARTS]
    return pa.concat_tables(halves)


PARTS = (slice(0, 300), slice(300, ROWS))


@pytest.mark.parametrize("rows", [1, 7, 64, 5000])
@pytest.mark.parametrize("is_filtered", [False, True])
def test_decoding_in_pieces_gives_the_same(table, rows, is_filtered, monkeypatch):
    monkeypatch.setattr(decode, "_FREED_ROWS", rows)
    monkeypatch.setattr(decode, "_RELEASED_BYTES", 100)
    mask = find_complete_rows(table, PLAN) if is_filtered else None
    expected = decode_table(table if mask is None else table.filter(mask), PLAN)
    held = [table]
    found = decode_and_free(held, PLAN, mask)
    assert held == []
    assert list(found.x) == ["numbers", "words", "ids"]
    for name, array in expected.inputs:
        assert found.x[name].dtype == array.dtype
        np.testing.assert_array_equal(found.x[name], array)
    np.testing.assert_array_equal(found.y, expected.y)
    np.testing.assert_array_equal(found.weights, expected.weights)
    assert found.columns == expected.columns
    assert len(found) == (ROWS if mask is None else mask.sum())


@pytest.mark.parametrize("stratify", [False, True])
@pytest.mark.parametrize("shuffle", [False, True])
def test_split_in_place_gives_the_same_sets(table, stratify, shuffle, monkeypatch):
    split = SplitConfig(validation=0.2, test=100, stratify=stratify)

    def split_table():
        found = decode_table(table, PLAN)
        arrays = (found.x, found.y, found.class_names, found.columns, found.weights)
        rows = TableExamples(*arrays, plan=PLAN, is_movable=True)
        return rows, rows.split(split, seed=3, shuffle=shuffle)

    _, expected = split_table()
    monkeypatch.setattr(row_moves, "_MIN_MOVED_BYTES", 0)
    rows, found = split_table()
    assert found.fingerprint() == expected.fingerprint()
    assert [len(subset) for subset in found.subsets] == [700, 200, 100]
    for subset in found.subsets:
        assert np.shares_memory(subset.x["numbers"], rows.x["numbers"])


@pytest.mark.parametrize("shape", [(3, 5), (7,)])
@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.uint8])
def test_aligned_arrays(shape, dtype):
    arrays = [make_aligned_array(shape, dtype) for _ in range(20)]
    assert {array.ctypes.data % TENSOR_ALIGNMENT for array in arrays} == {0}
    assert {(array.shape, array.dtype, array.flags.c_contiguous) for array in arrays} == {
        (shape, np.dtype(dtype), True)
    }
