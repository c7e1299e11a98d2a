"""The UTF-16 positions of the protocol in a text, and its changes of a text."""

from __future__ import annotations

import re
from bisect import bisect_right
from functools import cached_property
from typing import Final

from layercli.language_server.transport import Json
from layercli.source.text_index import TextIndex

_PROTOCOL_LINE_BREAK: Final = re.compile("\r\n|[\n\r]")


class ProtocolIndex(TextIndex):
    """A text with the offsets at which its lines start, including those of the protocol.

    YAML has more line breaks than the protocol, whose columns count UTF-16 units.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._is_ascii = text.isascii()

    @cached_property
    def _protocol_line_starts(self) -> list[int]:
        """The offset of each line of the protocol."""
        return [0, *(match.end() for match in _PROTOCOL_LINE_BREAK.finditer(self.text))]

    def position_at(self, offset: int) -> Json:
        """Return the position of the protocol at an offset."""
        line = bisect_right(self._protocol_line_starts, offset) - 1
        start = self._protocol_line_starts[line]
        column = offset - start if self._is_ascii else count_units(self.text[start:offset])
        return {"line": line, "character": column}

    def offset_at(self, position: Json) -> int:
        """Return the offset of a position of the protocol; the nearest one for a position outside the text."""
        line, character = position.get("line"), position.get("character")
        if not isinstance(line, int) or not isinstance(character, int) or line < 0:
            return 0
        starts = self._protocol_line_starts
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

    def edit_to(self, new_text: str) -> Json:
        """Return the edit of the protocol that changes a text to a new one, as short as possible."""
        old = self.text
        most = min(len(old), len(new_text))
        start = next((place for place in range(most) if old[place] != new_text[place]), most)
        tail = next(
            (count for count in range(most - start) if old[-1 - count] != new_text[-1 - count]), most - start
        )
        return {
            "range": self.range_of(start, len(old) - tail),
            "newText": new_text[start : len(new_text) - tail],
        }

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
