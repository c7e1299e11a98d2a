"""The picture of a model as SVG, PNG or Mermaid text: drawn here, with nothing that is loaded from elsewhere."""

from __future__ import annotations

import io
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import Any, Final, Literal

from layercli.graph.shapes import ModelShapes
from layercli.plot.boxes import Box, Picture, build_picture
from layercli.plot.layout import PlotLayout, Point, layout_boxes

Theme = Literal["light", "dark"]
PLOT_SUFFIXES: Final = (".svg", ".png", ".mmd")

_MARGIN, _PADDING, _LINE_HEIGHT, _BOX_HEIGHT = 28.0, 12.0, 17.0, 46.0
_TITLE_SIZE, _SMALL_SIZE = 13.0, 11.0
_FONT = "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"
_BOLD_FACTOR = 1.14
"""How much wider titles are in SVG, where they are bold."""
_NARROW_CHARACTERS, _WIDE_CHARACTERS = "fijlrtI.,:;|!'()[] ", "mwMW@%"
_MAX_PIXELS = 60_000_000


@dataclass(frozen=True, slots=True)
class ThemeColours:
    """What a theme paints with."""

    background: str
    box: str
    edge: str
    text: str
    muted: str
    arrow: str
    frame: str
    families: dict[str, str]


_LIGHT_FAMILIES = {
    "input": "#64748b", "core": "#2563eb", "convolutional": "#7c3aed", "separable": "#7c3aed", "recurrent": "#0d9488",
    "conv_recurrent": "#0d9488", "attention": "#c026d3", "normalization": "#ca8a04", "regularization": "#94a3b8",
    "activations": "#ea580c", "pooling": "#16a34a", "merging": "#dc2626", "reshaping": "#64748b", "wrappers": "#0d9488",
    "preprocessing": "#0891b2", "block": "#4f46e5", "custom": "#be123c",
}  # fmt: skip
_DARK_FAMILIES = {
    "input": "#94a3b8", "core": "#60a5fa", "convolutional": "#a78bfa", "separable": "#a78bfa", "recurrent": "#2dd4bf",
    "conv_recurrent": "#2dd4bf", "attention": "#e879f9", "normalization": "#facc15", "regularization": "#64748b",
    "activations": "#fb923c", "pooling": "#4ade80", "merging": "#f87171", "reshaping": "#94a3b8", "wrappers": "#2dd4bf",
    "preprocessing": "#22d3ee", "block": "#818cf8", "custom": "#fb7185",
}  # fmt: skip
THEMES: Final[dict[Theme, ThemeColours]] = {
    "light": ThemeColours(
        "#ffffff", "#ffffff", "#cbd5e1", "#0f172a", "#64748b", "#94a3b8", "#f1f5f9", _LIGHT_FAMILIES
    ),
    "dark": ThemeColours(
        "#0b1120", "#172033", "#334155", "#e2e8f0", "#94a3b8", "#64748b", "#111a2e", _DARK_FAMILIES
    ),
}


def render_plot(
    shapes: ModelShapes, suffix: str, *, title: str, unfold: bool = False, theme: Theme = "light"
) -> bytes:
    """The picture of a model, as the content of a file of that suffix."""
    picture = build_picture(shapes, unfold=unfold)
    if suffix == ".mmd":
        return render_mermaid(picture, theme).encode()
    sizes = {box.key: (_box_width(box), _BOX_HEIGHT) for box in picture.boxes}
    layout = layout_boxes(sizes, picture.arrows, {box.key: box.group for box in picture.boxes})
    scene = PlotScene(picture, layout, sizes, THEMES[theme], title)
    return scene.to_svg().encode() if suffix == ".svg" else scene.to_png()


def estimate_text_width(text: str, size: float) -> float:
    """About how wide a text is in a common sans-serif; rather too wide than too narrow."""
    units = sum(
        0.32
        if char in _NARROW_CHARACTERS
        else 0.9
        if char in _WIDE_CHARACTERS
        else 0.68
        if char.isupper()
        else 0.57
        for char in text
    )
    return units * size


def _box_width(box: Box) -> float:
    gap = 22.0
    upper_width = estimate_text_width(box.title, _TITLE_SIZE) * _BOLD_FACTOR + (
        gap + estimate_text_width(box.name, _SMALL_SIZE) if box.name else 0
    )
    upper_width += (
        16 + estimate_text_width(f"{box.repeat_count}x", _TITLE_SIZE) if box.repeat_count > 1 else 0
    )
    lower_width = estimate_text_width(box.shape, _SMALL_SIZE) + (
        gap + estimate_text_width(box.parameters, _SMALL_SIZE) if box.parameters else 0
    )
    return max(132.0, 2 * _PADDING + 6 + max(upper_width, lower_width))


