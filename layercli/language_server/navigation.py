"""Go to definition, references and rename."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pydantic_core import PydanticCustomError

from layercli.check import check_config
from layercli.config.language.variables import is_variable_name
from layercli.config.names import parse_layer_name
from layercli.errors import has_errors
from layercli.language_server.analysis import Analysis, parse_text
from layercli.language_server.documents import OpenDocuments, uri_from_path
from layercli.language_server.links import find_target
from layercli.language_server.names import Names, SourceFile, Symbol, SymbolKey, iterate_symbols
from layercli.language_server.places import find_path
from layercli.language_server.positions import ProtocolIndex
from layercli.language_server.transport import REQUEST_FAILED, Json, ResponseError
from layercli.source.load import MAX_BYTES, use_unsaved_texts


class Navigator:
    """The names around a position of a text."""

    def __init__(
        self,
        analysis: Analysis,
        documents: OpenDocuments,
        dependents: Sequence[Analysis],
        base: Analysis | None = None,
    ) -> None:
        """``base`` is the config that the text, a sweep file, varies."""
        self._analysis = analysis
        self._config = base or analysis
        self._documents = documents
        self.names = Names(self._config)
        self._files = list_related_files(self._config, documents, [analysis, *dependents])
        self._symbols = [symbol for file in self._files for symbol in iterate_symbols(file, self.names)]

    def find_symbol(self, offset: int) -> Symbol | None:
        """Return the name at an offset of the text."""
        uri = self._analysis.document.uri
        return next(
            (one for one in self._symbols if one.file.uri == uri and one.start <= offset <= one.end), None
        )

    def find_all(self, key: SymbolKey) -> list[Symbol]:
        """Return all occurrences of a name."""
        return [symbol for symbol in self._symbols if symbol.key == key]

    def find_definition(self, offset: int) -> list[Json]:
        """Return the places at which the name, or the file, at an offset is declared."""
        symbol = self.find_symbol(offset)
        if symbol is None:
            path, part = find_path(self._analysis.index, self._analysis.tree, offset)
            target = find_target(self._analysis, path) if part == "value" else None
            start = {"line": 0, "character": 0}
            return [{"uri": uri_from_path(target), "range": {"start": start, "end": start}}] if target else []
        declared = [_locate_symbol(one) for one in self.find_all(symbol.key) if one.is_declaration]
        mark = self.names.mark_of(symbol.key) if symbol.key[0] == "layer" and not declared else None
        file = next((one for one in self._files if mark is not None and one.name == mark.source.name), None)
        if mark is not None and file is not None:
            offset = file.index.mark_offset(mark)
            return [{"uri": file.uri, "range": file.index.range_of(offset, offset)}]
        return declared

    def find_references(self, offset: int, *, has_declaration: bool) -> list[Json]:
        """Return the places at which the name at an offset is used."""
        symbol = self.find_symbol(offset)
        found = self.find_all(symbol.key) if symbol is not None else []
        return [_locate_symbol(one) for one in found if has_declaration or not one.is_declaration]

    def prepare_rename(self, offset: int) -> Json | None:
        """Return the range and the text of the name at an offset, or None."""
        symbol = self.find_symbol(offset)
        if symbol is None:
            return None
        self._require_declaration(symbol)
        text = symbol.file.index.text[symbol.start : symbol.end]
        return {"range": symbol.file.index.range_of(symbol.start, symbol.end), "placeholder": text}

    def rename(self, offset: int, new_name: str) -> Json:
        """Return the edits that rename the name at an offset everywhere.

        Raises:
            ResponseError: the new name is invalid or used already, or the config would have new errors.
        """
        symbol = self.find_symbol(offset)
        if symbol is None:
            raise ResponseError(REQUEST_FAILED, "The cursor must be on a name that the config declares.")
        self._require_declaration(symbol)
        self._check_new_name(symbol.key, new_name)
        spans: dict[str, dict[tuple[int, int], None]] = {}
        files: dict[str, SourceFile] = {}
        for one in sorted(self.find_all(symbol.key), key=lambda found: -found.start):
            files[one.file.uri] = one.file
            spans.setdefault(one.file.uri, {})[one.start, one.end] = None
        self._require_valid(
            {file.name: _replace_spans(file.index.text, spans[uri], new_name) for uri, file in files.items()}
        )
        return {
            "changes": {
                uri: [{"range": file.index.range_of(*span), "newText": new_name} for span in spans[uri]]
                for uri, file in files.items()
            }
        }

    def _require_declaration(self, symbol: Symbol) -> None:
        if any(one.is_declaration for one in self.find_all(symbol.key)):
            return
        kind = str(symbol.key[0])
        if kind == "layer":
            message = "Its name is automatic. Add `name:` to the layer, and rename it then."
        else:
            message = f"The config does not declare this {kind}."
        raise ResponseError(REQUEST_FAILED, message)

    def _check_new_name(self, key: SymbolKey, new_name: str) -> None:
        """Check that a name can have a new text."""
        kind = key[0]
        if kind in ("layer", "input"):
            try:
                parse_layer_name(new_name)
            except PydanticCustomError as error:
                raise ResponseError(REQUEST_FAILED, str((error.context or {}).get("message"))) from None
            scope = self.names.scope_of(key) if kind == "layer" else ""
            known = self.names.list_scope(scope)
        else:
            if not is_variable_name(new_name.replace("-", "_") if kind == "block" else new_name):
                message = f"A {kind} name must consist of letters, digits and `_`, got {new_name[:60]!r}."
                raise ResponseError(REQUEST_FAILED, message)
            known = {str(one.key[-1]) for one in self._symbols if one.key[:-1] == key[:-1]}
        if new_name in known:
            raise ResponseError(REQUEST_FAILED, f"The name `{new_name}` is used already.")

    def _require_valid(self, texts: dict[str, str]) -> None:
        """Check that the config has no new errors with the changed texts."""
        unsaved = self._documents.unsaved_texts
        with use_unsaved_texts({**unsaved, **{Path(name).resolve(): text for name, text in texts.items()}}):
            after = check_config(self._config.name).problems
        if has_errors(after) and not has_errors(self._config.result.problems):
            raise ResponseError(REQUEST_FAILED, f"The config would become invalid: {after[0].message}")


def _replace_spans(text: str, spans: Iterable[tuple[int, int]], new: str) -> str:
    """Return a text with another text at each span; the spans are ordered from the last to the first."""
    pieces, end = [], len(text)
    for start, stop in spans:
        pieces += [text[stop:end], new]
        end = start
    return "".join(reversed([*pieces, text[:end]]))


def list_related_files(
    analysis: Analysis, documents: OpenDocuments, dependents: Sequence[Analysis]
) -> list[SourceFile]:
    """Return the file of a text, those that it extends, and the open texts that extend it."""
    files: dict[Path, SourceFile] = {}
    open_paths = {document.path.resolve(): document for document in documents}
    for one in (analysis, *dependents):
        if one.tree is not None:
            files[one.document.path.resolve()] = SourceFile(one.document.uri, one.name, one.index, one.tree)
    marks = _list_sources(analysis)
    for name in marks:
        path = Path(name).resolve()
        if path in files or path not in analysis.read_paths:
            continue
        document = open_paths.get(path)
        text = document.text if document is not None else read_text(path)
        tree = parse_text(Path(name), text) if text is not None else None
        if text is not None and tree is not None:
            uri = document.uri if document is not None else uri_from_path(name)
            files[path] = SourceFile(uri, name, ProtocolIndex(text), tree)
    return list(files.values())


def _list_sources(analysis: Analysis) -> dict[str, None]:
    """Return the names of the files from which the values of a config come."""
    names: dict[str, None] = {}
    pending = [analysis.result.written] if analysis.result.written is not None else []
    while pending:
        node = pending.pop()
        if node.mark.source.has_positions:
            names[node.mark.source.name] = None
        pending.extend(child for _, child in node.children if child.children or child.via is not None)
    return names


def read_text(path: Path) -> str | None:
    """Return the text of a file; None if it is too large, unreadable or not UTF-8."""
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
        return data.decode("utf-8") if len(data) <= MAX_BYTES else None
    except (OSError, ValueError):
        return None


def _locate_symbol(symbol: Symbol) -> Json:
    return {"uri": symbol.file.uri, "range": symbol.file.index.range_of(symbol.start, symbol.end)}


def highlight_uses(navigator: Navigator, analysis: Analysis, offset: int) -> list[Any]:
    """Return the occurrences in the same text of the name at an offset."""
    symbol = navigator.find_symbol(offset)
    found = navigator.find_all(symbol.key) if symbol is not None else []
    return [{"range": _locate_symbol(one)["range"]} for one in found if one.file.uri == analysis.document.uri]
