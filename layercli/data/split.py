"""Which part each row belongs to: told by its place alone, so that nothing is held for all rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from layercli.data.examples import Array

BLOCK_ROWS = 1 << 16
"""Rows that are divided together: each block has its share of every part."""


@dataclass(frozen=True, slots=True)
class SplitPlan:
    """Rows divided into training, validation and test, with exact counts; the same way for the same seed.

    With a seed each block of rows is divided at random; without one the rows of a part follow one another.
    """

    samples: int
    split_sizes: tuple[int, int, int]
    seed: int | None
    label_counts: Array | None = None
    """Rows of each class in each block, of shape (blocks, classes), where each part has its share of every class."""

    def assign_rows(self, block: int, labels: Array | None = None) -> Array:
        """The part (0, 1, 2) of each row of a block, given the labels where classes are spread: uint8 of shape (rows,)."""
        rows = min(BLOCK_ROWS, self.samples - block * BLOCK_ROWS)
        return _assign_splits(self.order_rows(block), self._count_block_rows(block), labels, rows)

    def order_rows(self, block: int) -> Array:
        """The order in which rows of a block go to training, then to validation, then to test."""
        rows = min(BLOCK_ROWS, self.samples - block * BLOCK_ROWS)
        if self.seed is None:
            return np.arange(rows)
        # Of the first block this is the same as default_rng(seed).
        return np.random.default_rng([self.seed, block]).permutation(rows)

    def _count_block_rows(self, block: int) -> list[tuple[int, int]]:
        """How many rows of each class, or of all, are trained on and validated on."""
        start, rows = block * BLOCK_ROWS, min(BLOCK_ROWS, self.samples - block * BLOCK_ROWS)
        train, validation, _ = self.split_sizes
        if self.label_counts is None:
            return [
                _apportion_rows(
                    start, rows, self.samples, train, validation, is_proportional=self.seed is not None
                )
            ]
        totals = self.label_counts.sum(axis=0)
        before = self.label_counts[:block].sum(axis=0)
        trained = apportion_classes(totals, train)
        validated = apportion_classes(totals, train + validation) - trained
        return [
            _apportion_rows(*map(int, numbers), is_proportional=self.seed is not None)
            for numbers in zip(before, self.label_counts[block], totals, trained, validated, strict=True)
        ]


def _apportion_rows(
    rows_before: int, rows: int, total: int, train: int, validation: int, *, is_proportional: bool
) -> tuple[int, int]:
    """Of ``rows`` rows that follow ``before`` others, how many go to training and to validation."""
    rows_after = rows_before + rows
    if not is_proportional:
        trained = max(0, min(train, rows_after) - rows_before)
        return trained, max(0, min(train + validation, rows_after) - rows_before) - trained
    train_before, train_after = rows_before * train // max(total, 1), rows_after * train // max(total, 1)
    rest = max(total - train, 1)
    validation_before = (rows_before - train_before) * validation // rest
    return train_after - train_before, (rows_after - train_after) * validation // rest - validation_before


def _assign_splits(order: Array, counts: Sequence[tuple[int, int]], labels: Array | None, rows: int) -> Array:
    splits = np.full(rows, 2, dtype=np.uint8)
    for label, (train, validation) in enumerate(counts):
        own = order if labels is None else order[labels[order] == label]
        splits[own[:train]] = 0
        splits[own[train : train + validation]] = 1
    return splits


def apportion_classes(totals: Array, count: int) -> Array:
    """How many of each class are among the ``first``, where the classes are spread evenly: of shape (classes,)."""
    everything = int(totals.sum())
    if not everything:
        return np.zeros(len(totals), dtype=np.int64)
    apportioned = np.maximum(count * totals // everything - 1, 0).astype(np.int64)
    nonzero_totals = np.where(totals > 0, totals, np.nan)
    while apportioned.sum() < count:
        apportioned[np.nanargmin((apportioned + 0.5) / nonzero_totals)] += 1
    return np.asarray(apportioned)


def count_labels_by_block(labels: Array, classes: int) -> Array:
    """Rows of each class in each block: int64 of shape (blocks, classes)."""
    starts = range(0, max(len(labels), 1), BLOCK_ROWS)
    return np.stack([np.bincount(labels[start : start + BLOCK_ROWS], minlength=classes) for start in starts])
