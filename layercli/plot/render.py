"""The picture of a model as the content of an SVG, PNG or Mermaid file."""

from __future__ import annotations

from typing import Final

from layercli.graph.shapes import ModelShapes
from layercli.plot.drawing import Drawing, Theme
from layercli.plot.mermaid import render_mermaid
from layercli.plot.picture import build_picture
from layercli.plot.png import render_png
from layercli.plot.svg import render_svg

PLOT_SUFFIXES: Final = (".svg", ".png", ".mmd")


def render_plot(
    shapes: ModelShapes, suffix: str, *, title: str, unfold: bool = False, theme: Theme = "light"
) -> bytes:
    """Return the picture of a model in the format of a file suffix; ``unfold`` shows the layers inside blocks."""
    picture = build_picture(shapes, unfold=unfold)
    if suffix == ".mmd":
        return render_mermaid(picture, theme).encode()
    drawing = Drawing(picture, theme)
    return render_svg(drawing, title).encode() if suffix == ".svg" else render_png(drawing)
