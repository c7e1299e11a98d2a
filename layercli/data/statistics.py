"""Statistics of examples from one pass: ranges, missing and infinite values with their positions, and label counts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np

from layercli.config.data.section import TargetValues
from layercli.data.examples import Examples, Subset, iterate_batches
from layercli.data.labels import is_labels
from layercli.data.target_values import TargetValueCounter
from layercli.data.types import Array, DataError, iterate_named
from layercli.graph.finding import Finding
from layercli.graph.target_meaning import TargetMeaning
from layercli.source.nodes import sanitize_text

MAX_DISTINCT: Final = 10_000
"""Maximum number of distinct values that are counted for a column."""
_MAX_COLUMNS = 10_000
_MAX_LABELS = 100_000
_SAMPLE_COUNT = 3
_MAX_ERRORS = 100

ValueIndex: TypeAlias = tuple[int, ...]
"""The row of a number, from 0, followed by its other indices."""


@dataclass(slots=True)
class ArrayStatistics:
    """Statistics of an array of shape (samples, ..., columns): per column, or over all numbers if it has no columns."""

    columns: tuple[str, ...]
    """Names of the columns; empty if they have no names."""
    shape: tuple[int, ...]
    """Shape of one example."""
    dtype: str
    """Name of the dtype; "text" for text."""
    missing_counts: Array
    """Number of missing values or empty texts: int64 of shape (columns,), as the other arrays."""
    infinite_counts: Array
    minima: Array
    maxima: Array
    totals: Array
    row_count: int = 0
    first_missing: dict[int, ValueIndex] = field(default_factory=dict)
    """Column -> index of its first missing number."""
    first_infinite: dict[int, ValueIndex] = field(default_factory=dict)
    """Column -> index of its first infinite number."""
    distinct_values: dict[int, set[Any]] = field(default_factory=dict)
    """Column -> its distinct values, for columns with one value per example and at most ``MAX_DISTINCT`` distinct values."""
    sample_values: list[list[Any]] = field(default_factory=list)
    """First values of each column with one value per example."""

    @classmethod
    def for_array(cls, array: Array, columns: tuple[str, ...]) -> ArrayStatistics:
        """Return empty statistics for arrays with the shape and dtype of ``array``."""
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
        """Number of values of each column that are neither missing nor infinite."""
        each = self.row_count * int(np.prod(self.shape)) // len(self.missing_counts)
        return each - self.missing_counts - self.infinite_counts

    def add(self, array: Array) -> None:
        """Add examples: an array of shape (samples, ...)."""
        flat = array.reshape(-1, len(self.missing_counts))
        if self.dtype == "text":
            self.missing_counts += (flat == "").sum(axis=0)
        elif flat.size:
            finite_or_inf = finite_or_minus_inf = finite_or_zero = flat
            if array.dtype.kind == "f" and not (finite := np.isfinite(flat)).all():
                self._add_non_finite(np.isnan(flat), self.missing_counts, self.first_missing, array.shape)
                self._add_non_finite(np.isinf(flat), self.infinite_counts, self.first_infinite, array.shape)
                finite_or_inf, finite_or_minus_inf, finite_or_zero = (
                    np.where(finite, flat, other) for other in (np.inf, -np.inf, 0)
                )
            self.minima = np.minimum(self.minima, finite_or_inf.min(axis=0))
            self.maxima = np.maximum(self.maxima, finite_or_minus_inf.max(axis=0))
            self.totals += finite_or_zero.sum(axis=0, dtype=np.float64)
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
class IdExtremes:
    """The smallest, the largest and the first fractional finite value of an input, each with its index."""

    low: tuple[int | float, ValueIndex] | None = None
    high: tuple[int | float, ValueIndex] | None = None
    fraction: tuple[float, ValueIndex] | None = None
    row_count: int = 0

    def add(self, array: Array) -> None:
        """Add numbers: an array of shape (samples, ...)."""
        flat = array.reshape(-1)
        if flat.dtype.kind == "f" and not np.isfinite(flat).all():
            flat = np.where(np.isfinite(flat), flat, 0)
        if flat.size:
            low, high = int(flat.argmin()), int(flat.argmax())
            if self.low is None or flat[low] < self.low[0]:
                self.low = (flat[low].item(), self._make_value_index(low, array.shape))
            if self.high is None or flat[high] > self.high[0]:
                self.high = (flat[high].item(), self._make_value_index(high, array.shape))
            if self.fraction is None and flat.dtype.kind == "f":
                is_fraction = flat != np.floor(flat)
                if is_fraction.any():
                    first = int(is_fraction.argmax())
                    self.fraction = (flat[first].item(), self._make_value_index(first, array.shape))
        self.row_count += len(array)

    def _make_value_index(self, number: int, shape: tuple[int, ...]) -> ValueIndex:
        row, *rest = (int(step) for step in np.unravel_index(number, shape))
        return (self.row_count + row, *rest)


@dataclass(slots=True)
class LabelCounts:
    """Count and first row (from 0) of each label."""

    counts: dict[int, int] = field(default_factory=dict)
    first_rows: dict[int, int] = field(default_factory=dict)
    row_count: int = 0

    def add(self, labels: Array) -> None:
        """Add labels: integers of shape (values,)."""
        distinct_labels, first_rows, counts = np.unique(labels, return_index=True, return_counts=True)
        for label, first_row, count in zip(
            distinct_labels.astype(np.int64).tolist(), first_rows.tolist(), counts.tolist(), strict=True
        ):
            if label in self.counts or len(self.counts) < _MAX_LABELS:
                self.counts[label] = self.counts.get(label, 0) + count
                self.first_rows.setdefault(label, self.row_count + first_row)
        self.row_count += len(labels)


@dataclass(slots=True)
class WeightFaults:
    """The weights that are negative, missing or infinite."""

    count: int = 0
    first: tuple[int, float] | None = None
    """The row of the first one, from 0, and its value."""
    row_count: int = 0

    def add(self, weights: Array) -> None:
        """Add weights of shape (samples, ...)."""
        flat = weights.reshape(len(weights), -1)
        is_invalid = ~(np.isfinite(flat) & (flat >= 0))
        if is_invalid.any():
            row, column = (int(index[0]) for index in np.nonzero(is_invalid))
            self.first = self.first or (self.row_count + row, float(flat[row, column]))
            self.count += int(is_invalid.sum())
        self.row_count += len(weights)


@dataclass(slots=True)
class Statistics:
    """Statistics of each input and target by name; the name of a single one is None."""

    inputs: dict[str | None, ArrayStatistics]
    targets: dict[str | None, ArrayStatistics]
    target_values: dict[str | None, TargetValues | None]
    """The values of each target; None if there are no examples."""
    ids: dict[str | None, IdExtremes] = field(default_factory=dict)
    """The extremes of each numeric input, if they were requested."""
    weight_faults: WeightFaults = field(default_factory=WeightFaults)


def compute_statistics(subset: Subset, *, has_ids: bool = False) -> Statistics:
    """Return the statistics of a subset from one pass, in constant memory.

    ``has_ids`` adds the extremes of the inputs with their rows, for models that look ids up.

    Raises:
        DataError: some batches cannot be read; it reports all of them.
    """
    empty = subset.empty_batch
    inputs = {
        name: ArrayStatistics.for_array(array, tuple(empty.columns.get(name, ())))
        for name, array in empty.inputs
    }
    targets = {
        name: ArrayStatistics.for_array(array, empty.target_columns.get(name, ()))
        for name, array in empty.targets
    }
    counters = {name: TargetValueCounter() for name, _ in empty.targets}
    ids = {name: IdExtremes() for name, array in empty.inputs if has_ids and array.dtype.kind in "iuf"}
    weight_faults = WeightFaults()
    for batch in _iterate_readable_batches(subset):
        for name, array in batch.inputs:
            inputs[name].add(array)
            if name in ids:
                ids[name].add(array)
        for name, array in batch.targets:
            targets[name].add(array)
            counters[name].add(array)
        if batch.weights is not None:
            weight_faults.add(batch.weights)
    target_values = {
        name: _locate_values(counter.to_values(), subset.target_files) for name, counter in counters.items()
    }
    return Statistics(inputs, targets, target_values, ids, weight_faults)


def _locate_values(values: TargetValues | None, files: Sequence[Path]) -> TargetValues | None:
    """Return the values of a target with the first file of each; ``files`` are the targets of all examples."""
    if values is None or not files:
        return values
    first_rows = values.first_rows or {}
    return replace(
        values,
        first_files={value: sanitize_text(str(files[row])) for value, row in first_rows.items()},
    )


def _iterate_readable_batches(subset: Subset) -> Iterator[Examples]:
    """Yield all readable batches of one pass.

    Raises:
        DataError: some batches could not be read; raised at the end, with the findings of all of them.
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


