"""Which part each row belongs to: told by its place alone, so that nothing is held for all rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from layercli.data.examples import Array

BLOCK = 1 << 16
"""Rows that are divided together: each block has its share of every part."""


@dataclass(frozen=True, slots=True)
class Division:
    """Rows divided into training, validation and test, with exact counts; the same way for the same seed.

    With a seed each block of rows is divided at random; without one the rows of a part follow one another.
    """

    samples: int
    counts: tuple[int, int, int]
    seed: int | None
    labels: Array | None = None
    """Rows of each class in each block, of shape (blocks, classes), where each part has its share of every class."""

    def parts(self, block: int, labels: Array | None = None) -> Array:
        """The part (0, 1, 2) of each row of a block, given the labels where classes are spread: uint8 of shape (rows,)."""
        rows = min(BLOCK, self.samples - block * BLOCK)
        return _parts_of(self.order(block), self._shares(block), labels, rows)

    def order(self, block: int) -> Array:
        """The order in which rows of a block go to training, then to validation, then to test."""
        rows = min(BLOCK, self.samples - block * BLOCK)
        if self.seed is None:
            return np.arange(rows)
        # Of the first block this is the same as default_rng(seed).
        return np.random.default_rng([self.seed, block]).permutation(rows)

    def _shares(self, block: int) -> list[tuple[int, int]]:
        """How many rows of each class, or of all, are trained on and validated on."""
        start, rows = block * BLOCK, min(BLOCK, self.samples - block * BLOCK)
        train, validation, _ = self.counts
        if self.labels is None:
            return [_share(start, rows, self.samples, train, validation, spread=self.seed is not None)]
        totals = self.labels.sum(axis=0)
        before = self.labels[:block].sum(axis=0)
        trained = among_first(totals, train)
        validated = among_first(totals, train + validation) - trained
        return [
            _share(*map(int, numbers), spread=self.seed is not None)
            for numbers in zip(before, self.labels[block], totals, trained, validated, strict=True)
        ]


def _share(
    before: int, rows: int, total: int, train: int, validation: int, *, spread: bool
) -> tuple[int, int]:
    """Of ``rows`` rows that follow ``before`` others, how many go to training and to validation."""
    after = before + rows
    if not spread:
        trained = max(0, min(train, after) - before)
        return trained, max(0, min(train + validation, after) - before) - trained
    train_before, train_after = before * train // max(total, 1), after * train // max(total, 1)
    rest = max(total - train, 1)
    validation_before = (before - train_before) * validation // rest
    return train_after - train_before, (after - train_after) * validation // rest - validation_before


def _parts_of(order: Array, shares: Sequence[tuple[int, int]], labels: Array | None, rows: int) -> Array:
    parts = np.full(rows, 2, dtype=np.uint8)
    for label, (train, validation) in enumerate(shares):
        own = order if labels is None else order[labels[order] == label]
        parts[own[:train]] = 0
        parts[own[train : train + validation]] = 1
    return parts


def among_first(totals: Array, first: int) -> Array:
    """How many of each class are among the ``first``, where the classes are spread evenly: of shape (classes,)."""
    everything = int(totals.sum())
    if not everything:
        return np.zeros(len(totals), dtype=np.int64)
    taken = np.maximum(first * totals // everything - 1, 0).astype(np.int64)
    places = np.where(totals > 0, totals, np.nan)
    while taken.sum() < first:
        taken[np.nanargmin((taken + 0.5) / places)] += 1
    return np.asarray(taken)


def label_blocks(labels: Array, classes: int) -> Array:
    """Rows of each class in each block: int64 of shape (blocks, classes)."""
    starts = range(0, max(len(labels), 1), BLOCK)
    return np.stack([np.bincount(labels[start : start + BLOCK], minlength=classes) for start in starts])