class PlotScene:
    """Boxes and arrows with their places, ready to be drawn."""

    def __init__(
        self,
        picture: Picture,
        layout: PlotLayout,
        sizes: dict[str, tuple[float, float]],
        colours: ThemeColours,
        title: str,
    ) -> None:
        self._picture, self._layout, self._sizes, self._colours = picture, layout, sizes, colours
        self._title = title
        points = [point for route in layout.routes.values() for point in route]
        self._left = min([0.0, *(x for x, _ in points)]) - _MARGIN
        self._top = -_MARGIN
        right = max([layout.width, *(x for x, _ in points)]) + _MARGIN
        bottom = max([layout.height, *(y for _, y in points)]) + _MARGIN
        self._size = (right - self._left, bottom - self._top)
        self._frames = list(self._block_frames())

    def _block_frames(self) -> Any:
        """The frame around the layers of each block, one in each column, with its name."""
        extents: dict[tuple[str, int], list[float]] = {}
        group = {box.key: box.group for box in self._picture.boxes}
        column = _make_column_finder(self._layout)
        for box in self._picture.boxes:
            if box.group is not None:
                (x, y), (width, height) = self._layout.box_positions[box.key], self._sizes[box.key]
                _extend_bounds(extents, (box.group, column(x)), x, y, x + width, y + height)
        for (source, target), points in self._layout.waypoints.items():
            name = group[source]
            if (
                name is not None
                and name == group[target]
                and (source, target) not in self._layout.column_changes
            ):
                for x, y in points:
                    _extend_bounds(extents, (name, column(x)), x, y, x, y)
        for (name, _), (x, y, right, bottom) in extents.items():
            yield (
                name,
                x - 10,
                y - 10,
                max(right + 10, x + estimate_text_width(name, _SMALL_SIZE) + 6) - x + 10,
                bottom - y + 30,
            )

    def to_svg(self) -> str:
        """The picture as SVG; every text is escaped, and nothing is loaded from elsewhere."""
        colours = self._colours
        width, height = self._size
        corner = f"{_format_coordinate(self._left)} {_format_coordinate(self._top)}"
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{corner} {_format_coordinate(width)} {_format_coordinate(height)}" '
            f'width="{_format_coordinate(width)}" height="{_format_coordinate(height)}" font-family="{_FONT}" role="img">',
            f"<title>{escape(self._title)}</title>",
            _svg_rectangle(self._left, self._top, width, height, 0, colours.background, "none"),
        ]
        for name, x, y, wide, tall in self._frames:
            parts.append(_svg_rectangle(x, y, wide, tall, 10, colours.frame, colours.edge))
            parts.append(_svg_text(name, x + 10, y + tall - 7, _SMALL_SIZE, colours.muted))
        for arrow, points in self._layout.routes.items():
            parts.append(
                f'<path d="{self._arrow_path(arrow, points)}" fill="none" stroke="{colours.arrow}" stroke-width="1.4"/>'
            )
            x, y = points[-1]
            parts.append(
                f'<path d="M{_format_coordinate(x - 4)} {_format_coordinate(y - 6)}L{_format_coordinate(x)} {_format_coordinate(y)}L{_format_coordinate(x + 4)} {_format_coordinate(y - 6)}Z" fill="{colours.arrow}"/>'
            )
        for box in self._picture.boxes:
            parts += self._box_svg(box)
        return "\n".join([*parts, "</svg>\n"])

    def _box_svg(self, box: Box) -> list[str]:
        colours = self._colours
        (x, y), (width, height) = self._layout.box_positions[box.key], self._sizes[box.key]
        family = colours.families.get(box.family, colours.families["preprocessing"])
        edge = family if box.is_output else colours.edge
        parts = []
        if box.family == "block" or box.repeat_count > 1:
            parts.append(_svg_rectangle(x + 4, y + 4, width, height, 7, colours.box, colours.edge))
        parts.append(_svg_rectangle(x, y, width, height, 7, colours.box, edge, 2.0 if box.is_output else 1.0))
        parts.append(
            f'<rect x="{_format_coordinate(x + 5)}" y="{_format_coordinate(y + 8)}" width="3.5" height="{_format_coordinate(height - 16)}" rx="1.75" fill="{family}"/>'
        )
        for text, at, baseline, size, colour, anchor, weight in self._box_texts(box):
            parts.append(_svg_text(text, at, baseline, size, colour, anchor=anchor, weight=weight))
        return parts

    def _box_texts(self, box: Box) -> Any:
        """Text, x, baseline, size, colour, anchor and weight."""
        colours = self._colours
        (x, y), (width, _) = self._layout.box_positions[box.key], self._sizes[box.key]
        left, right = x + _PADDING + 4, x + width - _PADDING
        upper, lower = y + 19.5, y + 19.5 + _LINE_HEIGHT
        yield box.title, left, upper, _TITLE_SIZE, colours.text, "start", 600
        if box.repeat_count > 1:
            yield f"{box.repeat_count}x", right, upper, _TITLE_SIZE, colours.families["block"], "end", 600
            right -= 12 + estimate_text_width(f"{box.repeat_count}x", _TITLE_SIZE)
        if box.name:
            yield box.name, right, upper, _SMALL_SIZE, colours.muted, "end", 400
        yield box.shape, left, lower, _SMALL_SIZE, colours.text, "start", 400
        if box.parameters:
            yield box.parameters, x + width - _PADDING, lower, _SMALL_SIZE, colours.muted, "end", 400

    def _arrow_path(self, arrow: tuple[str, str], points: list[Point]) -> str:
        """The way of an arrow: curves from row to row; round corners where it turns to another column."""
        path = f"M{_format_coordinate(points[0][0])} {_format_coordinate(points[0][1])}"
        return path + "".join(
            f"C{' '.join(f'{_format_coordinate(x)} {_format_coordinate(y)}' for x, y in piece[1:])}"
            if len(piece) == 4
            else f"L{_format_coordinate(piece[1][0])} {_format_coordinate(piece[1][1])}"
            for piece in _split_route(points, changes_column=arrow in self._layout.column_changes)
        )

    def to_png(self) -> bytes:
        """The picture as PNG, two pixels to a unit where that is not too many."""
        from PIL import Image, ImageDraw, ImageFont

        width, height = self._size
        scale = min(2.0, (_MAX_PIXELS / (width * height)) ** 0.5)
        colours = self._colours
        image = Image.new(
            "RGB", (max(1, round(width * scale)), max(1, round(height * scale))), colours.background
        )
        draw = ImageDraw.Draw(image)
        fonts = {size: ImageFont.load_default(size * scale) for size in (_TITLE_SIZE, _SMALL_SIZE)}

        def to_pixel(x: float, y: float) -> Point:
            return (x - self._left) * scale, (y - self._top) * scale

        def draw_rectangle(
            x: float,
            y: float,
            wide: float,
            tall: float,
            radius: float,
            fill: str,
            edge: str | None,
            line: float = 1,
        ) -> None:
            box = (*to_pixel(x, y), *to_pixel(x + wide, y + tall))
            draw.rounded_rectangle(
                box, radius * scale, fill, edge, max(1, round(line * scale)) if edge else 0
            )

        def draw_text(text: str, x: float, baseline: float, size: float, colour: str, anchor: str) -> None:
            draw.text(
                to_pixel(x, baseline), text, colour, fonts[size], anchor="rs" if anchor == "end" else "ls"
            )

        for name, x, y, wide, tall in self._frames:
            draw_rectangle(x, y, wide, tall, 10, colours.frame, colours.edge)
            draw_text(name, x + 10, y + tall - 7, _SMALL_SIZE, colours.muted, "start")
        for arrow, points in self._layout.routes.items():
            line = [points[0]]
            for piece in _split_route(points, changes_column=arrow in self._layout.column_changes):
                line += _bezier_points(piece) if len(piece) == 4 else piece[1:]
            draw.line(
                [to_pixel(*point) for point in line], colours.arrow, max(1, round(1.4 * scale)), joint="curve"
            )
            x, y = points[-1]
            draw.polygon([to_pixel(x - 4, y - 6), to_pixel(x, y), to_pixel(x + 4, y - 6)], colours.arrow)
        for box in self._picture.boxes:
            (x, y), (wide, tall) = self._layout.box_positions[box.key], self._sizes[box.key]
            family = colours.families.get(box.family, colours.families["preprocessing"])
            if box.family == "block" or box.repeat_count > 1:
                draw_rectangle(x + 4, y + 4, wide, tall, 7, colours.box, colours.edge)
            draw_rectangle(
                x,
                y,
                wide,
                tall,
                7,
                colours.box,
                family if box.is_output else colours.edge,
                2 if box.is_output else 1,
            )
            draw_rectangle(x + 5, y + 8, 3.5, tall - 16, 1.75, family, None)
            for text, left, baseline, size, colour, anchor, _ in self._box_texts(box):
                draw_text(text, left, baseline, size, colour, anchor)
        content = io.BytesIO()
        image.save(content, "PNG")
        return content.getvalue()


