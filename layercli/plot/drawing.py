"""Boxes, frames and arrows with their positions and colors, drawn on any canvas."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal, NamedTuple, Protocol

from layercli.plot.layout import PlotLayout, Point, layout_boxes
from layercli.plot.picture import Box, Picture

Theme = Literal["light", "dark"]
Anchor = Literal["start", "end"]

ARROW_WIDTH: Final = 1.4
_MARGIN, _PADDING, _LINE_HEIGHT, _BOX_HEIGHT = 28.0, 12.0, 17.0, 46.0
_TITLE_SIZE, _SMALL_SIZE = 13.0, 11.0
_MIN_BOX_WIDTH = 132.0
_TEXT_GAP = 22.0
"""Smallest distance between two texts on one line of a box."""
_BOLD_FACTOR = 1.14
"""Width of a title in SVG, where it is bold, relative to normal weight."""
_CORNER_RADIUS = 8.0
"""Radius of an arrow's turn."""
_NARROW_CHARACTERS, _WIDE_CHARACTERS = "fijlrtI.,:;|!'()[] ", "mwMW@%"


@dataclass(frozen=True, slots=True)
class ThemeColors:
    """The colors of a theme."""

    background: str
    box: str
    edge: str
    text: str
    muted: str
    arrow: str
    frame: str
    families: dict[str, str]


_LIGHT_FAMILIES = {
    "input": "#64748b",
    "core": "#2563eb",
    "convolutional": "#7c3aed",
    "separable": "#7c3aed",
    "recurrent": "#0d9488",
    "conv_recurrent": "#0d9488",
    "attention": "#c026d3",
    "normalization": "#ca8a04",
    "regularization": "#94a3b8",
    "activations": "#ea580c",
    "pooling": "#16a34a",
    "merging": "#dc2626",
    "reshaping": "#64748b",
    "wrappers": "#0d9488",
    "preprocessing": "#0891b2",
    "block": "#4f46e5",
    "custom": "#be123c",
}
_DARK_FAMILIES = {
    "input": "#94a3b8",
    "core": "#60a5fa",
    "convolutional": "#a78bfa",
    "separable": "#a78bfa",
    "recurrent": "#2dd4bf",
    "conv_recurrent": "#2dd4bf",
    "attention": "#e879f9",
    "normalization": "#facc15",
    "regularization": "#64748b",
    "activations": "#fb923c",
    "pooling": "#4ade80",
    "merging": "#f87171",
    "reshaping": "#94a3b8",
    "wrappers": "#2dd4bf",
    "preprocessing": "#22d3ee",
    "block": "#818cf8",
    "custom": "#fb7185",
}
THEMES: Final[dict[Theme, ThemeColors]] = {
    "light": ThemeColors(
        "#ffffff", "#ffffff", "#cbd5e1", "#0f172a", "#64748b", "#94a3b8", "#f1f5f9", _LIGHT_FAMILIES
    ),
    "dark": ThemeColors(
        "#0b1120", "#172033", "#334155", "#e2e8f0", "#94a3b8", "#64748b", "#111a2e", _DARK_FAMILIES
    ),
}


class Canvas(Protocol):
    """A surface to draw on, in the units and coordinates of the drawing."""

    def draw_rectangle(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        radius: float,
        fill: str,
        edge: str | None = None,
        line_width: float = 1.0,
    ) -> None:
        """Draw a rounded rectangle, without a line around it if ``edge`` is None."""

    def draw_text(
        self,
        text: str,
        x: float,
        baseline: float,
        size: float,
        color: str,
        anchor: Anchor = "start",
        weight: int = 400,
    ) -> None:
        """Draw a text that starts or ends at ``x``."""

    def draw_arrow(self, pieces: list[list[Point]], color: str) -> None:
        """Draw connected lines (two points) and cubic Bézier curves (four points) with an arrowhead at the end."""


class _BoxText(NamedTuple):
    text: str
    x: float
    baseline: float
    size: float
    color: str
    anchor: Anchor = "start"
    weight: int = 400


class _Frame(NamedTuple):
    name: str
    x: float
    y: float
    width: float
    height: float


