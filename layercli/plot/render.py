"""The picture of a model as SVG, PNG or Mermaid text: drawn here, with nothing that is loaded from elsewhere."""

from __future__ import annotations

import io
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import Any, Final, Literal

from layercli.graph.shapes import ModelShapes
from layercli.plot.boxes import Box, Picture, picture
from layercli.plot.layout import Placed, Point, lay_out

Theme = Literal["light", "dark"]
SUFFIXES: Final = (".svg", ".png", ".mmd")

_MARGIN, _PAD, _LINE, _HEIGHT = 28.0, 12.0, 17.0, 46.0
_TITLE, _SMALL = 13.0, 11.0
_FONT = "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"
_BOLD = 1.14
"""How much wider titles are in SVG, where they are bold."""
_NARROW, _WIDE = "fijlrtI.,:;|!'()[] ", "mwMW@%"
_MOST_PIXELS = 60_000_000


@dataclass(frozen=True, slots=True)
class Colours:
    """What a theme paints with."""

    paper: str
    box: str
    edge: str
    text: str
    faint: str
    arrow: str
    frame: str
    families: dict[str, str]


_LIGHT = {
    "input": "#64748b", "core": "#2563eb", "convolutional": "#7c3aed", "separable": "#7c3aed", "recurrent": "#0d9488",
    "conv_recurrent": "#0d9488", "attention": "#c026d3", "normalization": "#ca8a04", "regularization": "#94a3b8",
    "activations": "#ea580c", "pooling": "#16a34a", "merging": "#dc2626", "reshaping": "#64748b", "wrappers": "#0d9488",
    "preprocessing": "#0891b2", "block": "#4f46e5", "custom": "#be123c",
}  # fmt: skip
_DARK = {
    "input": "#94a3b8", "core": "#60a5fa", "convolutional": "#a78bfa", "separable": "#a78bfa", "recurrent": "#2dd4bf",
    "conv_recurrent": "#2dd4bf", "attention": "#e879f9", "normalization": "#facc15", "regularization": "#64748b",
    "activations": "#fb923c", "pooling": "#4ade80", "merging": "#f87171", "reshaping": "#94a3b8", "wrappers": "#2dd4bf",
    "preprocessing": "#22d3ee", "block": "#818cf8", "custom": "#fb7185",
}  # fmt: skip
THEMES: Final[dict[Theme, Colours]] = {
    "light": Colours("#ffffff", "#ffffff", "#cbd5e1", "#0f172a", "#64748b", "#94a3b8", "#f1f5f9", _LIGHT),
    "dark": Colours("#0b1120", "#172033", "#334155", "#e2e8f0", "#94a3b8", "#64748b", "#111a2e", _DARK),
}


def plot(
    shapes: ModelShapes, suffix: str, *, title: str, unfold: bool = False, theme: Theme = "light"
) -> bytes:
    """The picture of a model, as the content of a file of that suffix."""
    drawn = picture(shapes, unfold=unfold)
    if suffix == ".mmd":
        return mermaid(drawn, theme).encode()
    sizes = {box.key: (_width(box), _HEIGHT) for box in drawn.boxes}
    placed = lay_out(sizes, drawn.arrows, {box.key: box.group for box in drawn.boxes})
    scene = Scene(drawn, placed, sizes, THEMES[theme], title)
    return scene.svg().encode() if suffix == ".svg" else scene.png()


def text_width(text: str, size: float) -> float:
    """About how wide a text is in a common sans-serif; rather too wide than too narrow."""
    units = sum(
        0.32 if char in _NARROW else 0.9 if char in _WIDE else 0.68 if char.isupper() else 0.57
        for char in text
    )
    return units * size


def _width(box: Box) -> float:
    gap = 22.0
    upper = text_width(box.title, _TITLE) * _BOLD + (gap + text_width(box.name, _SMALL) if box.name else 0)
    upper += 16 + text_width(f"{box.times}x", _TITLE) if box.times > 1 else 0
    lower = text_width(box.shape, _SMALL) + (gap + text_width(box.count, _SMALL) if box.count else 0)
    return max(132.0, 2 * _PAD + 6 + max(upper, lower))


