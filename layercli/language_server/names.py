"""The names in configs: where each is declared and used. Definition, references and rename follow from this."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

from layercli.config.language.blocks import BLOCKS_KEY
from layercli.config.language.variables import VARS_KEY
from layercli.config.name_patterns import has_wildcard
from layercli.config.names import INPUT, PREVIOUS
from layercli.graph.lora import LORA_PATH
from layercli.language_server.analysis import Analysis
from layercli.language_server.hover import REFERENCE, find_entry_path
from layercli.language_server.positions import ProtocolIndex
from layercli.source.nodes import KeyPath, Mark, YamlNode

SymbolKey: TypeAlias = tuple[str | int, ...]
"""The kind of a name and what it belongs to: equal for its declaration and all its uses."""
_TOP: Final = ""
"""The scope of `model.layers`; that of a block is the name of the block."""
_BY_OUTPUT: Final = frozenset(
    {("train", key) for key in ("loss", "loss_weights", "metrics", "weighted_metrics")}
    | {("data", key) for key in ("target", "target_type", "inputs")}
)
"""Mappings whose keys are names of outputs or inputs."""
_SWEEP_VARIABLE: Final = re.compile(r"vars\.(\w+)")
_SWEEP_LAYER: Final = re.compile(r"model\.layers\.([A-Za-z][\w-]*)")


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file with its values."""

    uri: str
    name: str
    """The name of the file in marks."""
    index: ProtocolIndex
    tree: YamlNode


@dataclass(frozen=True, slots=True)
class Symbol:
    """One occurrence of a name."""

    key: SymbolKey
    file: SourceFile
    start: int
    """The offset in the text of the file."""
    end: int
    is_declaration: bool = False


class Names:
    """The names of layers and blocks in a config, with the files that it extends."""

    def __init__(self, analysis: Analysis) -> None:
        self._written = analysis.result.written or analysis.tree
        self._entries: dict[SymbolKey, tuple[str, YamlNode]] = {}
        """Position of an entry -> its scope and the entry."""
        self._scopes: dict[str, dict[str, SymbolKey]] = {_TOP: {}}
        self._inputs = {str(step) for step, _ in self._list_children(("model", "inputs"))}
        self._add_list(_TOP, self._list_children(("model", "layers")))
        for block, node in self._list_children((BLOCKS_KEY,)):
            layers = node.find(("layers",))
            self._add_list(str(block), layers.children if layers is not None else [])
        for row, marks in analysis.iterate_rows():
            steps = row.node.name.split(".")
            for step, mark in zip(steps, marks, strict=False) if len(steps) == len(marks) else ():
                self._add_name(step, mark)

    def _list_children(self, path: KeyPath) -> list[tuple[str | int, YamlNode]]:
        node = self._written.find(path) if self._written is not None else None
        return node.children if node is not None else []

    def _add_list(self, scope: str, children: Iterable[tuple[str | int, YamlNode]]) -> None:
        self._scopes.setdefault(scope, {})
        for _, entry in children:
            self._entries[_make_symbol_key(entry.mark)] = scope, entry
            name = _read_text(entry, "name")
            if name is not None:
                self._scopes[scope].setdefault(name, _make_symbol_key(entry.mark))

    def _add_name(self, step: str, mark: Mark) -> None:
        found = self._entries.get(_make_symbol_key(mark))
        if found is not None:
            self._scopes[found[0]].setdefault(step, _make_symbol_key(mark))

    def list_scope(self, scope: str) -> set[str]:
        """Return the names of the layers in a list, and those of the model's inputs."""
        return {*self._scopes.get(scope, ()), *(self._inputs if scope == _TOP else ())}

    def scope_of(self, key: SymbolKey) -> str:
        """Return the scope of a layer."""
        return self._entries[key[1:]][0]

    def mark_of(self, key: SymbolKey) -> Mark | None:
        """Return the position of the entry of a layer."""
        found = self._entries.get(key[1:])
        return found[1].mark if found is not None else None

    def resolve(self, scope: str, text: str) -> Iterator[tuple[SymbolKey, int, int]]:
        """Yield the layers, blocks and inputs that a reference names, each with its place in the text."""
        name, start = text.partition(":")[0], 0
        while name and name not in (INPUT, PREVIOUS):
            place = self._find_symbol(scope, name)
            head = name
            if place is None and "." in name:
                head = name.partition(".")[0]
                place = self._find_symbol(scope, head)
            if place is None:
                if start == 0 and name in self._inputs:
                    yield ("input", name), start, start + len(name)
                return
            declared = _read_text(self._entries[place][1], "name")
            is_numbered = declared is not None and head.startswith(declared)
            yield ("layer", *place), start, start + len(declared if is_numbered and declared else head)
            start, name = start + len(head) + 1, name[len(head) + 1 :]
            scope = _read_text(self._entries[place][1], "block") or scope

    def _find_symbol(self, scope: str, name: str) -> SymbolKey | None:
        return self._scopes.get(scope, {}).get(name) or self._scopes[_TOP].get(name)


def _make_symbol_key(mark: Mark) -> SymbolKey:
    return mark.source.name, mark.line, mark.column


def _read_text(entry: YamlNode, key: str) -> str | None:
    node = entry.find((key,))
    return node.value if node is not None and isinstance(node.value, str) else None


def _is_in_freeze(path: KeyPath) -> bool:
    return path[:2] == ("model", "freeze") or (path[:2] == ("train", "stages") and path[3:4] == ("freeze",))


def _has_layer_names(path: KeyPath) -> bool:
    """Return whether the keys of this mapping are names of layers."""
    return path[:2] in _BY_OUTPUT or path[:2] == LORA_PATH


