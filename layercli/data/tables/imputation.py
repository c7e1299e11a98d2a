"""What is put in place of missing numbers: medians and means of the training rows, exact, in memory that stays small."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np

from layercli.data.examples import Array, Examples
from layercli.data.tables.plan import Plan

ROWS = 1 << 16
"""Rows that are best looked at together."""
_HALF = 1 << 16
"""How many values half of a number's bits have."""


def learned(read: Callable[[], Iterable[Examples]], plan: Plan) -> dict[str, float]:
    """The value of each column for which the plan has one learned; 0 where all of its values are missing.

    ``read`` gives the training rows, some at a time, as often as it is called.
    """
    places = {
        column: (name, index)
        for name, columns in plan.inputs.items()
        for index, column in enumerate(columns)
        if column in plan.learn
    }
    if not places:
        return {}

    def each(take: Callable[[str, Array], None]) -> None:
        for batch in read():
            arrays = dict(batch.arrays)
            for column, (name, index) in places.items():
                values = arrays[name][..., index]
                take(column, values[np.isfinite(values)])

    means = {column: [0.0, 0] for column in places if plan.learn[column] == "mean"}
    highs = {column: np.zeros(_HALF, np.int64) for column in places if column not in means}

    def first(column: str, values: Array) -> None:
        if column in means:
            means[column][0] += float(values.sum(dtype=np.float64))
            means[column][1] += len(values)
        else:
            highs[column] += np.bincount(_ordered(values) >> 16, minlength=_HALF)

    each(first)
    found = {column: total / count if count else 0.0 for column, (total, count) in means.items()}
    return found | (_medians(highs, each) if highs else {})


def _medians(
    highs: Mapping[str, Array], each: Callable[[Callable[[str, Array], None]], None]
) -> dict[str, float]:
    """The median of each column, from how many of its values have each upper half of bits."""
    middles = {
        column: [_bin(counts, rank) for rank in ((total - 1) // 2, total // 2)]
        for column, counts in highs.items()
        if (total := int(counts.sum()))
    }
    lows = {(column, high): np.zeros(_HALF, np.int64) for column, two in middles.items() for high, _ in two}

    def second(column: str, values: Array) -> None:
        bits = _ordered(values)
        for high in {high for high, _ in middles.get(column, ())}:
            lows[column, high] += np.bincount(bits[bits >> 16 == high] & 0xFFFF, minlength=_HALF)

    each(second)
    found = dict.fromkeys(highs, 0.0)
    for column, two in middles.items():
        values = [_number(high << 16 | _bin(lows[column, high], rest)[0]) for high, rest in two]
        found[column] = sum(values) / 2
    return found


def _bin(counts: Array, rank: int) -> tuple[int, int]:
    """The bin that holds the value of that rank, and its rank within the bin."""
    ends = np.cumsum(counts)
    chosen = int(np.searchsorted(ends, rank, side="right"))
    return chosen, rank - int(ends[chosen] - counts[chosen])


def _ordered(values: Array) -> Array:
    """Bits of float32 numbers as uint32 that are in the order of the numbers."""
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    return np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31))


def _number(ordered: int) -> float:
    bits = ordered & 0x7FFFFFFF if ordered >> 31 else ~ordered & 0xFFFFFFFF
    return float(np.array(bits, dtype=np.uint32).view(np.float32))