class Scene:
    """Boxes and arrows with their places, ready to be drawn."""

    def __init__(
        self,
        drawn: Picture,
        placed: Placed,
        sizes: dict[str, tuple[float, float]],
        colours: Colours,
        title: str,
    ) -> None:
        self._drawn, self._placed, self._sizes, self._colours = drawn, placed, sizes, colours
        self._title = title
        points = [point for route in placed.routes.values() for point in route]
        self._left = min([0.0, *(x for x, _ in points)]) - _MARGIN
        self._top = -_MARGIN
        right = max([placed.width, *(x for x, _ in points)]) + _MARGIN
        bottom = max([placed.height, *(y for _, y in points)]) + _MARGIN
        self._size = (right - self._left, bottom - self._top)
        self._frames = list(self._framed())

    def _framed(self) -> Any:
        """The frame around the layers of each block, one in each column, with its name."""
        extents: dict[tuple[str, int], list[float]] = {}
        group = {box.key: box.group for box in self._drawn.boxes}
        column = _columns_of(self._placed)
        for box in self._drawn.boxes:
            if box.group is not None:
                (x, y), (width, height) = self._placed.boxes[box.key], self._sizes[box.key]
                _stretch(extents, (box.group, column(x)), x, y, x + width, y + height)
        for (source, target), points in self._placed.bends.items():
            name = group[source]
            if name is not None and name == group[target] and (source, target) not in self._placed.turned:
                for x, y in points:
                    _stretch(extents, (name, column(x)), x, y, x, y)
        for (name, _), (x, y, right, bottom) in extents.items():
            yield (
                name,
                x - 10,
                y - 10,
                max(right + 10, x + text_width(name, _SMALL) + 6) - x + 10,
                bottom - y + 30,
            )

    def svg(self) -> str:
        """The picture as SVG; every text is escaped, and nothing is loaded from elsewhere."""
        colours = self._colours
        width, height = self._size
        corner = f"{_n(self._left)} {_n(self._top)}"
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{corner} {_n(width)} {_n(height)}" '
            f'width="{_n(width)}" height="{_n(height)}" font-family="{_FONT}" role="img">',
            f"<title>{escape(self._title)}</title>",
            _rect(self._left, self._top, width, height, 0, colours.paper, "none"),
        ]
        for name, x, y, wide, tall in self._frames:
            parts.append(_rect(x, y, wide, tall, 10, colours.frame, colours.edge))
            parts.append(_text(name, x + 10, y + tall - 7, _SMALL, colours.faint))
        for arrow, points in self._placed.routes.items():
            parts.append(
                f'<path d="{self._curve(arrow, points)}" fill="none" stroke="{colours.arrow}" stroke-width="1.4"/>'
            )
            x, y = points[-1]
            parts.append(
                f'<path d="M{_n(x - 4)} {_n(y - 6)}L{_n(x)} {_n(y)}L{_n(x + 4)} {_n(y - 6)}Z" fill="{colours.arrow}"/>'
            )
        for box in self._drawn.boxes:
            parts += self._box(box)
        return "\n".join([*parts, "</svg>\n"])

    def _box(self, box: Box) -> list[str]:
        colours = self._colours
        (x, y), (width, height) = self._placed.boxes[box.key], self._sizes[box.key]
        family = colours.families.get(box.family, colours.families["preprocessing"])
        edge = family if box.is_output else colours.edge
        parts = []
        if box.family == "block" or box.times > 1:
            parts.append(_rect(x + 4, y + 4, width, height, 7, colours.box, colours.edge))
        parts.append(_rect(x, y, width, height, 7, colours.box, edge, 2.0 if box.is_output else 1.0))
        parts.append(
            f'<rect x="{_n(x + 5)}" y="{_n(y + 8)}" width="3.5" height="{_n(height - 16)}" rx="1.75" fill="{family}"/>'
        )
        for text, at, baseline, size, colour, anchor, weight in self._texts(box):
            parts.append(_text(text, at, baseline, size, colour, anchor=anchor, weight=weight))
        return parts

    def _texts(self, box: Box) -> Any:
        """Text, x, baseline, size, colour, anchor and weight."""
        colours = self._colours
        (x, y), (width, _) = self._placed.boxes[box.key], self._sizes[box.key]
        left, right = x + _PAD + 4, x + width - _PAD
        upper, lower = y + 19.5, y + 19.5 + _LINE
        yield box.title, left, upper, _TITLE, colours.text, "start", 600
        if box.times > 1:
            yield f"{box.times}x", right, upper, _TITLE, colours.families["block"], "end", 600
            right -= 12 + text_width(f"{box.times}x", _TITLE)
        if box.name:
            yield box.name, right, upper, _SMALL, colours.faint, "end", 400
        yield box.shape, left, lower, _SMALL, colours.text, "start", 400
        if box.count:
            yield box.count, x + width - _PAD, lower, _SMALL, colours.faint, "end", 400

    def _curve(self, arrow: tuple[str, str], points: list[Point]) -> str:
        """The way of an arrow: curves from row to row; round corners where it turns to another column."""
        path = f"M{_n(points[0][0])} {_n(points[0][1])}"
        return path + "".join(
            f"C{' '.join(f'{_n(x)} {_n(y)}' for x, y in piece[1:])}"
            if len(piece) == 4
            else f"L{_n(piece[1][0])} {_n(piece[1][1])}"
            for piece in _pieces(points, turned=arrow in self._placed.turned)
        )

    def png(self) -> bytes:
        """The picture as PNG, two pixels to a unit where that is not too many."""
        from PIL import Image, ImageDraw, ImageFont

        width, height = self._size
        scale = min(2.0, (_MOST_PIXELS / (width * height)) ** 0.5)
        colours = self._colours
        image = Image.new("RGB", (max(1, round(width * scale)), max(1, round(height * scale))), colours.paper)
        draw = ImageDraw.Draw(image)
        fonts = {size: ImageFont.load_default(size * scale) for size in (_TITLE, _SMALL)}

        def at(x: float, y: float) -> Point:
            return (x - self._left) * scale, (y - self._top) * scale

        def rect(
            x: float,
            y: float,
            wide: float,
            tall: float,
            radius: float,
            fill: str,
            edge: str | None,
            line: float = 1,
        ) -> None:
            box = (*at(x, y), *at(x + wide, y + tall))
            draw.rounded_rectangle(
                box, radius * scale, fill, edge, max(1, round(line * scale)) if edge else 0
            )

        def write(text: str, x: float, baseline: float, size: float, colour: str, anchor: str) -> None:
            draw.text(at(x, baseline), text, colour, fonts[size], anchor="rs" if anchor == "end" else "ls")

        for name, x, y, wide, tall in self._frames:
            rect(x, y, wide, tall, 10, colours.frame, colours.edge)
            write(name, x + 10, y + tall - 7, _SMALL, colours.faint, "start")
        for arrow, points in self._placed.routes.items():
            line = [points[0]]
            for piece in _pieces(points, turned=arrow in self._placed.turned):
                line += _bezier(piece) if len(piece) == 4 else piece[1:]
            draw.line(
                [at(*point) for point in line], colours.arrow, max(1, round(1.4 * scale)), joint="curve"
            )
            x, y = points[-1]
            draw.polygon([at(x - 4, y - 6), at(x, y), at(x + 4, y - 6)], colours.arrow)
        for box in self._drawn.boxes:
            (x, y), (wide, tall) = self._placed.boxes[box.key], self._sizes[box.key]
            family = colours.families.get(box.family, colours.families["preprocessing"])
            if box.family == "block" or box.times > 1:
                rect(x + 4, y + 4, wide, tall, 7, colours.box, colours.edge)
            rect(
                x,
                y,
                wide,
                tall,
                7,
                colours.box,
                family if box.is_output else colours.edge,
                2 if box.is_output else 1,
            )
            rect(x + 5, y + 8, 3.5, tall - 16, 1.75, family, None)
            for text, left, baseline, size, colour, anchor, _ in self._texts(box):
                write(text, left, baseline, size, colour, anchor)
        content = io.BytesIO()
        image.save(content, "PNG")
        return content.getvalue()


