"""Assign rows to training, validation and test by index, in constant memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from layercli.config.data.section import SplitConfig
from layercli.data.types import Array

BLOCK_ROWS = 1 << 16
"""Rows that are split together; each block contributes proportionally to every split."""


@dataclass(frozen=True, slots=True)
class SplitPlan:
    """Assignment of rows to training, validation and test, with exact counts; the same for the same seed.

    With a seed, each block of rows is split at random; without a seed, the rows of a split are consecutive.
    """

    samples: int
    split_sizes: tuple[int, int, int]
    seed: int | None
    label_counts: Array | None = None
    """Rows of each class in each block, of shape (blocks, classes), if the split is stratified."""

    def assign_rows(self, block: int, labels: Array | None = None) -> Array:
        """Return the split (0, 1, 2) of each row of a block: uint8 of shape (rows,).

        A stratified split requires ``labels``, of shape (rows,).
        """
        order = self.order_rows(block)
        return _assign_splits(order, self._count_block_rows(block), labels)

    def order_rows(self, block: int) -> Array:
        """Return the order in which the rows of a block go to training, then validation, then test."""
        rows = self._block_size(block)
        if self.seed is None:
            return np.arange(rows)
        # For the first block this equals default_rng(seed).
        return np.random.default_rng([self.seed, block]).permutation(rows)

    def _block_size(self, block: int) -> int:
        return min(BLOCK_ROWS, self.samples - block * BLOCK_ROWS)

    def _count_block_rows(self, block: int) -> list[tuple[int, int]]:
        """Return the number of training and validation rows of each class, or of all rows if not stratified."""
        train, validation, _ = self.split_sizes
        is_random = self.seed is not None
        if self.label_counts is None:
            rows_before = block * BLOCK_ROWS
            return [
                _apportion_rows(
                    rows_before,
                    self._block_size(block),
                    self.samples,
                    train,
                    validation,
                    is_proportional=is_random,
                )
            ]
        totals = self.label_counts.sum(axis=0)
        before = self.label_counts[:block].sum(axis=0)
        class_train = apportion_classes(totals, train)
        class_validation = apportion_classes(totals, train + validation) - class_train
        return [
            _apportion_rows(*map(int, counts), is_proportional=is_random)
            for counts in zip(
                before, self.label_counts[block], totals, class_train, class_validation, strict=True
            )
        ]


def split_rows(
    strata: Array | None,
    samples: int,
    split: SplitConfig,
    *,
    seed: int,
    shuffle: bool,
    assigned: Array | None = None,
) -> list[Array]:
    """Return the indices of the training, validation and test rows; with ``strata``, each stratum in proportion.

    ``assigned`` of shape (samples,) is the split (0, 1, 2) of each row, if it does not follow from the sizes.
    """
    if assigned is not None:
        return [np.flatnonzero(assigned == index) for index in range(3)]
    labels = None if strata is None else count_labels_by_block(strata, int(strata.max(initial=0)) + 1)
    split_plan = SplitPlan(samples, split.counts(samples), seed if shuffle else None, labels)
    starts = range(0, samples, BLOCK_ROWS)
    orders, splits = [np.arange(0)], [np.arange(0)]
    for block, start in enumerate(starts):
        block_strata = None if strata is None else strata[start : start + BLOCK_ROWS]
        orders.append(start + split_plan.order_rows(block))
        splits.append(split_plan.assign_rows(block, block_strata))
    order = np.concatenate(orders)
    split_of = np.concatenate(splits)[order]
    return [order[split_of == index] for index in range(3)]


def _apportion_rows(
    rows_before: int, rows: int, total: int, train: int, validation: int, *, is_proportional: bool
) -> tuple[int, int]:
    """Return the numbers of training and validation rows among the ``rows`` rows that follow ``rows_before`` rows."""
    rows_after = rows_before + rows
    if not is_proportional:
        train_rows = max(0, min(train, rows_after) - rows_before)
        return train_rows, max(0, min(train + validation, rows_after) - rows_before) - train_rows
    train_before, train_after = rows_before * train // max(total, 1), rows_after * train // max(total, 1)
    rest = max(total - train, 1)
    validation_before = (rows_before - train_before) * validation // rest
    return train_after - train_before, (rows_after - train_after) * validation // rest - validation_before


def _assign_splits(order: Array, counts: Sequence[tuple[int, int]], labels: Array | None) -> Array:
    splits = np.full(len(order), 2, dtype=np.uint8)
    for label, (train, validation) in enumerate(counts):
        rows = order if labels is None else order[labels[order] == label]
        splits[rows[:train]] = 0
        splits[rows[train : train + validation]] = 1
    return splits


def apportion_classes(totals: Array, count: int) -> Array:
    """Return how many of ``count`` rows each class gets if the classes are spread evenly: int64 of shape (classes,)."""
    everything = int(totals.sum())
    if not everything:
        return np.zeros(len(totals), dtype=np.int64)
    apportioned = np.maximum(count * totals // everything - 1, 0).astype(np.int64)
    nonzero_totals = np.where(totals > 0, totals, np.nan)
    while apportioned.sum() < count:
        apportioned[np.nanargmin((apportioned + 0.5) / nonzero_totals)] += 1
    return np.asarray(apportioned)


def count_labels_by_block(labels: Array, classes: int) -> Array:
    """Return the number of rows of each class in each block: int64 of shape (blocks, classes)."""
    starts = range(0, max(len(labels), 1), BLOCK_ROWS)
    return np.stack([np.bincount(labels[start : start + BLOCK_ROWS], minlength=classes) for start in starts])
