"""The requests that the server answers, and its capabilities."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from layercli.language_server.analysis import Analysis
from layercli.language_server.hover import find_hover
from layercli.language_server.transport import Json

if TYPE_CHECKING:
    from layercli.language_server.server import LanguageServer

Feature: TypeAlias = Callable[["LanguageServer", Analysis, Json], Any]

_INCREMENTAL: Final = 2

CAPABILITIES: Final[Json] = {
    "positionEncoding": "utf-16",
    "textDocumentSync": {"openClose": True, "change": _INCREMENTAL, "save": False},
    "hoverProvider": True,
    "inlayHintProvider": True,
}


def _list_inlay_hints(server: LanguageServer, analysis: Analysis, params: Json) -> list[Json]:
    shown = params.get("range")
    first, last = (_line_of(shown, key, default) for key, default in (("start", 0), ("end", 1 << 30)))
    return server.hints_of(analysis).as_json(analysis, server.documents.settings, first, last)


def _line_of(shown: Any, key: str, default: int) -> int:
    place = shown.get(key) if isinstance(shown, dict) else None
    line = place.get("line") if isinstance(place, dict) else None
    return line if isinstance(line, int) else default


def _offset_of(analysis: Analysis, params: Json) -> int:
    position = params.get("position")
    return analysis.index.offset_at(position) if isinstance(position, dict) else 0


def _hover(_: LanguageServer, analysis: Analysis, params: Json) -> Json | None:
    return find_hover(analysis, _offset_of(analysis, params))


FEATURES: Final[dict[str, Feature]] = {
    "textDocument/hover": _hover,
    "textDocument/inlayHint": _list_inlay_hints,
}
"""Method of a request -> the function that answers it."""
