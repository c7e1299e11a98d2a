"""Positions in a text: offsets, the lines and columns of problems, and the UTF-16 positions of the protocol."""

from __future__ import annotations

import re
from bisect import bisect_right
from functools import cached_property
from typing import Final

from layercli.language_server.transport import Json
from layercli.source.load import LINE_BREAK
from layercli.source.nodes import Mark, YamlNode

_PROTOCOL_LINE_BREAK: Final = re.compile("\r\n|[\n\r]")
BYTE_ORDER_MARK: Final = "\ufeff"


class TextIndex:
    """A text with the offsets at which its lines start.

    YAML has more line breaks than the protocol, whose columns count UTF-16 units.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._is_ascii = text.isascii()

    @cached_property
    def _line_starts(self) -> list[int]:
        """The offset of each line of the protocol."""
        return [0, *(match.end() for match in _PROTOCOL_LINE_BREAK.finditer(self.text))]

    @cached_property
    def _yaml_line_starts(self) -> list[int]:
        """The offset of each line of YAML; a byte order mark is not part of the text."""
        first = len(BYTE_ORDER_MARK) if self.text.startswith(BYTE_ORDER_MARK) else 0
        return [first, *(match.end() for match in LINE_BREAK.finditer(self.text))]

    def offset_of(self, line: int, column: int) -> int:
        """Return the offset of a line and column of YAML, which count from 1; the nearest one for others."""
        starts = self._yaml_line_starts
        if line > len(starts):
            return len(self.text)
        end = starts[line] if line < len(starts) else len(self.text)
        return min(starts[max(line, 1) - 1] + max(column, 1) - 1, end)

    def yaml_position(self, offset: int) -> tuple[int, int]:
        """Return the line and column of YAML, from 1, of an offset."""
        line = max(bisect_right(self._yaml_line_starts, offset), 1)
        return line, max(offset - self._yaml_line_starts[line - 1], 0) + 1

    def line_end(self, line: int) -> int:
        """Return the offset of the end of a line of YAML, from 1, without its break and spaces before it."""
        starts = self._yaml_line_starts
        if line > len(starts):
            return len(self.text)
        end = starts[line] if line < len(starts) else len(self.text)
        return starts[line - 1] + len(self.text[starts[line - 1] : end].rstrip())

    def position_at(self, offset: int) -> Json:
        """Return the position of the protocol at an offset."""
        line = bisect_right(self._line_starts, offset) - 1
        start = self._line_starts[line]
        column = offset - start if self._is_ascii else count_units(self.text[start:offset])
        return {"line": line, "character": column}

    def offset_at(self, position: Json) -> int:
        """Return the offset of a position of the protocol; the nearest one for a position outside the text."""
        line, character = position.get("line"), position.get("character")
        if not isinstance(line, int) or not isinstance(character, int) or line < 0:
            return 0
        starts = self._line_starts
        if line >= len(starts):
            return len(self.text)
        start = starts[line]
        content = self.text[start : starts[line + 1] if line + 1 < len(starts) else len(self.text)]
        content = content.rstrip("\r\n")
        if self._is_ascii or content.isascii():
            return start + min(max(character, 0), len(content))
        units = 0
        for index, char in enumerate(content):
            if units >= character:
                return start + index
            units += 2 if ord(char) > 0xFFFF else 1
        return start + len(content)

    def range_of(self, start: int, end: int) -> Json:
        """Return the range of the protocol between two offsets."""
        return {"start": self.position_at(start), "end": self.position_at(max(start, end))}

    def mark_offset(self, mark: Mark) -> int:
        """Return the offset of a mark in this text."""
        return self.offset_of(mark.line, mark.column)

    def node_span(self, node: YamlNode) -> tuple[int, int]:
        """Return the offsets of the start and the end of a node, without spaces and comments after it."""
        start = self.mark_offset(node.mark)
        return start, max(start, self._node_end(node, start))

    def _node_end(self, node: YamlNode, start: int) -> int:
        if node.end is None:
            return start
        end = self.offset_of(*node.end)
        is_flow = self.text[start : start + 1] in ("{", "[")
        if not isinstance(node.value, (dict, list)) or is_flow:
            return start + len(self.text[start:end].rstrip())
        ends = [self.mark_offset(mark) for mark in node.keys.values()]
        for _, child in node.children:
            child_start = self.mark_offset(child.mark)
            if start <= child_start <= end:  # not an alias of a value above
                ends.append(self._node_end(child, child_start))
        return max([start, *(each for each in ends if each <= end)])

    def apply_change(self, change: Json) -> str:
        """Return the text after a change of the protocol; a range outside the text is cut."""
        new, changed = change.get("text"), change.get("range")
        if not isinstance(new, str):
            return self.text
        if not isinstance(changed, dict):
            return new
        start, end = (
            self.offset_at(place) if isinstance(place := changed.get(key), dict) else 0
            for key in ("start", "end")
        )
        start, end = sorted((start, end))
        return self.text[:start] + new + self.text[end:]


def count_units(text: str) -> int:
    """Return the number of UTF-16 units of a text."""
    return len(text) + sum(char > "\uffff" for char in text)
