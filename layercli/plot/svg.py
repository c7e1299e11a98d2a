"""A canvas that writes SVG; all text is escaped, and the file loads no other files."""

from __future__ import annotations

from html import escape

from layercli.plot.drawing import ARROW_WIDTH, Anchor, Drawing, arrow_head
from layercli.plot.layout import Point

_FONT = "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"


def render_svg(drawing: Drawing, title: str) -> str:
    """Return the drawing as an SVG document with a title."""
    left, top, width, height = drawing.bounds
    view_box = " ".join(map(_format_number, drawing.bounds))
    canvas = _SvgCanvas()
    canvas.draw_rectangle(left, top, width, height, 0, drawing.colors.background, "none")
    drawing.draw(canvas)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{view_box}" '
            f'width="{_format_number(width)}" height="{_format_number(height)}" font-family="{_FONT}" role="img">',
            f"<title>{escape(title)}</title>",
            *canvas.elements,
            "</svg>\n",
        ]
    )


class _SvgCanvas:
    """The elements of an SVG document, in drawing order."""

    def __init__(self) -> None:
        self.elements: list[str] = []

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
        """Add a rounded rectangle."""
        numbers = {"x": x, "y": y, "width": width, "height": height}
        attributes = [f'{name}="{_format_number(value)}"' for name, value in numbers.items()]
        attributes += [f'rx="{radius:g}"', f'fill="{fill}"']
        if edge is not None:
            attributes += [f'stroke="{edge}"', f'stroke-width="{_format_number(line_width)}"']
        self.elements.append(f"<rect {' '.join(attributes)}/>")

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
        """Add a text that starts or ends at ``x``."""
        self.elements.append(
            f'<text x="{_format_number(x)}" y="{_format_number(baseline)}" font-size="{_format_number(size)}" '
            f'fill="{color}" text-anchor="{anchor}" font-weight="{weight}">{escape(text)}</text>'
        )

    def draw_arrow(self, pieces: list[list[Point]], color: str) -> None:
        """Add a path of lines (two points) and curves (four points), and the head at its end."""
        path = f"M{_format_point(pieces[0][0])}"
        for piece in pieces:
            path += ("C" if len(piece) == 4 else "L") + " ".join(map(_format_point, piece[1:]))
        head = "L".join(map(_format_point, arrow_head(pieces[-1][-1])))
        self.elements.append(f'<path d="{path}" fill="none" stroke="{color}" stroke-width="{ARROW_WIDTH}"/>')
        self.elements.append(f'<path d="M{head}Z" fill="{color}"/>')


def _format_point(point: Point) -> str:
    return f"{_format_number(point[0])} {_format_number(point[1])}"


def _format_number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
