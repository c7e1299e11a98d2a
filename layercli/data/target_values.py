"""The distinct values of a target, collected batch by batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from layercli.config.data.section import DataConfig, DataFacts, TargetFacts, TargetValues
from layercli.data.labels import MAX_CLASSES
from layercli.data.types import Array

_MAX_DISTINCT: Final = MAX_CLASSES
"""Maximum number of distinct values that are counted for a target."""
_MAX_TABLE_SIZE = 1 << 16
"""Maximum range of integers that are counted in a table instead of sorted."""


@dataclass(slots=True)
class TargetValueCounter:
    """Count of each distinct value of a target, and the first example that has it."""

    low: float = np.inf
    high: float = -np.inf
    is_integral: bool = True
    is_one_hot: bool = True
    is_complete: bool = True
    """False if there are too many distinct values to count them."""
    counts: dict[float, int] = field(default_factory=dict)
    first_rows: dict[float, int] = field(default_factory=dict)
    row_count: int = 0

    def add(self, array: Array) -> None:
        """Add the targets of some examples: numbers of shape (samples, ...)."""
        flat = array.ravel()
        is_finite = np.isfinite(flat) if array.dtype.kind == "f" else None
        numbers = flat if is_finite is None or is_finite.all() else flat[is_finite]
        if numbers.size:
            self.low = min(self.low, float(numbers.min()))
            self.high = max(self.high, float(numbers.max()))
            if self.is_integral and array.dtype.kind == "f":
                self.is_integral = bool((numbers == np.floor(numbers)).all())
        self.is_one_hot = self.is_one_hot and _is_one_hot(array)
        has_one_value = flat.size == len(array)
        if self.is_complete and (self.is_integral or has_one_value):
            self._count_values(flat, flat.size // max(1, len(array)))
        else:
            self.is_complete = False
        self.row_count += len(array)

    def _count_values(self, flat: Array, values_per_row: int) -> None:
        for value, count in zip(*_count_distinct_values(flat), strict=True):
            if value not in self.counts:
                if len(self.counts) == _MAX_DISTINCT:
                    self.is_complete = False
                    return
                self.first_rows[value] = self.row_count + int((flat == value).argmax()) // values_per_row
            self.counts[value] = self.counts.get(value, 0) + count

    def to_values(self) -> TargetValues | None:
        """Return the values of all examples so far; None if there are none."""
        if self.low > self.high:
            return None
        first_rows = {value: self.first_rows[value] for value in sorted(self.first_rows)}
        return TargetValues(
            self.low,
            self.high,
            self.is_integral,
            self.is_one_hot,
            first_rows if self.is_complete else None,
            self.counts if self.is_complete else {},
        )


def _is_one_hot(array: Array) -> bool:
    if array.ndim < 2 or array.shape[-1] < 2:
        return False
    is_one = array == 1
    return bool((is_one | (array == 0)).all() and (is_one.sum(axis=-1) == 1).all())


def _count_distinct_values(flat: Array) -> tuple[list[float], list[int]]:
    """Return the distinct finite values of an array of shape (values,), at most a few too many, and their counts."""
    if flat.dtype.kind == "f":
        flat = flat[np.isfinite(flat)]
    if not flat.size:
        return [], []
    low, high = flat.min(), flat.max()
    is_short_range = float(high) - float(low) < min(_MAX_TABLE_SIZE, flat.size)
    if is_short_range and (flat.dtype.kind in "iu" or (flat == np.floor(flat)).all()):
        counts = np.bincount(flat.astype(np.int64) - int(low))
        distinct = np.flatnonzero(counts) + int(low)
        counts = counts[counts > 0]
    else:
        distinct, counts = np.unique(flat, return_counts=True)
    kept = slice(_MAX_DISTINCT + 1)
    return distinct[kept].astype(float).tolist(), counts[kept].tolist()


def add_target_values(
    facts: DataFacts, values: Mapping[str | None, TargetValues | None], data: DataConfig
) -> DataFacts:
    """Return the facts of a data set with the values of its targets, and what its section declares about them.

    Integers from 0 without gaps are labels if the data does not say what they are.
    """
    targets: dict[str | None, TargetFacts] = {}
    for name, target in facts.named_targets.items():
        found = values.get(name)
        classes, kind = target.classes, target.kind or data.target_type_of(name)
        if classes is None and kind is None and found is not None and target.has_integers:
            classes = _count_label_range(found)
        targets[name] = TargetFacts(classes, target.shape, found, kind, has_integers=target.has_integers)
    return facts.with_targets(targets)


def _count_label_range(values: TargetValues) -> int | None:
    """Return the number of distinct values if they are the integers from 0 without gaps."""
    distinct = values.distinct
    is_label_range = distinct is not None and values.low == 0 and len(distinct) == values.high + 1
    return int(values.high) + 1 if is_label_range else None