def count_labels(
    subset: Subset, meanings: Mapping[str | None, TargetMeaning] | None = None
) -> dict[str | None, LabelCounts]:
    """Return the label counts of each target with one class for each example.

    With ``meanings`` also those of positions, and of targets with several labels: the examples that have each label.
    """
    counted = {
        name
        for name, array in subset.empty_batch.targets
        if is_labels(array) or _has_several_labels((meanings or {}).get(name))
    }
    counts_by_target = {name: LabelCounts() for name, _ in subset.empty_batch.targets if name in counted}
    for batch in subset.target_batches() if counted else ():
        for name, array in iterate_named(batch):
            if name not in counted:
                continue
            meaning = (meanings or {}).get(name)
            is_multi_label = meaning is not None and meaning.kind == "multi-label"
            counts_by_target[name].add(np.nonzero(array)[-1] if is_multi_label else array.ravel())
    return counts_by_target


def _has_several_labels(meaning: TargetMeaning | None) -> bool:
    return meaning is not None and (
        meaning.kind == "multi-label" or (meaning.kind in ("labels", "binary") and meaning.has_positions)
    )


def _find_unique_values(column: Array) -> list[Any]:
    found: list[Any] = np.unique(column[np.isfinite(column)] if column.dtype.kind == "f" else column).tolist()
    return found
