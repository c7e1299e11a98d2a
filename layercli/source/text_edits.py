"""Changes of a config's text that leave its other lines as they are: set a key, insert an entry."""

from __future__ import annotations

import re
from collections.abc import Sequence

from layercli.source.nodes import KeyPath, YamlNode
from layercli.source.text_index import TextIndex


def set_key(index: TextIndex, tree: YamlNode, path: KeyPath, key: str, value: str) -> str | None:
    """Return the text with a key of the mapping at a path set; None if the mapping is not written in this text."""
    node = tree.find(path)
    if node is None or node.mark.source is not tree.mark.source:
        return None
    text = index.text
    start, end = index.node_span(node)
    if isinstance(node.value, str) and path:  # a bare type
        return f"{text[:start]}{{type: {text[start:end]}, {key}: {value}}}{text[end:]}"
    if not isinstance(node.value, dict) or not node.value:
        return None
    known = node.value.get(key)
    if known is not None:
        first, last = index.node_span(known)
        before = text[:first].rstrip()
        if before.endswith(":") and "\n" in text[len(before) : first]:  # a value on the lines below its key
            return f"{before} {value}{text[last:]}"
        return text[:first] + (value if last > first else f" {value}") + text[last:]
    if index.has_brackets(node):
        place = _find_last_entry_end(index, node) or len(text[: end - 1].rstrip())
        return f"{text[:place]}, {key}: {value}{text[place:]}"
    place = index.line_end(index.yaml_position(end)[0])
    return f"{text[:place]}{_line_break(text)}{' ' * (node.mark.column - 1)}{key}: {value}{text[place:]}"


def _find_last_entry_end(index: TextIndex, node: YamlNode) -> int | None:
    """Return the offset after the last value of a mapping in braces, before a comma or comment; None if it is not known."""
    spans = [index.node_span(child) for _, child in node.children if child.mark.source is node.mark.source]
    start, end = max(spans, default=(0, 0))
    return end if end > start else None


def remove_key(index: TextIndex, tree: YamlNode, path: KeyPath, key: str) -> str | None:
    """Return the text without a key of the mapping at a path; None if the key is not written in this text."""
    node = tree.find(path)
    value = node.find((key,)) if node is not None else None
    if node is None or value is None or key not in node.keys or node.mark.source is not tree.mark.source:
        return None
    text, start = index.text, index.mark_offset(node.keys[key])
    end = max(index.node_span(value)[1], start + len(key) + 1)
    if index.has_brackets(node):
        after = re.match(r"\s*,\s*", text[end:])
        if after is not None:
            return text[:start] + text[end + after.end() :]
        return re.sub(r"\s*,\s*$", "", text[:start]) + text[end:]
    line = index.yaml_position(end)[0]
    first = index.offset_of(node.keys[key].line, 1)
    if text[first:start].strip():  # the first key of an item of a list
        return None
    return text[:first] + text[index.offset_of(line + 1, 1) :]


def insert_entry(index: TextIndex, tree: YamlNode, path: KeyPath, entry: str) -> str | None:
    """Return the text with an entry before the one at a path."""
    node = tree.find(path)
    if node is None or node.mark.source is not tree.mark.source:
        return None
    text, start = index.text, index.mark_offset(node.mark)
    line_start = index.offset_of(node.mark.line, 1)
    dash = re.fullmatch(r"(\s*)-\s+", text[line_start:start])
    if dash is None:
        return f"{text[:start]}{entry}, {text[start:]}"
    return f"{text[:line_start]}{dash[1]}- {entry}{_line_break(text)}{text[line_start:]}"


def replace_entries(
    index: TextIndex, tree: YamlNode, list_path: KeyPath, first: int, last: int, entries: Sequence[str]
) -> str | None:
    """Return the text with other entries in place of some of a list; None if the list has brackets."""
    lines = find_entry_lines(index, tree, list_path, first, last)
    if lines is None:
        return None
    start, end, indent = lines
    body = _line_break(index.text).join(f"{indent}- {entry}" for entry in entries)
    return index.text[:start] + body + index.text[end:]


def find_entry_lines(
    index: TextIndex, tree: YamlNode, list_path: KeyPath, first: int, last: int
) -> tuple[int, int, str] | None:
    """Return the start and the end of the lines of some entries, and their indentation; None for a list in brackets."""
    begin, final = tree.find((*list_path, first)), tree.find((*list_path, last))
    if begin is None or final is None or begin.mark.source is not tree.mark.source:
        return None
    start = index.offset_of(begin.mark.line, 1)
    dash = re.fullmatch(r"(\s*)-\s+", index.text[start : index.mark_offset(begin.mark)])
    if dash is None or (index.offset_of(final.mark.line, 1) == start and first != last):
        return None
    end = index.line_end(index.yaml_position(index.node_span(final)[1])[0])
    return start, end, dash[1]


def _line_break(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"