def _columns_of(placed: Placed) -> Any:
    """Which column a place is in, by the gutters of arrows that turn."""
    gutters = sorted({placed.routes[arrow][2][0] for arrow in placed.turned if len(placed.routes[arrow]) > 3})
    return lambda x: sum(x > gutter for gutter in gutters)


def _stretch(
    extents: dict[Any, list[float]], key: Any, x: float, y: float, right: float, bottom: float
) -> None:
    low, top, high, end = extents.setdefault(key, [x, y, right, bottom])
    extents[key] = [min(low, x), min(top, y), max(high, right), max(end, bottom)]


def _pieces(points: list[Point], *, turned: bool) -> list[list[Point]]:
    """Straight lines of two points and curves of four."""
    pieces: list[list[Point]] = []
    for index, (one, other) in enumerate(pairwise(points)):
        if one[0] != other[0] and (not turned or one[1] != other[1]):
            middle = (one[1] + other[1]) / 2
            pieces.append([one, (one[0], middle), (other[0], middle), other])
            continue
        following = points[index + 2] if turned and index + 2 < len(points) else None
        start = _toward(one, other) if turned and index and _corner(points[index - 1], one, other) else one
        bends = following is not None and _corner(one, other, following)
        end = _toward(other, one) if bends else other
        pieces.append([start, end])
        if bends and following is not None:
            pieces.append([end, other, other, _toward(other, following)])
    return pieces


