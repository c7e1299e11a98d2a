"""Infinite numbers in a table of text, which training refuses unless they are declared as missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

_PATTERN: Final = r"^[-+]?(?i:inf(?:inity)?)$"


def find_infinity_words(table: Any, columns: Sequence[str]) -> list[str]:
    """Return the distinct texts that are infinite numbers in some columns of an Arrow table of texts."""
    import pyarrow as pa
    from pyarrow import compute as pc

    words: dict[str, None] = {}
    for name in columns:
        column = table.column(name)
        if pa.types.is_string(column.type):
            found = column.filter(pc.match_substring_regex(column, _PATTERN))
            words |= dict.fromkeys(pc.unique(found).to_pylist())
    return [word for word in words if word]
