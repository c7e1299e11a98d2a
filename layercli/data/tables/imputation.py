"""Replacement of missing numbers: exact medians and means of the training rows, in constant memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np

from layercli.data.examples import Examples
from layercli.data.tables.plan import TablePlan
from layercli.data.types import Array

BATCH_ROWS = 1 << 16
"""Rows to read at a time."""
_BIN_COUNT = 1 << 16
"""Number of values of one half of the bits of a float32 number."""

_STATISTICS = ("median", "mean")
_COLUMNS_PER_PASS = 512
"""Columns whose values are counted in one pass: up to 1.5 MiB each."""

VisitColumns: TypeAlias = Callable[[Callable[[str, Array], None]], None]
"""Call a function with each column and its finite values, some rows at a time."""


class LearnedValues(NamedTuple):
    """The values that inputs learn from the training rows."""

    fill_values: Mapping[str, float] = {}
    """Column -> replacement of missing numbers."""
    first_days: Mapping[str, float] = {}
    """Column of elapsed days -> the first training date, in days since the first day of the plan."""


def learn_inputs(read_batches: Callable[[], Iterable[Examples]], plan: TablePlan) -> LearnedValues:
    """Return what the training rows, which ``read_batches`` returns some at a time, determine about the inputs."""
    first_days = _learn_first_days(read_batches, plan)
    fill_values = learn_fill_values(read_batches, plan)
    shifted = {
        column: value - first_days.get(column, 0.0) if plan.fill_statistics[column] in _STATISTICS else value
        for column, value in fill_values.items()
    }
    return LearnedValues(shifted, first_days)


def compare_plans(before: TablePlan, after: TablePlan) -> LearnedValues:
    """Return what a plan learned from the training rows since it was ``before``."""
    return LearnedValues(
        {column: float(after.fill_values[column]) for column in before.fill_statistics},
        {name: after.dates[name].first_day - before.dates[name].first_day for name in before.elapsed_columns},
    )


def _learn_first_days(read_batches: Callable[[], Iterable[Examples]], plan: TablePlan) -> dict[str, float]:
    """Return the smallest number of each column of elapsed days; 0 if all are missing."""
    indices = {
        column: (name, index)
        for name, columns in plan.inputs.items()
        for index, column in enumerate(columns)
        if column in plan.elapsed_columns
    }
    smallest = dict.fromkeys(indices, np.inf)
    for batch in read_batches() if indices else ():
        arrays = dict(batch.inputs)
        for column, (name, index) in indices.items():
            values = arrays[name][..., index]
            smallest[column] = min(
                smallest[column], float(np.min(values, initial=np.inf, where=~np.isnan(values)))
            )
    return {column: value if np.isfinite(value) else 0.0 for column, value in smallest.items()}


def apply_learned(array: Array, plan: TablePlan, learned: LearnedValues, name: str | None) -> Array:
    """Return an input of shape (..., columns) with elapsed days from the first training date, and without missing numbers."""
    first_days = learned.first_days
    if array.dtype.kind == "f" and any(column in first_days for column in plan.inputs[name]):
        array = array - np.array(
            [first_days.get(column, 0.0) for column in plan.inputs[name]], dtype=np.float32
        )
    return fill_missing(array, plan, learned.fill_values, name)


def learn_fill_values(read_batches: Callable[[], Iterable[Examples]], plan: TablePlan) -> dict[str, float]:
    """Return the learned replacement of each column in ``plan.fill_statistics``; 0 if all of its values are missing.

    ``read_batches`` returns the training rows, some at a time; it is called once or twice for some hundred columns.
    """
    indices = {
        column: (name, index)
        for name, columns in plan.inputs.items()
        for index, column in enumerate(columns)
        if column in plan.fill_statistics
    }
    statistics = plan.fill_statistics
    learned = {
        column: float(statistics[column]) for column in indices if statistics[column] not in _STATISTICS
    }
    columns = [column for column in indices if column not in learned]
    for first in range(0, len(columns), _COLUMNS_PER_PASS):
        chosen = columns[first : first + _COLUMNS_PER_PASS]

        def visit_columns(visit: Callable[[str, Array], None], chosen: Sequence[str] = chosen) -> None:
            for batch in read_batches():
                arrays = dict(batch.inputs)
                for column in chosen:
                    name, index = indices[column]
                    values = arrays[name][..., index]
                    visit(column, values[np.isfinite(values)])

        learned |= _learn_statistics(
            {column: plan.fill_statistics[column] for column in chosen}, visit_columns
        )
    return learned


def fill_missing(array: Array, plan: TablePlan, fill_values: Mapping[str, float], name: str | None) -> Array:
    """Return an input of shape (..., columns) with missing numbers replaced by the values of their columns."""
    if array.dtype.kind != "f" or not fill_values:
        return array
    values = np.array([fill_values.get(column, np.nan) for column in plan.inputs[name]], dtype=np.float32)
    return np.where(np.isnan(array), values, array)


def _learn_statistics(statistics: Mapping[str, str], visit_columns: VisitColumns) -> dict[str, float]:
    totals = {column: [0.0, 0] for column, statistic in statistics.items() if statistic == "mean"}
    high_counts = {column: np.zeros(_BIN_COUNT, np.int64) for column in statistics if column not in totals}

    def add_values(column: str, values: Array) -> None:
        if column in totals:
            totals[column][0] += float(values.sum(dtype=np.float64))
            totals[column][1] += len(values)
        else:
            high_counts[column] += np.bincount(_to_sortable_bits(values) >> 16, minlength=_BIN_COUNT)

    visit_columns(add_values)
    means = {column: total / count if count else 0.0 for column, (total, count) in totals.items()}
    return means | (_compute_medians(high_counts, visit_columns) if high_counts else {})


def _compute_medians(high_counts: Mapping[str, Array], visit_columns: VisitColumns) -> dict[str, float]:
    """Return the median of each column, given the number of its values for each upper half of bits."""
    middles = {
        column: [_find_bin(counts, rank) for rank in ((total - 1) // 2, total // 2)]
        for column, counts in high_counts.items()
        if (total := int(counts.sum()))
    }
    low_counts = {
        (column, high): np.zeros(_BIN_COUNT, np.int64) for column, pair in middles.items() for high, _ in pair
    }

    def add_values(column: str, values: Array) -> None:
        bits = _to_sortable_bits(values)
        for high in {high for high, _ in middles.get(column, ())}:
            low_counts[column, high] += np.bincount(bits[bits >> 16 == high] & 0xFFFF, minlength=_BIN_COUNT)

    visit_columns(add_values)
    medians = dict.fromkeys(high_counts, 0.0)
    for column, pair in middles.items():
        values = [
            _from_sortable_bits(high << 16 | _find_bin(low_counts[column, high], rank)[0])
            for high, rank in pair
        ]
        medians[column] = sum(values) / 2
    return medians


def _find_bin(counts: Array, rank: int) -> tuple[int, int]:
    """Return the bin that contains the value of a rank, and the rank within that bin."""
    ends = np.cumsum(counts)
    chosen = int(np.searchsorted(ends, rank, side="right"))
    return chosen, rank - int(ends[chosen] - counts[chosen])


def _to_sortable_bits(values: Array) -> Array:
    """Return the bits of float32 numbers as uint32 in the same order as the numbers."""
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    return np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31))


def _from_sortable_bits(sortable_bits: int) -> float:
    bits = sortable_bits & 0x7FFFFFFF if sortable_bits >> 31 else ~sortable_bits & 0xFFFFFFFF
    return float(np.array(bits, dtype=np.uint32).view(np.float32))