def iterate_symbols(file: SourceFile, names: Names) -> Iterator[Symbol]:
    """Yield every occurrence of a name in a file."""
    pending: list[tuple[YamlNode, KeyPath]] = [(file.tree, ())]
    finder = _SymbolFinder(file, names)
    while pending:
        node, path = pending.pop()
        for step, child in reversed(node.children):
            if isinstance(step, str) and step in node.keys:
                yield from finder.list_in_key(node.keys[step], (*path, step))
            if child.mark.source is file.tree.mark.source:
                pending.append((child, (*path, step)))
        if isinstance(node.value, str):
            yield from finder.list_in_value(node, path)


class _SymbolFinder:
    def __init__(self, file: SourceFile, names: Names) -> None:
        self._file = file
        self._names = names
        self._parameters: dict[str, set[str]] = {}
        blocks = file.tree.find((BLOCKS_KEY,))
        for block, node in blocks.children if blocks is not None else []:
            params = node.find(("params",))
            listed = params.children if params is not None else []
            found = {str(step) for step, _ in listed if isinstance(step, str)}
            for step, child in listed:
                if isinstance(step, int):
                    found |= (
                        {child.value}
                        if isinstance(child.value, str)
                        else {str(key) for key, _ in child.children}
                    )
            self._parameters[str(block)] = found

    def list_in_key(self, mark: Mark, path: KeyPath) -> Iterator[Symbol]:
        """Yield the names in a key."""
        key = str(path[-1])
        entry_path = find_entry_path(path)
        symbol: SymbolKey | None = None
        is_declaration = True
        if len(path) == 2 and path[0] == VARS_KEY:
            symbol = ("variable", key)
        elif len(path) == 2 and path[0] == BLOCKS_KEY:
            symbol = ("block", key)
        elif (
            path[:1] == (BLOCKS_KEY,)
            and path[2:3] == ("params",)
            and isinstance(path[-1], str)
            and len(path) in (4, 5)
        ):
            symbol = ("parameter", str(path[1]), key)
        elif path[:2] == ("model", "inputs") and len(path) == 3:
            symbol = ("input", key)
        elif entry_path is not None and path[len(entry_path) : -1] == ("with",):
            block = self._read_text_at(entry_path, "block")
            symbol, is_declaration = ("parameter", block, key) if block else None, False
        if symbol is not None:
            yield self._make(symbol, mark, 0, len(key), is_declaration=is_declaration)
        elif len(path) == 2 and path[0] == "space":
            yield from self._list_in_sweep_path(mark, key)
        elif len(path) == 3 and _has_layer_names(path) and key != "type" and not has_wildcard(key):
            for found, start, end in self._names.resolve(_TOP, key):
                yield self._make(found, mark, start, end)

    def _list_in_sweep_path(self, mark: Mark, key: str) -> Iterator[Symbol]:
        """Yield the variable or the layer that a path in `space` of a sweep file names."""
        if found := _SWEEP_VARIABLE.match(key):
            yield self._make(("variable", found[1]), mark, found.start(1), found.end(1))
        elif found := _SWEEP_LAYER.match(key):
            for symbol, start, end in list(self._names.resolve(_TOP, found[1]))[:1]:
                yield self._make(symbol, mark, found.start(1) + start, found.start(1) + end)

    def list_in_value(self, node: YamlNode, path: KeyPath) -> Iterator[Symbol]:
        """Yield the names in a string."""
        text = str(node.value)
        block = str(path[1]) if path[:1] == (BLOCKS_KEY,) and len(path) > 1 else None
        if "${" in text:
            first, last = self._file.index.node_span(node)
            for found in REFERENCE.finditer(self._file.index.text, first, last):
                is_parameter = block is not None and found[1] in self._parameters.get(block, ())
                key: SymbolKey = (
                    ("parameter", str(block), found[1]) if is_parameter else ("variable", found[1])
                )
                yield Symbol(key, self._file, found.start(1), found.end(1))
            return
        entry_path = find_entry_path(path)
        if entry_path is not None:
            yield from self._list_in_entry(node, text, path[len(entry_path) :], entry_path, block or _TOP)
        elif path[:2] == ("model", "outputs") or (_is_in_freeze(path) and not has_wildcard(text)):
            for key, start, end in self._names.resolve(_TOP, text):
                yield self._make(key, node.mark, start, end)
        elif block is not None and path[2:3] == ("params",) and len(path) == 4 and isinstance(path[3], int):
            yield self._make(("parameter", block, text), node.mark, 0, len(text), is_declaration=True)

    def _list_in_entry(
        self, node: YamlNode, text: str, steps: KeyPath, entry_path: KeyPath, scope: str
    ) -> Iterator[Symbol]:
        if steps == ("block",):
            yield self._make(("block", text), node.mark, 0, len(text))
        elif steps == ("name",):
            entry = self._file.tree.find(entry_path)
            assert entry is not None
            yield self._make(
                ("layer", *_make_symbol_key(entry.mark)), node.mark, 0, len(text), is_declaration=True
            )
        elif steps[:1] == ("inputs",) or steps == ("reuse",):
            for key, start, end in self._names.resolve(scope, text):
                yield self._make(key, node.mark, start, end)

    def _read_text_at(self, entry_path: KeyPath, key: str) -> str | None:
        entry = self._file.tree.find(entry_path)
        return _read_text(entry, key) if entry is not None else None

    def _make(
        self, key: SymbolKey, mark: Mark, start: int, end: int, *, is_declaration: bool = False
    ) -> Symbol:
        offset = self._file.index.mark_offset(mark)
        if self._file.index.text[offset : offset + 1] in ("'", '"'):
            offset += 1
        return Symbol(key, self._file, offset + start, offset + end, is_declaration)
