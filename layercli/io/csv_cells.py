"""Cells of CSV files that a spreadsheet opens."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import _csv

_FORMULA_PREFIXES: Final = ("=", "+", "-", "@", "\t", "\r")
_LONGEST: Final = 2**31 - 1
"""Largest limit on every system."""


def escape_formula(value: Any) -> Any:
    """Return a CSV cell value; quote a text that a spreadsheet would run as a formula."""
    if not isinstance(value, str) or not value.startswith(_FORMULA_PREFIXES):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value


def read_csv(lines: Iterable[str], *, max_length: int = _LONGEST, **options: Any) -> _csv.Reader:
    """Return a reader of CSV lines whose values may have more characters than the limit of Python, 131,072."""
    csv.field_size_limit(max_length)
    return csv.reader(lines, **options)
