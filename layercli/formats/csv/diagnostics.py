"""The location of a defect in a CSV file, found by reading the file again."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from layercli.formats.csv.config import Csv
from layercli.source.nodes import sanitize_text

DecompressionError = zlib.error
_MAX_LINE = 1 << 24
"""Longest line, and longest value, in characters."""


class LongLineError(OSError):
    """A line that is too long to be read."""


@contextmanager
def open_bytes(file: Path) -> Iterator[IO[bytes]]:
    """Open a file, plain or gzipped."""
    with gzip.open(file, "rb") if file.suffix == ".gz" else file.open("rb") as raw:
        yield cast("IO[bytes]", raw)


@contextmanager
def open_text(file: Path) -> Iterator[IO[str]]:
    """Open a file, plain or gzipped, as text; bytes that are not UTF-8 are replaced."""
    with open_bytes(file) as raw:
        yield io.TextIOWrapper(raw, encoding="utf-8-sig", errors="replace", newline="")


def _iterate_lines(text: IO[str]) -> Iterator[str]:
    while line := text.readline(_MAX_LINE + 1):
        if len(line) > _MAX_LINE:
            raise LongLineError(f"a line is longer than {_MAX_LINE:,} characters")
        yield line


def read_header_names(file: Path, data: Csv) -> list[str]:
    """Return the untrimmed names of the columns."""
    if data.columns is not None:
        return list(data.columns)
    with open_text(file) as text:
        return next((fields for _, fields in _iterate_rows(text, data, is_header=True)), [])


def find_ragged_line(file: Path, data: Csv) -> str | None:
    """Describe the first line with a wrong number of values; None if all are correct."""
    width = len(read_header_names(file, data))
    with open_text(file) as text:
        for line, fields in _iterate_rows(text, data):
            if len(fields) != width:
                return f"line {line} has {_format_value_count(len(fields))}, but there are {width} columns"
    return None


def find_non_number(file: Path, data: Csv, column: str) -> str | None:
    """Describe the first value of a column that is neither a number nor missing; None if there is none."""
    names = [name.strip() for name in read_header_names(file, data)]
    if column not in names:
        return None
    index = names.index(column)
    missing = {"", *data.missing.values}
    with open_text(file) as text:
        for number, (line, fields) in enumerate(_iterate_rows(text, data)):
            if (number or data.columns is not None) and index < len(fields):
                value = fields[index].strip()
                if value not in missing and not _is_number_text(value):
                    return f'line {line} has "{sanitize_text(value, limit=40)}"'
    return None


def find_line(file: Path, data: Csv, row: int) -> int | None:
    """Return the line on which a row of values, counted from 0, begins."""
    row += data.columns is None
    with open_text(file) as text:
        return next(
            (line for number, (line, _) in enumerate(_iterate_rows(text, data)) if number == row), None
        )


def _iterate_rows(text: IO[str], data: Csv, *, is_header: bool = False) -> Iterator[tuple[int, list[str]]]:
    """Yield the first line and the values of each row that is not empty, up to the first line that cannot be read.

    Raises:
        LongLineError: a line of the header is too long.
    """
    csv.field_size_limit(_MAX_LINE)
    reader = csv.reader(_iterate_lines(text), delimiter=data.separator)
    line = 1
    try:
        for fields in reader:
            if fields:
                yield line, fields
            line = reader.line_num + 1
    except csv.Error:
        return
    except LongLineError:
        if is_header:
            raise


def _is_number_text(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


def _format_value_count(count: int) -> str:
    return "1 value" if count == 1 else f"{count} values"