class Drawing:
    """The boxes and arrows of a picture with their positions, sizes and colors."""

    def __init__(self, picture: Picture, theme: Theme) -> None:
        self.colors = THEMES[theme]
        self._picture = picture
        self._sizes = {box.key: (_box_width(box), _box_height(box)) for box in picture.boxes}
        groups = {box.key: box.group for box in picture.boxes}
        self._layout = layout_boxes(self._sizes, picture.arrows, groups)
        self._frames = list(self._block_frames(groups))

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Left edge, top edge, width and height of everything with a margin around it."""
        layout = self._layout
        columns = [0.0, layout.width, *(x for route in layout.routes.values() for x, _ in route)]
        rows = [layout.height, *(y for route in layout.routes.values() for _, y in route)]
        left, top = min(columns) - _MARGIN, -_MARGIN
        return left, top, max(columns) + _MARGIN - left, max(rows) + _MARGIN - top

    @property
    def box_areas(self) -> dict[str, tuple[float, float, float, float]]:
        """Left edge, top edge, width and height of each box."""
        positions = self._layout.box_positions
        return {key: (*positions[key], *size) for key, size in self._sizes.items()}

    def draw(self, canvas: Canvas) -> None:
        """Draw the frames of blocks, then the arrows, then the boxes."""
        colors = self.colors
        for frame in self._frames:
            canvas.draw_rectangle(frame.x, frame.y, frame.width, frame.height, 10, colors.frame, colors.edge)
            baseline = frame.y + frame.height - 7
            canvas.draw_text(frame.name, frame.x + 10, baseline, _SMALL_SIZE, colors.muted)
        for arrow, points in self._layout.routes.items():
            pieces = _split_route(points, changes_column=arrow in self._layout.column_changes)
            canvas.draw_arrow(pieces, colors.arrow)
        for box in self._picture.boxes:
            self._draw_box(canvas, box)

    def _draw_box(self, canvas: Canvas, box: Box) -> None:
        colors = self.colors
        (x, y), (width, height) = self._layout.box_positions[box.key], self._sizes[box.key]
        family = colors.families.get(box.family, colors.families["preprocessing"])
        if box.family == "block" or box.repeat_count > 1:
            canvas.draw_rectangle(x + 4, y + 4, width, height, 7, colors.box, colors.edge)
        edge, line_width = (family, 2.0) if box.is_output else (colors.edge, 1.0)
        canvas.draw_rectangle(x, y, width, height, 7, colors.box, edge, line_width)
        canvas.draw_rectangle(x + 5, y + 8, 3.5, height - 16, 1.75, family)
        for text in self._box_texts(box):
            canvas.draw_text(*text)

    def _box_texts(self, box: Box) -> Iterator[_BoxText]:
        colors = self.colors
        (x, y), (width, _) = self._layout.box_positions[box.key], self._sizes[box.key]
        left, right = x + _PADDING + 4, x + width - _PADDING
        upper, lower = y + 19.5, y + 19.5 + _LINE_HEIGHT
        yield _BoxText(box.title, left, upper, _TITLE_SIZE, colors.text, weight=600)
        name_right = right
        if box.repeat_count > 1:
            count = f"{box.repeat_count}x"
            yield _BoxText(count, right, upper, _TITLE_SIZE, colors.families["block"], "end", 600)
            name_right -= 12 + estimate_text_width(count, _TITLE_SIZE)
        if box.name:
            yield _BoxText(box.name, name_right, upper, _SMALL_SIZE, colors.muted, "end")
        if box.details:
            yield _BoxText(box.details, left, lower, _SMALL_SIZE, colors.text)
            lower += _LINE_HEIGHT
        yield _BoxText(box.shape_text, left, lower, _SMALL_SIZE, colors.text)
        if box.parameters:
            yield _BoxText(box.parameters_text, right, lower, _SMALL_SIZE, colors.muted, "end")

    def _block_frames(self, groups: dict[str, str | None]) -> Iterator[_Frame]:
        """Yield a frame around the layers of each block, one in each column of the picture."""
        layout = self._layout
        corners: dict[tuple[str, int], list[Point]] = {}
        find_column = _make_column_finder(layout)
        for key, name in groups.items():
            if name is not None:
                (x, y), (width, height) = layout.box_positions[key], self._sizes[key]
                corners.setdefault((name, find_column(x)), []).extend([(x, y), (x + width, y + height)])
        for arrow, points in layout.waypoints.items():
            source, target = arrow
            name = groups[source]
            if name is not None and name == groups[target] and arrow not in layout.column_changes:
                for point in points:
                    corners.setdefault((name, find_column(point[0])), []).append(point)
        for (name, _), points in corners.items():
            left, top = (min(axis) for axis in zip(*points, strict=True))
            right, bottom = (max(axis) for axis in zip(*points, strict=True))
            width = max(right + 10, left + estimate_text_width(name, _SMALL_SIZE) + 6) - left + 10
            yield _Frame(name, left - 10, top - 10, width, bottom - top + 30)


def estimate_text_width(text: str, size: float) -> float:
    """Return the approximate width of a text in a common sans-serif font; too wide rather than too narrow."""
    return size * sum(map(_estimate_character_width, text))


def _estimate_character_width(char: str) -> float:
    if char in _NARROW_CHARACTERS:
        return 0.32
    if char in _WIDE_CHARACTERS:
        return 0.9
    return 0.68 if char.isupper() else 0.57


def _box_width(box: Box) -> float:
    upper_width = estimate_text_width(box.title, _TITLE_SIZE) * _BOLD_FACTOR
    if box.name:
        upper_width += _TEXT_GAP + estimate_text_width(box.name, _SMALL_SIZE)
    if box.repeat_count > 1:
        upper_width += 16 + estimate_text_width(f"{box.repeat_count}x", _TITLE_SIZE)
    lower_width = estimate_text_width(box.shape_text, _SMALL_SIZE)
    if box.parameters:
        lower_width += _TEXT_GAP + estimate_text_width(box.parameters_text, _SMALL_SIZE)
    widths = (upper_width, estimate_text_width(box.details, _SMALL_SIZE), lower_width)
    return max(_MIN_BOX_WIDTH, 2 * _PADDING + 6 + max(widths))


def _box_height(box: Box) -> float:
    return _BOX_HEIGHT + (_LINE_HEIGHT if box.details else 0.0)


def _make_column_finder(layout: PlotLayout) -> Callable[[float], int]:
    """Return a function from an x coordinate to the column of the picture, by the arrows between columns."""
    gutters = {layout.routes[arrow][2][0] for arrow in layout.column_changes if len(layout.routes[arrow]) > 3}
    return lambda x: sum(x > gutter for gutter in gutters)


def arrow_head(tip: Point) -> tuple[Point, Point, Point]:
    """Return the corners of an arrow's head that points down at ``tip``."""
    x, y = tip
    return (x - 4, y - 6), tip, (x + 4, y - 6)