def _corner(one: Point, middle: Point, other: Point) -> bool:
    """Whether a way along the axes turns there."""
    level = (one[1] == middle[1], middle[1] == other[1])
    upright = (one[0] == middle[0], middle[0] == other[0])
    return level[0] != level[1] and upright[0] != upright[1]


def _toward(one: Point, other: Point, radius: float = 8.0) -> Point:
    """The point a little way from one to the other."""
    length = abs(other[0] - one[0]) + abs(other[1] - one[1])
    share = min(radius, length / 2) / length if length else 0.0
    return one[0] + (other[0] - one[0]) * share, one[1] + (other[1] - one[1]) * share


def _bezier(piece: list[Point], steps: int = 16) -> list[Point]:
    points = []
    for step in range(1, steps + 1):
        t = step / steps
        weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3)
        points.append((sum(w * x for w, (x, _) in zip(weights, piece, strict=True)),
                       sum(w * y for w, (_, y) in zip(weights, piece, strict=True))))  # fmt: skip
    return points


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _rect(
    x: float, y: float, width: float, height: float, radius: float, fill: str, edge: str, line: float = 1.0
) -> str:
    return (f'<rect x="{_n(x)}" y="{_n(y)}" width="{_n(width)}" height="{_n(height)}" rx="{_n(radius)}" fill="{fill}" '
            f'stroke="{edge}" stroke-width="{_n(line)}"/>')  # fmt: skip


def _text(
    text: str, x: float, y: float, size: float, colour: str, *, anchor: str = "start", weight: int = 400
) -> str:
    return (f'<text x="{_n(x)}" y="{_n(y)}" font-size="{_n(size)}" fill="{colour}" text-anchor="{anchor}" '
            f'font-weight="{weight}">{escape(text)}</text>')  # fmt: skip


def mermaid(drawn: Picture, theme: Theme) -> str:
    """The picture as text for Mermaid, which GitHub and GitLab draw."""
    numbers = {box.key: f"n{number}" for number, box in enumerate(drawn.boxes)}
    lines = [f'%%{{init: {{"theme": "{"dark" if theme == "dark" else "neutral"}"}}}}%%', "flowchart TB"]
    group: str | None = None
    count = 0
    for box in drawn.boxes:
        if box.group != group:
            lines += ["  end"] if group is not None else []
            if box.group is not None:
                count += 1
                lines.append(f'  subgraph g{count}["{_quoted(box.group)}"]')
            group = box.group
        title = f"{box.times}x {box.title}" if box.times > 1 else box.title
        told = [title, *(part for part in (box.name, box.shape) if part)]
        told += [f"{box.count} parameters" if box.count[-1:].isdigit() else box.count] if box.count else []
        ends = (
            ("([", "])") if box.family == "input" else ("[[", "]]") if box.family == "block" else ("[", "]")
        )
        inside = "<br/>".join(map(_quoted, told))
        lines.append(f'  {"  " if group else ""}{numbers[box.key]}{ends[0]}"{inside}"{ends[1]}')
    lines += ["  end"] if group is not None else []
    lines += [f"  {numbers[source]} --> {numbers[target]}" for source, target in drawn.arrows]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return escape(text).replace("&quot;", "#quot;").replace("&#x27;", "#39;").replace("&lt;", "#lt;").replace(
        "&gt;", "#gt;").replace("&amp;", "#amp;")  # fmt: skip
