"""The picture of a model that an editor shows next to its text, and the line of each box."""

from __future__ import annotations

from collections.abc import Iterator

from layercli.language_server.analysis import Analysis
from layercli.language_server.documents import uri_from_path
from layercli.language_server.hints import find_moved_lines
from layercli.language_server.positions import count_units
from layercli.language_server.transport import Json
from layercli.plot.drawing import Drawing, Theme
from layercli.plot.layout import PictureTooLargeError
from layercli.plot.picture import build_picture
from layercli.plot.svg import render_svg
from layercli.source.nodes import Mark

_INVALID = "The picture appears when the config has no errors."
_TOO_LARGE = "The model has too many layers and connections for a picture."


def draw_picture(analysis: Analysis, valid: Analysis | None, theme: Theme, *, unfold: bool) -> Json:
    """Return the picture of a model as SVG, with the places of its boxes in the picture and in the text.

    While a text has errors, the picture is that of its last valid version, with ``isCurrent`` false.
    """
    shapes = valid.result.shapes if valid is not None else None
    if valid is None or shapes is None:
        return {"svg": None, "boxes": [], "isCurrent": True, "message": _INVALID}
    picture = build_picture(shapes, unfold=unfold)
    try:
        drawing = Drawing(picture, theme)
    except PictureTooLargeError:
        return {"svg": None, "boxes": [], "isCurrent": True, "message": _TOO_LARGE}
    return {
        "svg": render_svg(drawing, valid.result.name),
        "boxes": list(_locate_boxes(drawing, analysis, valid)),
        "isCurrent": valid is analysis,
        "message": None,
    }


def _locate_boxes(drawing: Drawing, analysis: Analysis, valid: Analysis) -> Iterator[Json]:
    """Yield the area of each box with the file and position of what declares it; none for a line that has changed."""
    marks = _find_marks(valid)
    move_line = find_moved_lines(valid.index.text.splitlines(), analysis.index.text.splitlines())
    for key, (x, y, width, height) in drawing.box_areas.items():
        mark = marks.get(key)
        if mark is None or not mark.source.has_positions:
            continue
        if valid.contains(mark):
            place = valid.index.position_at(valid.index.mark_offset(mark))
            line = move_line(place["line"] + 1)
            if line is None:
                continue
            uri, place = analysis.document.uri, {**place, "line": line - 1}
        else:
            uri = uri_from_path(mark.source.name)
            place = {
                "line": mark.line - 1,
                "character": count_units((mark.excerpt or "")[: mark.column - 1]),
            }
        yield {"x": x, "y": y, "width": width, "height": height, "uri": uri, "position": place}


def _find_marks(analysis: Analysis) -> dict[str, Mark]:
    """Return the position of what declares each box: an entry, the use of a block, or an input."""
    marks: dict[str, Mark] = {}
    for row, places in analysis.iterate_rows():
        marks[row.node.name] = places[-1]
        block = row.node.name.partition(".")[0]
        marks.setdefault(f"{block}.", places[0])
    document, shapes = analysis.result.document, analysis.result.shapes
    if document is not None and shapes is not None:
        for name in shapes.graph.inputs:
            paths = (("model", "inputs", name), ("model", "input"), ("model",))
            found = next((path for path in paths if document.find(path) is not None), None)
            if found is not None:
                marks[name] = document.find_mark(found, key=True)
    return marks
