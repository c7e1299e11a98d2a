"""Inlay hints: the shape that each layer returns, after its entry."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from layercli.graph.shapes import NodeShapes
from layercli.language_server.analysis import Analysis
from layercli.language_server.documents import Settings
from layercli.language_server.transport import Json
from layercli.layers.shapes import format_shape
from layercli.reports.formatting import format_count, format_shapes
from layercli.source.nodes import YamlNode

_MAX_USES = 3
"""Most different shapes of a layer in a block that is used several times."""


@dataclass(frozen=True, slots=True)
class ShapeHint:
    """The shape and parameters of an entry."""

    line: int
    """The line of the end of the hint's entry, from 1."""
    column: int
    shapes: tuple[str, ...]
    """The different shapes of its uses."""
    parameters: int | None
    details: tuple[str, ...]
    """A line for each layer that the entry inserts."""

    @property
    def is_known(self) -> bool:
        """Whether some size is known."""
        return any(shape != "?" for shape in self.shapes)


class ShapeHints:
    """The hints of a text; those of its last valid version stay where the text is the same while it is half typed."""

    def __init__(self) -> None:
        self.current: list[ShapeHint] = []
        self.valid_analysis: Analysis | None = None
        """The last version whose shapes are known."""
        self._valid_lines: list[str] = []
        self._valid_hints: list[ShapeHint] = []

    def update(self, analysis: Analysis) -> None:
        """Take over the shapes of a new version."""
        found = list(_collect_hints(analysis))
        if analysis.is_complete:
            self.current = self._valid_hints = found
            self.valid_analysis = analysis
            self._valid_lines = analysis.index.text.splitlines()
            return
        known = {hint.line: hint for hint in self._move_valid_hints(analysis.index.text.splitlines())}
        known |= {hint.line: hint for hint in found if hint.is_known or hint.line not in known}
        self.current = [known[line] for line in sorted(known)]

    def _move_valid_hints(self, lines: list[str]) -> Iterable[ShapeHint]:
        """Yield the hints of the last valid version that are on lines before or after the changed ones."""
        move_line = find_moved_lines(self._valid_lines, lines)
        for hint in self._valid_hints:
            line = move_line(hint.line)
            if line is not None:
                yield replace(hint, line=line)

    def as_json(self, analysis: Analysis, settings: Settings, first_line: int, last_line: int) -> list[Json]:
        """Return the hints between two lines of the protocol."""
        start = bisect_left([hint.line for hint in self.current], first_line + 1)
        hints = []
        for hint in self.current[start:]:
            if hint.line > last_line + 1:
                break
            label = _format_label(hint, settings)
            if label:
                hints.append(
                    {
                        "position": analysis.index.position_at(
                            analysis.index.offset_of(hint.line, hint.column)
                        ),
                        "label": label,
                        "paddingLeft": True,
                        "tooltip": {"kind": "markdown", "value": "  \n".join(hint.details)},
                    }
                )
        return hints


def find_moved_lines(before: list[str], after: list[str]) -> Callable[[int], int | None]:
    """Return a function from a line before a change, from 1, to that after it; None for a changed line."""
    most = min(len(before), len(after))
    head = next((number for number in range(most) if before[number] != after[number]), most)
    tail = next(
        (number for number in range(most - head) if before[-1 - number] != after[-1 - number]), most - head
    )
    moved = len(after) - len(before)
    return lambda line: line if line <= head else line + moved if line > len(before) - tail else None


def _format_label(hint: ShapeHint, settings: Settings) -> str:
    shown = []
    if settings.shows_shapes:
        shown.append(f"→ {' | '.join(hint.shapes)}")
    if settings.shows_parameters and hint.parameters:
        shown.append(f"{format_count(hint.parameters)} parameters")
    return " · ".join(shown)


def _collect_hints(analysis: Analysis) -> Iterable[ShapeHint]:
    """Yield the hint of each entry of the file, in their order."""
    index = analysis.index
    entries = {(node.mark.line, node.mark.column): node for node in list_entries(analysis.tree)}
    found: dict[tuple[int, int], ShapeHint] = {}
    for place, rows in sorted(analysis.rows_by_place.items()):
        node = entries.get(place)
        if node is None:
            continue
        line, column = index.yaml_position(min(index.node_span(node)[1], index.line_end(place[0])))
        found[place] = ShapeHint(
            line, column, _format_uses(analysis, place, rows), _sum_parameters(rows), _describe_rows(rows)
        )
    yield from sorted(found.values(), key=lambda hint: (hint.line, hint.column))


def list_entries(tree: YamlNode | None) -> list[YamlNode]:
    """Return the entries of all lists of layers in a file."""
    if tree is None:
        return []
    lists = [tree.find(("model", "layers"))]
    blocks = tree.find(("blocks",))
    if blocks is not None and isinstance(blocks.value, dict):
        lists += [block.find(("layers",)) for block in blocks.value.values()]
    return [
        entry
        for found in lists
        if found is not None and isinstance(found.value, list)
        for entry in found.value
    ]


def describe_entry_shapes(analysis: Analysis, entry: YamlNode) -> tuple[str, ...]:
    """Return the different shapes that an entry returns; empty if they are unknown."""
    place = (entry.mark.line, entry.mark.column)
    rows = analysis.rows_by_place.get(place)
    return _format_uses(analysis, place, rows) if rows else ()


def _format_uses(analysis: Analysis, place: tuple[int, int], rows: list[NodeShapes]) -> tuple[str, ...]:
    """Return the shapes that an entry returns in its uses; only the last one for a repeated entry."""
    last_rows: dict[object, NodeShapes] = {}
    document = analysis.result.document
    assert document is not None
    for row in rows:
        node = document.find(row.node.path)
        marks = node.uses if node is not None else ()
        outer = [(mark.line, mark.column) for mark in marks]
        key = tuple(outer[: outer.index(place)]) if place in outer else ()
        last_rows[key] = row
    shapes = list(dict.fromkeys(_format_output(row) for row in last_rows.values()))
    return tuple(shapes[:_MAX_USES]) + (("…",) if len(shapes) > _MAX_USES else ())


def _format_output(row: NodeShapes) -> str:
    if not row.outputs or row.is_uncertain:
        return "?"
    return (
        format_shapes([x.shape for x in row.outputs])
        if len(row.outputs) < 4
        else format_shape(row.outputs[0].shape)
    )


def _sum_parameters(rows: list[NodeShapes]) -> int | None:
    counts = [row.parameters for row in rows]
    return None if None in counts else sum(count or 0 for count in counts)


def _describe_rows(rows: list[NodeShapes]) -> tuple[str, ...]:
    shown = [
        f"`{row.node.name}` {row.node.type_name}: {_format_output(row)}"
        + (f", {format_count(row.parameters)} parameters" if row.parameters else "")
        for row in rows[:20]
    ]
    return (*shown, f"and {len(rows) - 20} more layers") if len(rows) > 20 else tuple(shown)
