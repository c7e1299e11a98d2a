"""A text with the offsets of its lines: from lines and columns of YAML to offsets, and back."""

from __future__ import annotations

import re
from bisect import bisect_right
from functools import cached_property
from typing import Final

from layercli.source.load import LINE_BREAK
from layercli.source.nodes import Mark, YamlNode

BYTE_ORDER_MARK: Final = "\ufeff"
_BRACKET: Final = re.compile(r"(?:[&!]\S*\s+)*[\[{]")


class TextIndex:
    """A text with the offsets at which its lines start."""

    def __init__(self, text: str) -> None:
        self.text = text

    @cached_property
    def _line_starts(self) -> list[int]:
        """The offset of each line of YAML; a byte order mark is not part of the text."""
        first = len(BYTE_ORDER_MARK) if self.text.startswith(BYTE_ORDER_MARK) else 0
        return [first, *(match.end() for match in LINE_BREAK.finditer(self.text))]

    def offset_of(self, line: int, column: int) -> int:
        """Return the offset of a line and column of YAML, which count from 1; the nearest one for others."""
        starts = self._line_starts
        if line > len(starts):
            return len(self.text)
        end = starts[line] if line < len(starts) else len(self.text)
        return min(starts[max(line, 1) - 1] + max(column, 1) - 1, end)

    def yaml_position(self, offset: int) -> tuple[int, int]:
        """Return the line and column of YAML, from 1, of an offset."""
        line = max(bisect_right(self._line_starts, offset), 1)
        return line, max(offset - self._line_starts[line - 1], 0) + 1

    def line_end(self, line: int) -> int:
        """Return the offset of the end of a line of YAML, from 1, without its break and spaces before it."""
        starts = self._line_starts
        if line > len(starts):
            return len(self.text)
        end = starts[line] if line < len(starts) else len(self.text)
        return starts[line - 1] + len(self.text[starts[line - 1] : end].rstrip())

    def mark_offset(self, mark: Mark) -> int:
        """Return the offset of a mark in this text."""
        return self.offset_of(mark.line, mark.column)

    def node_span(self, node: YamlNode) -> tuple[int, int]:
        """Return the offsets of the start and the end of a node, without spaces and comments after it."""
        start = self.mark_offset(node.mark)
        return start, max(start, self._node_end(node, start))

    def has_brackets(self, node: YamlNode) -> bool:
        """Return whether a list or mapping is written in brackets, maybe after an anchor."""
        return _BRACKET.match(self.text, self.mark_offset(node.mark)) is not None

    def _node_end(self, node: YamlNode, start: int) -> int:
        if node.end is None:
            return start
        end = self.offset_of(*node.end)
        if not isinstance(node.value, (dict, list)) or self.has_brackets(node):
            return start + len(self.text[start:end].rstrip())
        ends = [self.mark_offset(mark) for mark in node.keys.values()]
        for _, child in node.children:
            child_start = self.mark_offset(child.mark)
            if start <= child_start <= end:  # not an alias of a value above
                ends.append(self._node_end(child, child_start))
        return max([start, *(each for each in ends if each <= end)])
