"""What one pass over examples tells of them: ranges, what is missing or infinite and where, labels and their counts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import numpy as np

from layercli.data.examples import Array, DataError, Examples, Targets, iterate_batches
from layercli.data.labels import is_labels
from layercli.data.subset import Subset
from layercli.graph.finding import Finding

MAX_DISTINCT: Final = 10_000
"""Different values of a column that are told apart; of more nobody asks how many."""
_MAX_COLUMNS = 10_000
_MAX_LABELS = 100_000
_SAMPLE_COUNT = 3
_MAX_ERRORS = 100

ValueIndex: TypeAlias = tuple[int, ...]
"""The row of a number, from 0, and its indices behind that."""


@dataclass(slots=True)
class ArrayStatistics:
    """Of an array of shape (samples, ..., columns), each column; of one not made of columns, all numbers together."""

    columns: tuple[str, ...]
    """Names of the columns, where they have some."""
    shape: tuple[int, ...]
    """Of one example."""
    dtype: str
    """"text" for texts."""
    missing_counts: Array
    """int64 of shape (columns,), as the others: how many are missing, or are empty texts."""
    infinite_counts: Array
    minima: Array
    maxima: Array
    totals: Array
    row_count: int = 0
    first_missing: dict[int, ValueIndex] = field(default_factory=dict)
    """Of each column, the first place at which a number is missing."""
    first_infinite: dict[int, ValueIndex] = field(default_factory=dict)
    distinct_values: dict[int, set[Any]] = field(default_factory=dict)
    """Of each column that has one value an example, the different ones, as long as they are few."""
    sample_values: list[list[Any]] = field(default_factory=list)
    """Of the same columns, the first values."""

    @classmethod
    def for_array(cls, array: Array, columns: tuple[str, ...]) -> ArrayStatistics:
        """Of no examples yet, for arrays in the shape and dtype of ``array``."""
        has_columns = array.ndim > 1 and len(columns) == array.shape[-1]
        count = array.shape[-1] if has_columns or (array.ndim == 2 and array.shape[1] <= _MAX_COLUMNS) else 1
        new = cls(
            columns if has_columns else (),
            array.shape[1:],
            "text" if array.dtype.kind == "O" else array.dtype.name,
            missing_counts=np.zeros(count, np.int64),
            infinite_counts=np.zeros(count, np.int64),
            minima=np.full(count, np.inf),
            maxima=np.full(count, -np.inf),
            totals=np.zeros(count),
        )
        if array.ndim <= 2 and (has_columns or count == 1):
            new.distinct_values = {index: set() for index in range(count)}
            new.sample_values = [[] for _ in range(count)]
        return new

    @property
    def finite_counts(self) -> Array:
        """How many numbers of each column are neither missing nor infinite."""
        each = self.row_count * int(np.prod(self.shape)) // len(self.missing_counts)
        return each - self.missing_counts - self.infinite_counts

    def add(self, array: Array) -> None:
        """Take more examples into account: an array of shape (samples, ...)."""
        flat = array.reshape(-1, len(self.missing_counts))
        if self.dtype == "text":
            self.missing_counts += (flat == "").sum(axis=0)
        elif flat.size:
            below = above = summed = flat
            if array.dtype.kind == "f" and not (finite := np.isfinite(flat)).all():
                self._add_non_finite(np.isnan(flat), self.missing_counts, self.first_missing, array.shape)
                self._add_non_finite(np.isinf(flat), self.infinite_counts, self.first_infinite, array.shape)
                below, above, summed = (np.where(finite, flat, other) for other in (np.inf, -np.inf, 0))
            self.minima = np.minimum(self.minima, below.min(axis=0))
            self.maxima = np.maximum(self.maxima, above.max(axis=0))
            self.totals += summed.sum(axis=0, dtype=np.float64)
        for index, values in enumerate(self.sample_values):
            values += flat[: _SAMPLE_COUNT - len(values), index].tolist()
        for index, seen in list(self.distinct_values.items()):
            seen.update(
                flat[:, index].tolist() if self.dtype == "text" else _find_unique_values(flat[:, index])
            )
            if len(seen) > MAX_DISTINCT:
                del self.distinct_values[index]
        self.row_count += len(array)

    def _add_non_finite(
        self, is_wrong: Array, count: Array, first: dict[int, ValueIndex], shape: tuple[int, ...]
    ) -> None:
        count += is_wrong.sum(axis=0)
        for index in np.flatnonzero(is_wrong.any(axis=0)).tolist():
            if index not in first:
                number = int(is_wrong[:, index].argmax()) * len(count) + index
                row, *rest = (int(step) for step in np.unravel_index(number, shape))
                first[index] = (self.row_count + row, *rest)


@dataclass(slots=True)
class LabelCounts:
    """How often each label comes, and the first row, from 0, in which it does."""

    counts: dict[int, int] = field(default_factory=dict)
    first_rows: dict[int, int] = field(default_factory=dict)
    row_count: int = 0

    def add(self, labels: Array) -> None:
        """Take more labels into account: whole numbers of shape (samples,)."""
        found, places, counts = np.unique(labels, return_index=True, return_counts=True)
        for label, place, count in zip(found.tolist(), places.tolist(), counts.tolist(), strict=True):
            if label in self.counts or len(self.counts) < _MAX_LABELS:
                self.counts[label] = self.counts.get(label, 0) + count
                self.first_rows.setdefault(label, self.row_count + place)
        self.row_count += len(labels)


@dataclass(slots=True)
class Statistics:
    """Of each input and of each target by its name; None is the name of one alone."""

    inputs: dict[str | None, ArrayStatistics]
    targets: dict[str | None, ArrayStatistics]
    labels: dict[str | None, LabelCounts]
    """Of the targets that are labels."""


def compute_statistics(subset: Subset) -> Statistics:
    """One pass over a part, in memory that does not grow with it."""
    like = subset.empty_batch
    inputs = {
        name: ArrayStatistics.for_array(array, tuple(like.columns.get(name, ())))
        for name, array in like.inputs
    }
    targets = {name: ArrayStatistics.for_array(array, ()) for name, array in like.targets}
    labels = {name: LabelCounts() for name, array in like.targets if is_labels(array)}
    for batch in _iterate_readable_batches(subset):
        for name, array in batch.inputs:
            inputs[name].add(array)
        for name, array in batch.targets:
            targets[name].add(array)
            if name in labels:
                labels[name].add(array)
    return Statistics(inputs, targets, labels)


def _iterate_readable_batches(subset: Subset) -> Iterator[Examples]:
    """One pass that goes on behind a batch that cannot be read.

    Raises:
        RefusedDataError: with all that cannot be read, at the end.
    """
    findings: list[Finding] = []
    start = 0
    while True:
        try:
            for batch in iterate_batches(subset, start=start):
                yield batch
                start += 1
            break
        except DataError as error:
            findings += error.findings
            start += 1
            if len(findings) >= _MAX_ERRORS:
                break
    if findings:
        raise DataError(*findings)


def count_labels(subset: Subset) -> dict[str | None, LabelCounts]:
    """The labels of each target of a part that has some."""
    found = {name: LabelCounts() for name, array in subset.empty_batch.targets if is_labels(array)}
    for batch in subset.target_batches() if found else ():
        for name, array in _iterate_targets(batch):
            if name in found:
                found[name].add(array)
    return found


def _iterate_targets(targets: Targets) -> Iterator[tuple[str | None, Array]]:
    if isinstance(targets, Mapping):
        yield from targets.items()
    else:
        yield None, targets


def _find_unique_values(column: Array) -> list[Any]:
    found: list[Any] = np.unique(column[np.isfinite(column)] if column.dtype.kind == "f" else column).tolist()
    return found
