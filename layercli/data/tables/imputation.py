"""What is put in place of missing numbers: medians and means of the training rows, exact, in memory that stays small."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np

from layercli.data.examples import Array, Examples
from layercli.data.tables.plan import TablePlan

BATCH_ROWS = 1 << 16
"""Rows that are best looked at together."""
_BIN_COUNT = 1 << 16
"""How many values half of a number's bits have."""


def learn_fill_values(read_batches: Callable[[], Iterable[Examples]], plan: TablePlan) -> dict[str, float]:
    """The value of each column for which the plan has one learned; 0 where all of its values are missing.

    ``read`` gives the training rows, some at a time, as often as it is called.
    """
    positions = {
        column: (name, index)
        for name, columns in plan.inputs.items()
        for index, column in enumerate(columns)
        if column in plan.fill_statistics
    }
    if not positions:
        return {}

    def visit_columns(visit: Callable[[str, Array], None]) -> None:
        for batch in read_batches():
            arrays = dict(batch.inputs)
            for column, (name, index) in positions.items():
                values = arrays[name][..., index]
                visit(column, values[np.isfinite(values)])

    means = {column: [0.0, 0] for column in positions if plan.fill_statistics[column] == "mean"}
    highs = {column: np.zeros(_BIN_COUNT, np.int64) for column in positions if column not in means}

    def add_first_pass(column: str, values: Array) -> None:
        if column in means:
            means[column][0] += float(values.sum(dtype=np.float64))
            means[column][1] += len(values)
        else:
            highs[column] += np.bincount(_to_sortable_bits(values) >> 16, minlength=_BIN_COUNT)

    visit_columns(add_first_pass)
    found = {column: total / count if count else 0.0 for column, (total, count) in means.items()}
    return found | (_compute_medians(highs, visit_columns) if highs else {})


def _compute_medians(
    highs: Mapping[str, Array], visit_columns: Callable[[Callable[[str, Array], None]], None]
) -> dict[str, float]:
    """The median of each column, from how many of its values have each upper half of bits."""
    middles = {
        column: [_find_bin(counts, rank) for rank in ((total - 1) // 2, total // 2)]
        for column, counts in highs.items()
        if (total := int(counts.sum()))
    }
    lows = {
        (column, high): np.zeros(_BIN_COUNT, np.int64) for column, two in middles.items() for high, _ in two
    }

    def add_second_pass(column: str, values: Array) -> None:
        bits = _to_sortable_bits(values)
        for high in {high for high, _ in middles.get(column, ())}:
            lows[column, high] += np.bincount(bits[bits >> 16 == high] & 0xFFFF, minlength=_BIN_COUNT)

    visit_columns(add_second_pass)
    found = dict.fromkeys(highs, 0.0)
    for column, two in middles.items():
        values = [
            _from_sortable_bits(high << 16 | _find_bin(lows[column, high], rest)[0]) for high, rest in two
        ]
        found[column] = sum(values) / 2
    return found


def _find_bin(counts: Array, rank: int) -> tuple[int, int]:
    """The bin that holds the value of that rank, and its rank within the bin."""
    ends = np.cumsum(counts)
    chosen = int(np.searchsorted(ends, rank, side="right"))
    return chosen, rank - int(ends[chosen] - counts[chosen])


def _to_sortable_bits(values: Array) -> Array:
    """Bits of float32 numbers as uint32 that are in the order of the numbers."""
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    return np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31))


def _from_sortable_bits(sortable_bits: int) -> float:
    bits = sortable_bits & 0x7FFFFFFF if sortable_bits >> 31 else ~sortable_bits & 0xFFFFFFFF
    return float(np.array(bits, dtype=np.uint32).view(np.float32))
