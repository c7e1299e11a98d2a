"""Where in a file of comma-separated values something stands; read only when something is wrong."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from layercli.config.data.tables import Csv
from layercli.source.nodes import printable

DecompressionError = zlib.error
_LARGEST_FIELD = 1 << 24


@contextmanager
def opened(file: Path) -> Iterator[IO[str]]:
    """The text of a file, plain or gzipped; what is no UTF-8 is replaced."""
    with gzip.open(file, "rb") if file.suffix == ".gz" else file.open("rb") as raw:
        yield io.TextIOWrapper(raw, encoding="utf-8-sig", errors="replace", newline="")


def header(file: Path, data: Csv) -> list[str]:
    """The names of the columns as they stand in the file, blanks and all."""
    if data.columns is not None:
        return list(data.columns)
    with opened(file) as text:
        return next((fields for _, fields in _rows(text, data)), [])


def ragged(file: Path, data: Csv) -> str | None:
    """The first line that has more or fewer values than there are columns, in words; None where there is none."""
    width = len(header(file, data))
    with opened(file) as text:
        for line, fields in _rows(text, data):
            if len(fields) != width:
                return f"line {line} has {_values(len(fields))}, but there are {width} columns"
    return None


def no_number(file: Path, data: Csv, column: str) -> str | None:
    """The first value of a column that is neither a number nor missing, in words; None where there is none."""
    names = [name.strip() for name in header(file, data)]
    if column not in names:
        return None
    index = names.index(column)
    missing = {"", *data.missing.values}
    with opened(file) as text:
        for number, (line, fields) in enumerate(_rows(text, data)):
            if (number or data.columns is not None) and index < len(fields):
                value = fields[index].strip()
                if value not in missing and not _is_number(value):
                    return f'line {line} has "{printable(value, limit=40)}"'
    return None


def line_of(file: Path, data: Csv, row: int) -> int | None:
    """The line on which a row of values, counted from 0, begins."""
    row += data.columns is None
    with opened(file) as text:
        return next((line for number, (line, _) in enumerate(_rows(text, data)) if number == row), None)


def _rows(text: IO[str], data: Csv) -> Iterator[tuple[int, list[str]]]:
    """The line on which it begins, and the values, of each row that is not empty."""
    csv.field_size_limit(_LARGEST_FIELD)
    reader = csv.reader(text, delimiter=data.separator)
    line = 1
    try:
        for fields in reader:
            if fields:
                yield line, fields
            line = reader.line_num + 1
    except csv.Error:
        return


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


def _values(count: int) -> str:
    return "1 value" if count == 1 else f"{count} values"
