"""Rows of each split, counted by hand or drawn by NumPy itself."""

import numpy as np
import pytest

from layercli.config.data.section import SplitConfig
from layercli.data import split as module
from layercli.data.split import apportion_classes, count_labels_by_block, split_rows


def split(samples, *, strata=None, seed=7, shuffle=False, **sizes):
    strata = None if strata is None else np.array(strata)
    rows = split_rows(strata, samples, SplitConfig(**sizes), seed=seed, shuffle=shuffle)
    return [found.tolist() for found in rows]


@pytest.mark.parametrize("block_rows", [1, 3, 4, 10, 1 << 16])
def test_rows_are_consecutive_without_shuffle(monkeypatch, block_rows):
    monkeypatch.setattr(module, "BLOCK_ROWS", block_rows)
    assert split(10, validation=0.2, test=0.3) == [[0, 1, 2, 3, 4], [5, 6], [7, 8, 9]]
    assert split(3) == [[0, 1, 2], [], []]


@pytest.mark.parametrize("block_rows", [1, 3, 5, 1 << 16])
def test_each_class_is_split_in_proportion(monkeypatch, block_rows):
    monkeypatch.setattr(module, "BLOCK_ROWS", block_rows)
    strata = [0, 0, 0, 0, 1, 1, 1, 1]
    assert split(8, strata=strata, validation=2, test=2) == [[0, 1, 4, 5], [2, 6], [3, 7]]
    strata = [1, 0, 1, 0, 1, 0, 1, 0]
    assert split(8, strata=strata, validation=2, test=2) == [[0, 1, 2, 3], [4, 5], [6, 7]]


def test_shuffled_rows_are_those_of_numpy():
    order = np.random.default_rng([7, 0]).permutation(10).tolist()
    assert split(10, shuffle=True, validation=0.2, test=0.3) == [order[:5], order[5:7], order[7:]]


def test_every_block_contributes_in_proportion(monkeypatch):
    monkeypatch.setattr(module, "BLOCK_ROWS", 4)
    first, second, third = (
        (4 * block + np.random.default_rng([7, block]).permutation(rows)).tolist()
        for block, rows in enumerate((4, 4, 2))
    )
    train, validation, test = split(10, shuffle=True, validation=0.2, test=0.3)
    assert train == [*first[:2], *second[:2], third[0]]
    assert validation == [second[2], third[1]]
    assert test == [*first[2:], second[3]]


@pytest.mark.parametrize(
    ("totals", "count", "expected"),
    [
        ([60, 30, 10], 10, [6, 3, 1]),
        ([60, 30, 10], 5, [3, 2, 0]),
        ([60, 30, 10], 0, [0, 0, 0]),
        ([60, 30, 10], 100, [60, 30, 10]),
        ([4, 0, 4], 3, [2, 0, 1]),
        ([1, 1, 1], 2, [1, 1, 0]),
        ([0, 0], 0, [0, 0]),
    ],
)
def test_seats_of_classes_by_sainte_lague(totals, count, expected):
    assert apportion_classes(np.array(totals), count).tolist() == expected


def test_labels_are_counted_by_block(monkeypatch):
    monkeypatch.setattr(module, "BLOCK_ROWS", 3)
    counts = count_labels_by_block(np.array([0, 2, 2, 1, 0, 0, 2]), 4)
    assert counts.tolist() == [[1, 0, 2, 0], [2, 1, 0, 0], [0, 0, 1, 0]]
    assert count_labels_by_block(np.array([], dtype=int), 2).tolist() == [[0, 0]]


def test_a_block_has_65536_rows():
    assert module.BLOCK_ROWS == 65_536