def _split_route(points: list[Point], *, changes_column: bool) -> list[list[Point]]:
    """Return the lines (two points) and curves (four points) of an arrow; arrows between columns have round corners."""
    pieces: list[list[Point]] = []
    for index, (start, end) in enumerate(pairwise(points)):
        if start[0] != end[0] and (not changes_column or start[1] != end[1]):
            middle = (start[1] + end[1]) / 2
            pieces.append([start, (start[0], middle), (end[0], middle), end])
            continue
        if changes_column and index and _is_corner(points[index - 1], start, end):
            start = _point_toward(start, end)
        following = points[index + 2] if changes_column and index + 2 < len(points) else None
        if following is None or not _is_corner(points[index], end, following):
            pieces.append([start, end])
            continue
        bend_start = _point_toward(end, points[index])
        pieces.append([start, bend_start])
        pieces.append([bend_start, end, end, _point_toward(end, following)])
    return pieces


def _is_corner(before: Point, middle: Point, after: Point) -> bool:
    """Return whether a route along the axes turns at ``middle``."""
    is_level = (before[1] == middle[1], middle[1] == after[1])
    is_upright = (before[0] == middle[0], middle[0] == after[0])
    return is_level[0] != is_level[1] and is_upright[0] != is_upright[1]


def _point_toward(start: Point, end: Point) -> Point:
    """Return the point at the corner radius from ``start``, at most half way to ``end``."""
    length = abs(end[0] - start[0]) + abs(end[1] - start[1])
    share = min(_CORNER_RADIUS, length / 2) / length if length else 0.0
    return start[0] + (end[0] - start[0]) * share, start[1] + (end[1] - start[1]) * share
