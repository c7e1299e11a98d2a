"""A layered layout: boxes in rows below the boxes that feed them, few crossings, and columns for long stacks."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

_ROW_GAP, _COLUMN_GAP, _SIDE_GAP = 38.0, 76.0, 24.0
_BEND_GAP = 12.0
_MAX_COLUMN_HEIGHT = 900.0
"""Pixels from which a stack may continue in a second column."""
_ASPECT_RATIO = 1.5
"""Target ratio of width to height for a picture of several columns."""
_SWEEP_COUNT = 8
_MAX_CELLS, _MAX_CROSSINGS = 50_000, 2_000_000

Point = tuple[float, float]


@dataclass(slots=True)
class PlotLayout:
    """Positions of boxes (upper left corners) and routes of arrows."""

    box_positions: dict[str, Point]
    routes: dict[tuple[str, str], list[Point]]
    """Points of each arrow, from its source's lower edge to its target's upper edge."""
    column_changes: set[tuple[str, str]]
    """Arrows from one column to the next."""
    waypoints: dict[tuple[str, str], list[Point]] = field(default_factory=dict)
    """Points at which an arrow passes rows, for the frame around its block."""
    width: float = 0.0
    height: float = 0.0


@dataclass(slots=True)
class _Cell:
    """A box in its row, or the point at which an arrow passes the row."""

    key: str
    width: float
    height: float
    is_box: bool
    group: str | None = None
    x: float = 0.0
    above: list[_Cell] = field(default_factory=list)
    below: list[_Cell] = field(default_factory=list)


class PictureTooLargeError(Exception):
    """A model with too many arrows side by side for a picture."""


def layout_boxes(
    sizes: Mapping[str, Point], arrows: Sequence[tuple[str, str]], groups: Mapping[str, str | None]
) -> PlotLayout:
    """Return positions for boxes of these sizes (width, height), ordered so that none feeds an earlier one.

    ``groups`` names the frame around each box; columns break inside a frame only if necessary.
    """
    rank = _assign_rows(list(sizes), arrows)
    _check_size(rank, arrows)
    rows: list[list[_Cell]] = [[] for _ in range(max(rank.values(), default=0) + 1)]
    cells = {key: _Cell(key, width, height, True, groups[key]) for key, (width, height) in sizes.items()}
    for key, cell in cells.items():
        rows[rank[key]].append(cell)
    chains: dict[tuple[str, str], list[_Cell]] = {}
    for source, target in arrows:
        chain = [cells[source]]
        for row in range(rank[source] + 1, rank[target]):
            both = groups[source] if groups[source] == groups[target] else None
            passing = _Cell("", 10.0, 0.0, False, both)
            rows[row].append(passing)
            chain.append(passing)
        chain.append(cells[target])
        for one, other in pairwise(chain):
            one.below.append(other)
            other.above.append(one)
        chains[source, target] = chain
    _order_rows(rows)
    _place_boxes(rows)
    return _layout_columns(rows, chains)


def _check_size(rank: Mapping[str, int], arrows: Sequence[tuple[str, str]]) -> None:
    """Raise PictureTooLargeError before cells are made: one for each row that an arrow passes."""
    changes: dict[int, int] = defaultdict(int)
    for source, target in arrows:
        changes[rank[source]] += 1
        changes[rank[target]] -= 1
    lanes = cells = crossings = row = 0
    for at in sorted(changes):
        cells += lanes * (at - row)
        crossings += lanes * lanes * (at - row)
        lanes, row = lanes + changes[at], at
    if cells > _MAX_CELLS or crossings > _MAX_CROSSINGS:
        raise PictureTooLargeError


def _assign_rows(keys: Sequence[str], arrows: Sequence[tuple[str, str]]) -> dict[str, int]:
    """Return the row of each box: below all boxes that feed it; boxes without inputs directly above their targets."""
    above: dict[str, list[str]] = defaultdict(list)
    below: dict[str, list[str]] = defaultdict(list)
    for source, target in arrows:
        above[target].append(source)
        below[source].append(target)
    rank: dict[str, int] = {}
    for key in keys:
        rank[key] = 1 + max((rank[source] for source in above[key]), default=-1)
    for key in reversed(keys):
        if not above[key] and below[key]:
            rank[key] = min(rank[target] for target in below[key]) - 1
    return rank


def _order_rows(rows: list[list[_Cell]]) -> None:
    """Sort each row by the positions of its neighbors, downwards and upwards in turn, and keep the best order."""
    best, fewest = [list(row) for row in rows], _count_crossings(rows)
    for sweep in range(_SWEEP_COUNT):
        if not fewest:
            break
        downwards = sweep % 2 == 0
        for number in range(1, len(rows)):
            at = number if downwards else len(rows) - 1 - number
            fixed = rows[at - 1 if downwards else at + 1]
            position = {id(cell): index for index, cell in enumerate(fixed)}
            means = {}
            for index, cell in enumerate(rows[at]):
                near = [position[id(one)] for one in (cell.above if downwards else cell.below)]
                means[id(cell)] = sum(near) / len(near) if near else float(index)
            rows[at].sort(key=lambda cell: means[id(cell)])
        crossings = _count_crossings(rows)
        if crossings < fewest:
            best, fewest = [list(row) for row in rows], crossings
    rows[:] = best


def _count_crossings(rows: list[list[_Cell]]) -> int:
    count = 0
    for upper, lower in pairwise(rows):
        position = {id(cell): index for index, cell in enumerate(lower)}
        seen: list[int] = []
        for cell in upper:
            ends = sorted(position[id(one)] for one in cell.below)
            count += sum(end < other for end in ends for other in seen)
            seen += ends
    return count


def _place_boxes(rows: list[list[_Cell]]) -> None:
    """Center each box below its sources and above its targets as far as its neighbors allow."""
    for row in rows:
        _settle_row(row, [0.0] * len(row))
    for sweep in range(16):
        downwards = sweep % 2 == 0
        for row in rows if downwards else reversed(rows):
            targets = []
            for cell in row:
                near = cell.above if downwards else cell.below
                near = near or (cell.below if downwards else cell.above)
                if cell.is_box and any(one.is_box for one in near):
                    near = [
                        one for one in near if one.is_box
                    ]  # arrows bend around other boxes, boxes stay in line
                targets.append(sum(one.x for one in near) / len(near) if near else cell.x)
            _settle_row(row, targets)


def _settle_row(row: list[_Cell], targets: Sequence[float]) -> None:
    """Move the cells as close as possible to their targets, in order and without overlap.

    The squared distances are minimized; boxes have more weight than arrows.
    """
    offset, offsets = 0.0, []
    for index, cell in enumerate(row):
        if index:
            before = row[index - 1]
            gap = _SIDE_GAP if cell.is_box or before.is_box else _SIDE_GAP * 0.6
            gap += _SIDE_GAP if cell.group != before.group else 0.0
            offset += (before.width + cell.width) / 2 + gap
        offsets.append(offset)
    pools: list[tuple[float, float, int]] = []  # mean, weight, count
    for cell, want, moved in zip(row, targets, offsets, strict=True):
        weight = 1.0 if cell.is_box else 0.001
        pools.append((want - moved, weight, 1))
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (mean, heavy, count), (other, light, more) = pools[-2], pools[-1]
            pools[-2:] = [((mean * heavy + other * light) / (heavy + light), heavy + light, count + more)]
    means = [mean for mean, _, count in pools for _ in range(count)]
    for cell, mean, moved in zip(row, means, offsets, strict=True):
        cell.x = mean + moved


def _layout_columns(rows: list[list[_Cell]], chains: dict[tuple[str, str], list[_Cell]]) -> PlotLayout:
    """Place the rows below each other; a tall stack continues in a new column after a single arrow."""
    heights = [max((cell.height for cell in row), default=0.0) for row in rows]
    breaks = _find_column_breaks(rows, heights)
    boxes: dict[str, Point] = {}
    centers: dict[int, tuple[float, float, float]] = {}  # x, top and bottom of the row
    left = width = height = 0.0
    column_of: dict[int, int] = {}
    edges: list[float] = []
    for column, (start, stop) in enumerate(zip([0, *breaks], [*breaks, len(rows)], strict=True)):
        low = min(cell.x - cell.width / 2 for row in rows[start:stop] for cell in row)
        high = max(cell.x + cell.width / 2 for row in rows[start:stop] for cell in row)
        edges.append(left)
        top = 0.0
        for row, tall in zip(rows[start:stop], heights[start:stop], strict=True):
            for cell in row:
                x = cell.x - low + left
                y = top + (tall - cell.height) / 2
                centers[id(cell)] = (x, y, y + cell.height) if cell.is_box else (x, top, top + tall)
                column_of[id(cell)] = column
                if cell.is_box:
                    boxes[cell.key] = (x - cell.width / 2, y)
            top += tall + _ROW_GAP
        height = max(height, top - _ROW_GAP)
        left += high - low
        width = left
        left += _COLUMN_GAP
    layout = PlotLayout(boxes, {}, set(), width=width, height=height)
    ports = _find_ports(chains, centers)
    for arrow, chain in chains.items():
        points: list[Point] = []
        for index, (one, other) in enumerate(pairwise(chain)):
            (x, _, bottom), (to, top, _) = centers[id(one)], centers[id(other)]
            out = ports[arrow][0] if index == 0 else x
            into = ports[arrow][1] if index == len(chain) - 2 else to
            points.append((out, bottom))
            if column_of[id(one)] != column_of[id(other)]:
                gutter = edges[column_of[id(other)]] - _COLUMN_GAP / 2
                points += [
                    (out, bottom + _BEND_GAP),
                    (gutter, bottom + _BEND_GAP),
                    (gutter, top - _BEND_GAP),
                    (into, top - _BEND_GAP),
                ]
                layout.column_changes.add(arrow)
            points.append((into, top))
        layout.routes[arrow] = points
        layout.waypoints[arrow] = [
            (centers[id(cell)][0], y) for cell in chain[1:-1] for y in centers[id(cell)][1:]
        ]
    return layout


def _find_ports(
    chains: dict[tuple[str, str], list[_Cell]], centers: dict[int, tuple[float, float, float]]
) -> dict[tuple[str, str], Point]:
    """Return the x coordinates at which each arrow leaves and enters; arrows into one box enter it next to each other."""
    into: dict[int, list[tuple[float, tuple[str, str]]]] = defaultdict(list)
    for arrow, chain in chains.items():
        into[id(chain[-1])].append((centers[id(chain[-2])][0], arrow))
    ports: dict[tuple[str, str], Point] = {}
    for arrow, chain in chains.items():
        near = sorted(into[id(chain[-1])])
        direct = [index for index, (_, one) in enumerate(near) if len(chains[one]) == 2]
        # A single arrow from the row above stays straight, the others enter next to it.
        middle = direct[0] if len(direct) == 1 else (len(near) - 1) / 2
        index = [one for _, one in near].index(arrow)
        step = min(16.0, chain[-1].width * 0.7 / max(len(near), 1))
        ports[arrow] = (centers[id(chain[0])][0], centers[id(chain[-1])][0] + (index - middle) * step)
    return ports


def _find_column_breaks(rows: list[list[_Cell]], heights: Sequence[float]) -> list[int]:
    """Return the rows at which new columns begin."""
    tall = sum(heights) + _ROW_GAP * len(rows)
    wide = max((sum(cell.width + _SIDE_GAP for cell in row) for row in rows), default=1.0) + _COLUMN_GAP
    if tall <= _MAX_COLUMN_HEIGHT:
        return []
    columns = max(1, round(math.sqrt(_ASPECT_RATIO * tall / wide)))
    goal = max(tall / columns, _MAX_COLUMN_HEIGHT / 2)
    breaks: list[int] = []
    height = 0.0
    last = 0  # the last row at which a column may begin
    at_last = 0.0
    for index, row in enumerate(rows):
        before = rows[index - 1] if index else []
        if (
            len(before) == 1 and before[0].is_box and height > 0.35 * goal
        ):  # all arrows to the next rows start at one box
            cuts = before[0].group is not None and before[0].group == row[0].group
            if not cuts or height > 1.8 * goal:
                last, at_last = index, height
        height += heights[index] + _ROW_GAP
        if height > goal * 1.06 and last and (not breaks or last > breaks[-1]):
            breaks.append(last)
            height -= at_last
            last = 0
    return breaks[:-1] if breaks and height < 0.25 * goal else breaks
