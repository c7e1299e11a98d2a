"""The outline of a config: symbols, folding ranges, semantic tokens and code lenses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from layercli.language_server.analysis import Analysis
from layercli.language_server.hints import describe_entry_shapes
from layercli.language_server.names import Names, SourceFile, iterate_symbols
from layercli.language_server.positions import count_units
from layercli.language_server.transport import Json
from layercli.reports.formatting import format_count, format_short_count
from layercli.source.nodes import YamlNode

TRAIN_COMMAND: Final = "layercli.train"
TOKEN_TYPES: Final = ("class", "function", "variable", "parameter")
_TOKEN_OF_KIND: Final = {"block": 1, "layer": 2, "input": 2, "variable": 3, "parameter": 3}
_NAMESPACE, _CLASS, _FUNCTION, _VARIABLE, _OBJECT = 3, 5, 12, 13, 19
"""Kinds of symbols in the protocol."""


def list_symbols(analysis: Analysis) -> list[Json]:
    """Return the sections, with their blocks, layers and variables."""
    tree = analysis.tree
    if tree is None:
        return []
    symbols = []
    for step, node in tree.children:
        key = str(step)
        children = list(_list_children(analysis, key, node))
        symbols.append(_make_symbol(analysis, key, "", _NAMESPACE, tree, key, children))
    return [symbol for symbol in symbols if symbol]


def _list_children(analysis: Analysis, section: str, node: YamlNode) -> Iterator[Json]:
    if section == "model" and (layers := node.find(("layers",))) is not None:
        yield from _list_entries(analysis, layers)
    for step, child in node.children if section in ("blocks", "vars") else ():
        layers = child.find(("layers",)) if section == "blocks" else None
        inner = list(_list_entries(analysis, layers)) if layers is not None else []
        kind = _FUNCTION if section == "blocks" else _VARIABLE
        yield from filter(None, [_make_symbol(analysis, str(step), "", kind, node, str(step), inner)])


def _list_entries(analysis: Analysis, layers: YamlNode) -> Iterator[Json]:
    """Yield a symbol for each entry: its name or type, and its shape."""
    for _, entry in layers.children:
        value = entry.value if isinstance(entry.value, dict) else {"type": entry}
        words = [str(value[key].value) for key in ("name", "type", "block", "reuse") if key in value]
        if not words or entry.mark.source is not layers.mark.source:
            continue
        start, end = analysis.index.node_span(entry)
        place = analysis.index.range_of(start, end)
        shown = " ".join([*words[1:], *describe_entry_shapes(analysis, entry)])
        kind = _FUNCTION if "block" in value else _CLASS
        yield {
            "name": words[0] or "?",
            "detail": shown,
            "kind": kind,
            "range": place,
            "selectionRange": place,
        }


def _make_symbol(
    analysis: Analysis, name: str, detail: str, kind: int, parent: YamlNode, key: str, children: list[Json]
) -> Json | None:
    if key not in parent.keys or parent.keys[key].source is not parent.mark.source:
        return None
    index = analysis.index
    start = index.mark_offset(parent.keys[key])
    child = parent.find((key,))
    assert child is not None
    end = index.node_span(child)[1] if child.mark.source is parent.mark.source else start
    key_end = start + len(key)
    return {
        "name": name or "?",
        "detail": detail,
        "kind": kind,
        "range": index.range_of(start, max(end, key_end)),
        "selectionRange": index.range_of(start, key_end),
        "children": children,
    }


def list_folding_ranges(analysis: Analysis) -> list[Json]:
    """Return the lines of each mapping and list that has several."""
    ranges: dict[int, int] = {}
    tree = analysis.tree
    pending = [tree] if tree is not None else []
    while pending:
        node = pending.pop()
        for step, child in node.children:
            if tree is None or child.mark.source is not tree.mark.source or not child.children:
                continue
            pending.append(child)
            mark = node.keys.get(step, child.mark) if isinstance(step, str) else child.mark
            start, end = mark.line, analysis.index.yaml_position(analysis.index.node_span(child)[1])[0]
            if end > start:
                first = analysis.index.position_at(analysis.index.offset_of(start, 1))["line"]
                last = analysis.index.position_at(analysis.index.offset_of(end, 1))["line"]
                ranges[first] = max(last, ranges.get(first, 0))
    return [{"startLine": first, "endLine": last} for first, last in sorted(ranges.items())]


def list_semantic_tokens(analysis: Analysis) -> list[int]:
    """Return the tokens of types of layers, names and references, each relative to the one before."""
    tree, index = analysis.tree, analysis.index
    if tree is None:
        return []
    file = SourceFile(analysis.document.uri, analysis.name, index, tree)
    spans = {
        (one.start, one.end): _TOKEN_OF_KIND[str(one.key[0])]
        for one in iterate_symbols(file, Names(analysis))
    }
    spans |= dict.fromkeys(_list_types(analysis, tree), 0)
    tokens: list[int] = []
    line = character = 0
    for (start, end), kind in sorted(spans.items()):
        place = index.position_at(start)
        is_same_line = place["line"] == line
        before = character if is_same_line else 0
        if "\n" in index.text[start:end] or start == end or (is_same_line and place["character"] < before):
            continue
        tokens += [
            place["line"] - line,
            place["character"] - before,
            count_units(index.text[start:end]),
            kind,
            0,
        ]
        line, character = place["line"], place["character"]
    return tokens


def _list_types(analysis: Analysis, tree: YamlNode) -> Iterator[tuple[int, int]]:
    """Yield the span of each type, and of each layer without arguments."""
    pending = [tree]
    while pending:
        node = pending.pop()
        for step, child in node.children:
            if child.mark.source is tree.mark.source:
                pending.append(child)
                if step == "type" and isinstance(child.value, str) and "${" not in child.value:
                    yield analysis.index.node_span(child)


def list_code_lenses(analysis: Analysis) -> list[Json]:
    """Return the totals of the model above `model`, and the command that trains it above `train`."""
    tree, shapes = analysis.tree, analysis.result.shapes
    if tree is None or analysis.result.config is None or shapes is None:
        return []
    lenses = []
    trainable, fixed = shapes.trainable, shapes.non_trainable
    parameters = trainable + fixed if trainable is not None and fixed is not None else None
    title = f"{format_count(parameters)} parameters · {format_short_count(shapes.flops)} FLOPs · {len(shapes.rows)} layers"
    commands: dict[str, Json] = {"model": {"title": title, "command": ""}}
    if analysis.result.ok:
        commands["train"] = {"title": "Train", "command": TRAIN_COMMAND, "arguments": [analysis.document.uri]}
    for key, command in commands.items():
        mark = tree.keys.get(key)
        if mark is not None and mark.source is tree.mark.source:
            start = analysis.index.mark_offset(mark)
            lenses.append({"range": analysis.index.range_of(start, start + len(key)), "command": command})
    return lenses