def _make_column_finder(layout: PlotLayout) -> Any:
    """Which column a place is in, by the gutters of arrows that turn."""
    gutters = sorted(
        {layout.routes[arrow][2][0] for arrow in layout.column_changes if len(layout.routes[arrow]) > 3}
    )
    return lambda x: sum(x > gutter for gutter in gutters)


def _extend_bounds(
    extents: dict[Any, list[float]], key: Any, x: float, y: float, right: float, bottom: float
) -> None:
    low, top, high, end = extents.setdefault(key, [x, y, right, bottom])
    extents[key] = [min(low, x), min(top, y), max(high, right), max(end, bottom)]


def _split_route(points: list[Point], *, changes_column: bool) -> list[list[Point]]:
    """Straight lines of two points and curves of four."""
    pieces: list[list[Point]] = []
    for index, (one, other) in enumerate(pairwise(points)):
        if one[0] != other[0] and (not changes_column or one[1] != other[1]):
            middle = (one[1] + other[1]) / 2
            pieces.append([one, (one[0], middle), (other[0], middle), other])
            continue
        following = points[index + 2] if changes_column and index + 2 < len(points) else None
        start = (
            _point_toward(one, other)
            if changes_column and index and _is_corner(points[index - 1], one, other)
            else one
        )
        bends = following is not None and _is_corner(one, other, following)
        end = _point_toward(other, one) if bends else other
        pieces.append([start, end])
        if bends and following is not None:
            pieces.append([end, other, other, _point_toward(other, following)])
    return pieces


