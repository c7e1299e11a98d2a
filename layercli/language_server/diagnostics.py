"""Problems as diagnostics: the same as those of ``validate``, at the same positions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from layercli.errors import Problem
from layercli.graph.shapes import NodeShapes
from layercli.language_server.analysis import Analysis
from layercli.language_server.documents import uri_from_path
from layercli.language_server.positions import count_units
from layercli.language_server.transport import Json
from layercli.layers.shapes import format_shape
from layercli.source.nodes import Mark

DOCUMENTATION: Final = "https://layercli.dev"
_SEVERITIES: Final = {"error": 1, "warning": 2}
_MAX_DIAGNOSTICS: Final = 500
"""Most diagnostics of one file: editors become slow with more."""
_WORD: Final = re.compile(
    r"""\$\{[^}]*\} | "(?:[^"\\]|\\.)*" | '(?:[^']|'')*' | [^\s,{}\[\]\#]+?(?=:(?:\s|$)|[\s,{}\[\]]|$)""",
    re.VERBOSE,
)


def make_diagnostics(analysis: Analysis) -> dict[str, list[Json]]:
    """Return the diagnostics of a check by the URI of their file; its own file is always there."""
    own_uri = analysis.document.uri
    diagnostics: dict[str, list[Json]] = {own_uri: []}
    related = _RelatedPlaces(analysis)
    for problem in analysis.result.problems:
        is_own = problem.file in (analysis.name, None)
        uri = own_uri if is_own else uri_from_path(str(problem.file))
        found = diagnostics.setdefault(uri, [])
        if len(found) < _MAX_DIAGNOSTICS:
            found.append(_make_diagnostic(problem, uri, related))
    return diagnostics


def _make_diagnostic(problem: Problem, uri: str, related: _RelatedPlaces) -> Json:
    place = _range_of(problem, related.analysis)
    diagnostic: Json = {
        "range": place,
        "severity": _SEVERITIES[problem.severity],
        "code": problem.code,
        "codeDescription": {"href": f"{DOCUMENTATION}/problems.html#{problem.code}"},
        "source": "layercli",
        "message": problem.full_message,
    }
    information = list(related.find(problem))
    if problem.hint:
        information.insert(0, {"location": {"uri": uri, "range": place}, "message": f"Fix: {problem.hint}"})
        diagnostic["data"] = {"hint": str(problem.hint)}
    if information:
        diagnostic["relatedInformation"] = information
    return diagnostic


def _range_of(problem: Problem, analysis: Analysis) -> Json:
    """Return the range of the word at a problem's position."""
    line, column, excerpt = problem.line or 1, problem.column or 1, problem.excerpt or ""
    word = _WORD.match(excerpt, column - 1) if problem.line else None
    end = word.end() if word else len(excerpt.rstrip()) if problem.line else 0
    if problem.file == analysis.name:
        index = analysis.index
        start = index.offset_of(line, column)
        return index.range_of(start, max(start, index.offset_of(line, end + 1)))
    first, last = count_units(excerpt[: column - 1]), count_units(excerpt[:end])
    return {
        "start": {"line": line - 1, "character": first},
        "end": {"line": line - 1, "character": max(first, last)},
    }


class _RelatedPlaces:
    """The layers from which the inputs of a wrong layer come, and the entries that use its block."""

    def __init__(self, analysis: Analysis) -> None:
        self.analysis = analysis
        self._marks = {row.node.name: marks for row, marks in analysis.iterate_rows()}
        self._rows: dict[tuple[str, int, int], NodeShapes] = {}
        document, shapes = analysis.result.document, analysis.result.shapes
        for row in shapes.rows if shapes is not None and document is not None else ():
            if row.error is not None:
                path = row.node.path if row.error.argument is None else (*row.node.path, row.error.argument)
                mark = document.find_mark(path) if document is not None else None
                if mark is not None:
                    self._rows.setdefault((mark.source.name, mark.line, mark.column), row)

    def find(self, problem: Problem) -> Iterator[Json]:
        """Yield the places that explain a problem."""
        row = self._rows.get((str(problem.file), problem.line or 0, problem.column or 0))
        if row is None:
            return
        for name, x in zip(row.node.inputs, row.inputs, strict=False):
            marks = self._marks.get(name)
            if marks and x is not None:
                yield _make_related_place(marks[-1], f"`{name}` returns {format_shape(x.shape)}.")
        for mark in self._marks.get(row.node.name, ())[:-1]:
            yield _make_related_place(mark, f"`{row.node.name}` is used here.")


def _make_related_place(mark: Mark, message: str) -> Json:
    line = mark.excerpt or ""
    start, end = count_units(line[: mark.column - 1]), count_units(line.rstrip())
    place = {
        "start": {"line": mark.line - 1, "character": start},
        "end": {"line": mark.line - 1, "character": max(start, end)},
    }
    return {"location": {"uri": uri_from_path(mark.source.name), "range": place}, "message": message}
