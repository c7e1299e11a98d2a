"""The requests that the server answers, and its capabilities."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from layercli.language_server.actions import ACTION_KINDS, list_actions
from layercli.language_server.analysis import Analysis
from layercli.language_server.completion import list_completions
from layercli.language_server.hover import find_hover
from layercli.language_server.links import list_links
from layercli.language_server.navigation import highlight_uses
from layercli.language_server.outline import (
    TOKEN_TYPES,
    TRAIN_COMMAND,
    list_code_lenses,
    list_folding_ranges,
    list_semantic_tokens,
    list_symbols,
)
from layercli.language_server.transport import Json

if TYPE_CHECKING:
    from layercli.language_server.server import LanguageServer
    from layercli.plot.drawing import Theme

Feature: TypeAlias = Callable[["LanguageServer", Analysis, Json], Any]

_INCREMENTAL: Final = 2

CAPABILITIES: Final[Json] = {
    "positionEncoding": "utf-16",
    "textDocumentSync": {"openClose": True, "change": _INCREMENTAL, "save": False},
    "hoverProvider": True,
    "inlayHintProvider": True,
    "codeActionProvider": {"codeActionKinds": list(ACTION_KINDS)},
    "codeLensProvider": {},
    "definitionProvider": True,
    "documentHighlightProvider": True,
    "documentLinkProvider": {},
    "documentSymbolProvider": True,
    "executeCommandProvider": {"commands": [TRAIN_COMMAND]},
    "foldingRangeProvider": True,
    "referencesProvider": True,
    "renameProvider": {"prepareProvider": True},
    "semanticTokensProvider": {
        "legend": {"tokenTypes": list(TOKEN_TYPES), "tokenModifiers": []},
        "full": True,
    },
    "experimental": {"modelPicture": True},
    "completionProvider": {"triggerCharacters": [":", " ", "-", "{", "[", ",", "$", "/"]},
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


def _complete(server: LanguageServer, analysis: Analysis, params: Json) -> Json:
    return list_completions(
        analysis,
        server.hints_of(analysis).valid_analysis,
        _offset_of(analysis, params),
        has_snippets=server.client_has("textDocument", "completion", "completionItem", "snippetSupport"),
    )


def _define(server: LanguageServer, analysis: Analysis, params: Json) -> list[Json]:
    return server.navigate(analysis).find_definition(_offset_of(analysis, params))


def _list_actions(server: LanguageServer, analysis: Analysis, params: Json) -> list[Json]:
    return list_actions(analysis, server.documents, params)


def _refer(server: LanguageServer, analysis: Analysis, params: Json) -> list[Json]:
    context = params.get("context")
    has_declaration = isinstance(context, dict) and context.get("includeDeclaration") is True
    offset = _offset_of(analysis, params)
    return server.navigate(analysis).find_references(offset, has_declaration=has_declaration)


def _highlight(server: LanguageServer, analysis: Analysis, params: Json) -> list[Json]:
    return highlight_uses(server.navigate(analysis), analysis, _offset_of(analysis, params))


def _prepare_rename(server: LanguageServer, analysis: Analysis, params: Json) -> Json | None:
    return server.navigate(analysis).prepare_rename(_offset_of(analysis, params))


def _rename(server: LanguageServer, analysis: Analysis, params: Json) -> Json:
    return server.navigate(analysis).rename(_offset_of(analysis, params), str(params.get("newName", "")))


def _draw_picture(server: LanguageServer, analysis: Analysis, params: Json) -> Json:
    # Imported here: an editor without the picture starts sooner.
    from layercli.language_server.picture import draw_picture

    theme: Theme = "dark" if params.get("theme") == "dark" else "light"
    valid = server.hints_of(analysis).valid_analysis
    return draw_picture(analysis, valid, theme, unfold=params.get("unfold") is True)


FEATURES: Final[dict[str, Feature]] = {
    "layercli/modelPicture": _draw_picture,
    "textDocument/codeAction": _list_actions,
    "textDocument/codeLens": lambda _, analysis, __: list_code_lenses(analysis),
    "textDocument/completion": _complete,
    "textDocument/definition": _define,
    "textDocument/documentHighlight": _highlight,
    "textDocument/documentLink": lambda _, analysis, __: list_links(analysis),
    "textDocument/documentSymbol": lambda _, analysis, __: list_symbols(analysis),
    "textDocument/foldingRange": lambda _, analysis, __: list_folding_ranges(analysis),
    "textDocument/hover": _hover,
    "textDocument/inlayHint": _list_inlay_hints,
    "textDocument/prepareRename": _prepare_rename,
    "textDocument/references": _refer,
    "textDocument/rename": _rename,
    "textDocument/semanticTokens/full": lambda _, analysis, __: {"data": list_semantic_tokens(analysis)},
}
"""Method of a request -> the function that answers it."""
