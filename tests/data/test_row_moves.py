"""Rows are moved within large arrays that nobody else uses."""

import numpy as np
import pytest

from layercli.config.data.section import SplitConfig
from layercli.data import row_moves
from layercli.data.examples import Examples
from layercli.data.row_moves import move_rows, should_move_rows


@pytest.mark.parametrize("columns", [1, 3, 8, 20])
def test_rows_are_moved_in_place(columns):
    array = np.arange(50 * columns, dtype=np.float32).reshape(50, columns)
    order = np.random.default_rng(1).permutation(50)
    expected, before = array[order], array.ctypes.data
    move_rows(array, order)
    np.testing.assert_array_equal(array, expected)
    assert array.ctypes.data == before
    labels = np.arange(50)
    move_rows(labels, order)
    np.testing.assert_array_equal(labels, order)


def test_rows_without_a_place_stay():
    array = np.arange(6.0)
    move_rows(array, np.array([5, 0]))
    assert array.tolist() == [5.0, 0.0, 2.0, 3.0, 4.0, 5.0]


def test_only_separate_large_arrays_are_moved(monkeypatch):
    array, other = np.zeros((1 << 20, 8), np.float32), np.zeros((1 << 20, 8), np.float32)
    assert should_move_rows([array, other])
    assert not should_move_rows([array])
    monkeypatch.setattr(row_moves, "_MIN_MOVED_BYTES", 0)
    assert should_move_rows([array[:5]])
    assert not should_move_rows([array, array])
    assert not should_move_rows([array, array[5:]])
    assert not should_move_rows([np.asfortranarray(np.ones((3, 2)))])
    array.flags.writeable = False
    assert not should_move_rows([array])


@pytest.mark.parametrize("is_movable", [True, False])
def test_split_moves_rows_only_if_it_may(is_movable, monkeypatch):
    monkeypatch.setattr(row_moves, "_MIN_MOVED_BYTES", 0)
    x, y, weights = np.arange(20.0).reshape(10, 2), np.arange(10), np.arange(10.0)
    examples = Examples(x, y, weights=weights, is_movable=is_movable)
    splits = examples.split(SplitConfig(test=3), seed=1, shuffle=True)
    assert [len(subset) for subset in splits.subsets] == [7, 0, 3]
    assert sorted(np.concatenate([subset.y for subset in splits.subsets])) == list(range(10))
    for subset, rows in zip(splits.subsets, splits.rows, strict=True):
        np.testing.assert_array_equal(subset.x, np.stack([2.0 * subset.y, 2.0 * subset.y + 1], axis=1))
        assert subset.weights.tolist() == subset.y.tolist() == rows.tolist()
    assert np.shares_memory(splits.train.x, x) == is_movable
