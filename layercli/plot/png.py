"""A canvas that draws PNG with Pillow."""

from __future__ import annotations

import io
from typing import Any

from layercli.plot.drawing import ARROW_WIDTH, Anchor, Drawing, arrow_head
from layercli.plot.layout import Point

_MAX_PIXELS = 60_000_000
_CURVE_STEPS = 16
"""Straight lines that approximate a curve."""


def render_png(drawing: Drawing) -> bytes:
    """Return the drawing as PNG: two pixels for each unit, fewer in very large pictures."""
    from PIL import Image

    _, _, width, height = drawing.bounds
    scale = min(2.0, (_MAX_PIXELS / (width * height)) ** 0.5)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    image = Image.new("RGB", size, drawing.colors.background)
    drawing.draw(_PngCanvas(image, scale, drawing.bounds[:2]))
    content = io.BytesIO()
    image.save(content, "PNG")
    return content.getvalue()


class _PngCanvas:
    """An image, drawn on in the units of the drawing."""

    def __init__(self, image: Any, scale: float, origin: Point) -> None:
        from PIL import ImageDraw

        self._draw = ImageDraw.Draw(image)
        self._scale, self._origin = scale, origin
        self._fonts: dict[float, Any] = {}

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
        """Draw a rounded rectangle."""
        corners = (*self._to_pixel((x, y)), *self._to_pixel((x + width, y + height)))
        pixels = self._to_line_width(line_width) if edge else 0
        self._draw.rounded_rectangle(corners, radius * self._scale, fill, edge, pixels)

    def draw_text(
        self,
        text: str,
        x: float,
        baseline: float,
        size: float,
        color: str,
        anchor: Anchor = "start",
        weight: int = 400,  # noqa: ARG002 - Pillow's own font has one weight
    ) -> None:
        """Draw a text that starts or ends at ``x``."""
        from PIL import ImageFont

        if size not in self._fonts:
            self._fonts[size] = ImageFont.load_default(size * self._scale)
        pillow_anchor = "rs" if anchor == "end" else "ls"
        position = self._to_pixel((x, baseline))
        self._draw.text(position, text, color, self._fonts[size], anchor=pillow_anchor)

    def draw_arrow(self, pieces: list[list[Point]], color: str) -> None:
        """Draw lines (two points) and curves (four points), and the arrowhead at the end."""
        points = [pieces[0][0]]
        for piece in pieces:
            points += _curve_points(piece) if len(piece) == 4 else piece[1:]
        pixels = [self._to_pixel(point) for point in points]
        self._draw.line(pixels, color, self._to_line_width(ARROW_WIDTH), joint="curve")
        self._draw.polygon([self._to_pixel(point) for point in arrow_head(points[-1])], color)

    def _to_pixel(self, point: Point) -> Point:
        return (point[0] - self._origin[0]) * self._scale, (point[1] - self._origin[1]) * self._scale

    def _to_line_width(self, units: float) -> int:
        return max(1, round(units * self._scale))


def _curve_points(piece: list[Point]) -> list[Point]:
    """Return points on a cubic Bézier curve, without its first point."""
    points = []
    for step in range(1, _CURVE_STEPS + 1):
        t = step / _CURVE_STEPS
        weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3)
        x = sum(weight * x for weight, (x, _) in zip(weights, piece, strict=True))
        y = sum(weight * y for weight, (_, y) in zip(weights, piece, strict=True))
        points.append((x, y))
    return points
