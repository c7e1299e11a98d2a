"""Files with a header where the table was declared without one, and files without a header where it has one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from layercli.data.types import PATH_KEY, raise_data_error
from layercli.formats.csv.config import Csv
from layercli.source.nodes import sanitize_text

_NUMBER: Final = re.compile(r"[-+(]?[$€£]?(?:\d[\d.,' ]*|[.,]\d+)(?:[eEdD][-+]?\d+)?\s*[%)]?")
_MIN_ROWS: Final = 10
"""Fewer rows do not show that the first value of a column of texts is the name of the others."""
_MIN_COLUMNS: Final = 2
"""Columns whose first value is a name that show a header, if no column has numbers below it."""
_NUMERIC_SHARE: Final = 0.9
_MAX_SHOWN: Final = 6
_MAX_NAMED: Final = 20


def check_header(
    rows: Sequence[Sequence[str]], names: Sequence[str], data: Csv, shown: str, *, is_new: bool
) -> None:
    """Check that the first rows of a file begin with names, or with values if ``columns`` names the columns.

    ``names`` are those of the values of a row, ``shown`` is the name of the file, and ``is_new`` is whether it is not the
    file of the section.

    Raises:
        DataError: otherwise.
    """
    first = [value.strip() for value in rows[0]] if rows else []
    if not first:
        return
    listed = ", ".join(sanitize_text(value, limit=40) for value in first[:_MAX_SHOWN])
    listed += ", ..." if len(first) > _MAX_SHOWN else ""
    if data.columns is None:
        if is_new and not set(first) & {*data.types, *data.dates} and any(map(_NUMBER.fullmatch, first)):
            used = ", ".join(sanitize_text(name, limit=40) for name in list(data.types)[:_MAX_NAMED])
            raise_data_error(
                f"{shown} must begin with the names of its columns, as the data of the training does; its first line is a "
                f"row ({listed}).",
                PATH_KEY,
                f"Add a line with the names above it. The model was trained with {used}.",
            )
    elif _has_names(first, rows[1:], names, data):
        message = f"{shown} begins with the names of its columns ({listed}), but "
        if is_new:
            raise_data_error(
                message + "the data of the training has no header line.",
                PATH_KEY,
                "Check that its columns are those of the training in the same order: "
                f"{', '.join(sanitize_text(name, limit=40) for name in names[:_MAX_NAMED])}. Then remove its first line.",
            )
        raise_data_error(
            message + "`columns` says that it has no header line.",
            ("data", "columns"),
            "Remove the first line of the file; or remove `columns`, and use the names of the file in the config.",
        )


def _has_names(first: Sequence[str], body: Sequence[Sequence[str]], names: Sequence[str], data: Csv) -> bool:
    """Return whether the first row has names instead of values.

    Names are different texts, and not values of their columns. Texts in columns of numbers or dates are names; in
    columns of texts, only if the values of several columns are repeated.
    """
    missing = {"", *data.missing.words}
    if len(set(first)) < len(first) or missing.intersection(first) or any(map(_NUMBER.match, first)):
        return False
    if set(first) == set(names):
        return True
    columns: list[list[str]] = [[] for _ in first]
    for row in body:
        if len(row) == len(first):
            for column, value in zip(columns, row, strict=True):
                if value.strip() not in missing:
                    column.append(value.strip())
    if any(name in column for name, column in zip(first, columns, strict=True)):
        return False
    typed = [name for name in names if data.types.get(name) == "number" or name in data.dates]
    numeric = sum(
        bool(column) and sum(map(_is_number, column)) >= _NUMERIC_SHARE * len(column) for column in columns
    )
    if numeric or (not body and len(typed) >= _MIN_COLUMNS):
        return True
    repeated = [
        column for column in columns if len(column) >= _MIN_ROWS and len(set(column)) * 2 <= len(column)
    ]
    return len(repeated) >= _MIN_COLUMNS


def _is_number(value: str) -> bool:
    return _NUMBER.fullmatch(value) is not None