def _is_corner(one: Point, middle: Point, other: Point) -> bool:
    """Whether a way along the axes turns there."""
    level = (one[1] == middle[1], middle[1] == other[1])
    upright = (one[0] == middle[0], middle[0] == other[0])
    return level[0] != level[1] and upright[0] != upright[1]


def _point_toward(one: Point, other: Point, radius: float = 8.0) -> Point:
    """The point a little way from one to the other."""
    length = abs(other[0] - one[0]) + abs(other[1] - one[1])
    share = min(radius, length / 2) / length if length else 0.0
    return one[0] + (other[0] - one[0]) * share, one[1] + (other[1] - one[1]) * share


def _bezier_points(piece: list[Point], steps: int = 16) -> list[Point]:
    points = []
    for step in range(1, steps + 1):
        t = step / steps
        weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3)
        points.append((sum(w * x for w, (x, _) in zip(weights, piece, strict=True)),
                       sum(w * y for w, (_, y) in zip(weights, piece, strict=True))))  # fmt: skip
    return points


def _format_coordinate(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _svg_rectangle(
    x: float, y: float, width: float, height: float, radius: float, fill: str, edge: str, line: float = 1.0
) -> str:
    return (f'<rect x="{_format_coordinate(x)}" y="{_format_coordinate(y)}" width="{_format_coordinate(width)}" height="{_format_coordinate(height)}" rx="{_format_coordinate(radius)}" fill="{fill}" '
            f'stroke="{edge}" stroke-width="{_format_coordinate(line)}"/>')  # fmt: skip


def _svg_text(
    text: str, x: float, y: float, size: float, colour: str, *, anchor: str = "start", weight: int = 400
) -> str:
    return (f'<text x="{_format_coordinate(x)}" y="{_format_coordinate(y)}" font-size="{_format_coordinate(size)}" fill="{colour}" text-anchor="{anchor}" '
            f'font-weight="{weight}">{escape(text)}</text>')  # fmt: skip


def render_mermaid(picture: Picture, theme: Theme) -> str:
    """The picture as text for Mermaid, which GitHub and GitLab draw."""
    numbers = {box.key: f"n{number}" for number, box in enumerate(picture.boxes)}
    lines = [f'%%{{init: {{"theme": "{"dark" if theme == "dark" else "neutral"}"}}}}%%', "flowchart TB"]
    group: str | None = None
    count = 0
    for box in picture.boxes:
        if box.group != group:
            lines += ["  end"] if group is not None else []
            if box.group is not None:
                count += 1
                lines.append(f'  subgraph g{count}["{_escape_label(box.group)}"]')
            group = box.group
        title = f"{box.repeat_count}x {box.title}" if box.repeat_count > 1 else box.title
        label_lines = [title, *(part for part in (box.name, box.shape) if part)]
        label_lines += (
            [f"{box.parameters} parameters" if box.parameters[-1:].isdigit() else box.parameters]
            if box.parameters
            else []
        )
        brackets = (
            ("([", "])") if box.family == "input" else ("[[", "]]") if box.family == "block" else ("[", "]")
        )
        inside = "<br/>".join(map(_escape_label, label_lines))
        lines.append(f'  {"  " if group else ""}{numbers[box.key]}{brackets[0]}"{inside}"{brackets[1]}')
    lines += ["  end"] if group is not None else []
    lines += [f"  {numbers[source]} --> {numbers[target]}" for source, target in picture.arrows]
    return "\n".join(lines) + "\n"


def _escape_label(text: str) -> str:
    return escape(text).replace("&quot;", "#quot;").replace("&#x27;", "#39;").replace("&lt;", "#lt;").replace(
        "&gt;", "#gt;").replace("&amp;", "#amp;")  # fmt: skip
