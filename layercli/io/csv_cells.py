"""Cells of CSV files that a spreadsheet opens."""

from __future__ import annotations

from typing import Any, Final

_FORMULA_PREFIXES: Final = ("=", "+", "-", "@", "\t", "\r")


def escape_formula(value: Any) -> Any:
    """Return a CSV cell value; quote a text that a spreadsheet would run as a formula."""
    if not isinstance(value, str) or not value.startswith(_FORMULA_PREFIXES):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value
