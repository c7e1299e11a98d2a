"""Line charts in a terminal, drawn with the dots of braille characters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

ChartPoint = tuple[float, float]
_DOT_BITS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
"""Bits of the dots in a braille character, by column and then from the top."""
_BLANK_BRAILLE = 0x2800
_MIN_LOGARITHMIC_RATIO = 50.0
"""Smallest ratio of highest to lowest value at which positive values get a logarithmic scale."""


@dataclass(frozen=True, slots=True)
class TerminalChart:
    """Rows of characters from the top, each with the index of its curve: the last one drawn there."""

    rows: list[list[tuple[str, int | None]]]
    low: float
    high: float


def draw_chart(curves: Sequence[Sequence[ChartPoint]], *, width: int, height: int) -> TerminalChart | None:
    """Return a chart of curves of points (x, y) in ``width`` by ``height`` characters; None if no point is finite."""
    curves = [[point for point in curve if math.isfinite(point[1])] for curve in curves]
    points = [point for curve in curves for point in curve]
    if not points:
        return None
    low, high = min(y for _, y in points), max(y for _, y in points)
    first, last = min(x for x, _ in points), max(x for x, _ in points)
    scale = math.log if low > 0 and high / low > _MIN_LOGARITHMIC_RATIO else float
    bottom, top = scale(low), scale(high)
    columns, lines = 2 * width, 4 * height

    def to_dot(point: ChartPoint) -> tuple[int, int]:
        x = (point[0] - first) / (last - first) if last > first else 0.0
        y = (scale(point[1]) - bottom) / (top - bottom) if top > bottom else 0.5
        return round(x * (columns - 1)), round((1 - y) * (lines - 1))

    masks = [[0] * width for _ in range(height)]
    owners: list[list[int | None]] = [[None] * width for _ in range(height)]
    for index, curve in enumerate(curves):
        dots = [to_dot(point) for point in curve]
        for x, y in _connect_dots(dots):
            masks[y // 4][x // 2] |= _DOT_BITS[x % 2][y % 4]
            owners[y // 4][x // 2] = index
    rows = [
        [
            (chr(_BLANK_BRAILLE + mask) if mask else " ", owner)
            for mask, owner in zip(line, owned, strict=True)
        ]
        for line, owned in zip(masks, owners, strict=True)
    ]
    return TerminalChart(rows, low, high)


def _connect_dots(dots: Sequence[tuple[int, int]]) -> set[tuple[int, int]]:
    """Return the dots and those on straight lines from each dot to the next."""
    connected = set(dots)
    for (x0, y0), (x1, y1) in pairwise(dots):
        steps = max(abs(x1 - x0), abs(y1 - y0))
        for step in range(1, steps):
            connected.add((round(x0 + (x1 - x0) * step / steps), round(y0 + (y1 - y0) * step / steps)))
    return connected
