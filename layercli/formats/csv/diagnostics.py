"""The location of a defect in a CSV file, found by reading the file again."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

from layercli.formats.csv.config import Csv
from layercli.formats.csv.source import open_bytes, open_utf8, shell_name
from layercli.io.csv_cells import read_csv
from layercli.source.nodes import sanitize_text

_BLOCK_BYTES = 1 << 20
_MAX_LINE = 1 << 24
"""Longest line, and longest value, in characters."""
_MAX_FOOTER_LINES = 10
_MAX_LISTED_LINES = 4


class LongLineError(OSError):
    """A line that is too long to be read."""


@contextmanager
def open_text(file: Path, data: Csv) -> Iterator[IO[str]]:
    """Open a file as text; bytes that are not in its encoding are replaced."""
    with open_utf8(file, data) as raw:
        yield io.TextIOWrapper(raw, encoding="utf-8-sig", errors="replace", newline="")


def _iterate_lines(text: IO[str]) -> Iterator[str]:
    while line := text.readline(_MAX_LINE + 1):
        if len(line) > _MAX_LINE:
            raise LongLineError(f"a line is longer than {_MAX_LINE:,} characters")
        yield line


class Header(NamedTuple):
    """The names of the columns of a file."""

    raw: list[str]
    """As in the file, or as the config names them."""
    line_count: int
    """Number of lines up to the end of the header; 0 if the file has none."""

    @property
    def names(self) -> list[str]:
        """The names without blanks; a column without a name has its position, and a repeated name a number."""
        trimmed = [name.strip() for name in self.raw]
        known, names = set(trimmed), dict[str, None]()
        numbers: dict[str, int] = {}
        for position, name in enumerate(trimmed, 1):
            unique = base = name or f"column_{position}"
            while unique in names or (unique != name and unique in known):
                numbers[base] = numbers.get(base, 0) + 1
                unique = f"{base}.{numbers[base]}"
            names[unique] = None
        return list(names)


def read_header(file: Path, data: Csv) -> Header:
    """Return the names of the columns, none if the file is empty."""
    if data.columns is not None:
        return Header(list(data.columns), 0)
    with open_text(file, data) as text:
        rows = _iterate_rows(text, data, is_header=True)
        return next((Header(row.fields, row.last_line) for row in rows), Header([], 0))


def read_first_rows(file: Path, data: Csv, count: int) -> list[list[str]]:
    """Return the values of the first rows, with the header if there is one."""
    with open_text(file, data) as text:
        return [row.fields for row in islice(_iterate_rows(text, data), count)]


class Defect(NamedTuple):
    """A line that does not fit the others."""

    message: str
    hint: str


def find_ragged_line(file: Path, data: Csv, *, rows: int | None = None) -> Defect | None:
    """Describe the first line with a wrong number of values; None if all are correct.

    ``rows`` is the number of rows after the header to look at; None for all.
    """
    header = read_header(file, data).raw
    with open_text(file, data) as text:
        found = enumerate(_iterate_rows(text, data))
        for number, row in found:
            if rows is not None and number > rows:
                return None
            if len(row.fields) != len(header):
                # Only the end of a file may have other lines than values.
                rest = [later for _, later in islice(found, _MAX_FOOTER_LINES)]
                is_footer = len(rest) < _MAX_FOOTER_LINES and all(
                    len(later.fields) != len(header) for later in rest
                )
                defect = _describe_ragged(file, data, header, row, number, is_footer=is_footer and number > 1)
                if rows is not None or is_footer or row.last_line > row.line:
                    return defect
                later_rows = chain(rest, (later for _, later in found))
                others = [later.line for later in later_rows if len(later.fields) != len(header)]
                return defect._replace(message=defect.message + _describe_other_lines(others))
    return None


def _describe_other_lines(lines: list[int]) -> str:
    if not lines:
        return ""
    listed = ", ".join(f"{line:,}" for line in lines[:_MAX_LISTED_LINES])
    more = f" and {len(lines) - _MAX_LISTED_LINES:,} more" if len(lines) > _MAX_LISTED_LINES else ""
    return f"; {'lines' if len(lines) > 1 else 'line'} {listed}{more} also {'have' if len(lines) > 1 else 'has'} another number"


def _describe_ragged(
    file: Path, data: Csv, header: list[str], row: _Row, number: int, *, is_footer: bool
) -> Defect:
    line, fields = row.line, row.fields
    count, columns = _format_value_count(len(fields)), _format_columns(len(header))
    message = f"line {line} has {count}, but there {columns}"
    if row.last_line > line:
        message = (
            f"the quoted value that begins in line {line} continues up to line {row.last_line}, and so the row has {count} "
            f"instead of {len(header)}"
        )
        return Defect(
            message, f"Close the quotation mark in line {line}, or write it twice if it is part of the value."
        )
    first = next(filter(None, map(str.strip, fields)), "0")
    if is_footer and len(fields) < len(header) and not _is_number_text(first) and not first.startswith("#"):
        message = f'line {line} has {count} ("{sanitize_text(first, limit=40)}"), but there {columns}'
        name = shell_name(file)
        command = f"head -n {line - 1} {name} > {name.removesuffix(file.suffix)}-rows.csv"
        return Defect(message, f"If it is a footer below the table, remove it: `{command}`.")
    return Defect(message, _suggest_ragged(data, header, row, is_first=number == 1))


def find_open_quote(file: Path, data: Csv) -> int | None:
    """Return the line of the last row if it has a quotation mark that is not closed; None otherwise."""
    last: _Row | None = None
    with open_text(file, data) as text:
        for row in _iterate_rows(text, data):
            last = row
    if last is None or last.last_line == last.line:
        return None
    with open_text(file, data) as text:
        marks = sum(line.count('"') for line in islice(_iterate_lines(text), last.line - 1, None))
    return last.line if marks % 2 else None


def find_character(file: Path, data: Csv, character: str) -> tuple[int, int] | None:
    """Return the line and column of the first character like this; None if there is none."""
    with open_text(file, data) as text:
        for number, line in enumerate(_iterate_lines(text), 1):
            if character in line:
                return number, line.index(character) + 1
    return None


def _suggest_ragged(data: Csv, header: list[str], row: _Row, *, is_first: bool) -> str:
    fields, line = row.fields, row.line
    if data.comment is None and any(field.startswith("#") for field in (*header[:1], *fields[:1])):
        return 'If lines with # are comments, set `comment: "#"`.'
    text = data.separator.join(fields)
    if any(field.lstrip().startswith('"') for field in fields):
        trimmed = next(read_csv([text], delimiter=data.separator, skipinitialspace=True))
        if len(trimmed) == len(header):
            return "Remove the blanks before the quotation marks: only a mark directly after the separator quotes a value."
    if '\\"' in text:
        return 'Write a quotation mark within a quoted value twice, as "", instead of with a backslash.'
    if is_first and data.columns is None:
        filled = sum(bool(name.strip()) for name in header)
        if filled <= max(1, len(fields) // 2):
            return f"If the lines above line {line} are a title, set `skip_lines: {line - 1}`."
        if len(fields) == len(header) + 1:
            names = ", ".join(sanitize_text(name.strip(), limit=40) for name in header[:6])
            more = ", ..." if len(header) > 6 else ""
            return (
                "The header has one name less than the rows have values, as in files with row names. Name all columns: "
                f"`columns: [row, {names}{more}]` and `skip_lines: {line - 1}`."
            )
    return "Each line must have one value for each column; quote a value that contains the separator."


class UndecodableBytes(NamedTuple):
    """The first bytes of a file that are not in its encoding."""

    line: int
    column: int
    """The character of the line, from 1."""
    shown: str
    """Two bytes at most, in hexadecimal; empty if the file ends within a character."""

    def describe(self, encoding: str) -> str:
        """Return the place and the bytes as a part of a sentence."""
        place = f"line {self.line}, column {self.column}"
        if not self.shown:
            return f"{place} ends within a character of {encoding}"
        title, verb = ("bytes", "are") if " " in self.shown else ("byte", "is")
        return f"{place} has the {title} {self.shown}, which {verb} not {encoding}"


def find_undecodable(file: Path, encoding: str) -> UndecodableBytes | None:
    """Return the first bytes that are not in an encoding; None if there are none."""
    decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder(encoding)(), translate=True)
    line, column = 1, 1
    with open_bytes(file) as stream:
        is_last = False
        while not is_last:
            block = stream.read(_BLOCK_BYTES)
            is_last = not block
            try:
                text = decoder.decode(cast("Any", block), final=is_last)
            except UnicodeDecodeError as error:
                pending = "\r" * (decoder.getstate()[1] & 1)  # of the block before, as ``\n`` could follow
                before = pending + error.object[: error.start].decode(encoding, "replace")
                before = re.sub("\r\n?", "\n", before)
                line, column = _move_position(before, line, column)
                is_cut = is_last and error.end == len(error.object)
                bad = b"" if is_cut else error.object[error.start : max(error.end, error.start + 1)][:2]
                return UndecodableBytes(line, column, bad.hex(" "))
            line, column = _move_position(text, line, column)
    return None


def _move_position(text: str, line: int, column: int) -> tuple[int, int]:
    """Return the line and column after a text."""
    lines = text.count("\n")
    return line + lines, len(text) - text.rfind("\n") if lines else column + len(text)


def find_non_number(file: Path, data: Csv, column: str) -> str | None:
    """Describe the first value of a column that is neither a number nor missing; None if there is none."""
    names = read_header(file, data).names
    if column not in names:
        return None
    index = names.index(column)
    missing = {"", *data.missing.words}
    with open_text(file, data) as text:
        for number, (line, fields, _) in enumerate(_iterate_rows(text, data)):
            if (number or data.columns is not None) and index < len(fields):
                value = fields[index].strip()
                if value not in missing and not _is_number_text(value):
                    return f'line {line} has "{sanitize_text(value, limit=40)}"'
    return None


def find_line(file: Path, data: Csv, row: int) -> int | None:
    """Return the line on which a row of values, counted from 0, begins."""
    row += data.columns is None
    with open_text(file, data) as text:
        return next(
            (found.line for number, found in enumerate(_iterate_rows(text, data)) if number == row), None
        )


class _Row(NamedTuple):
    line: int
    """Its first line."""
    fields: list[str]
    last_line: int


def _iterate_rows(text: IO[str], data: Csv, *, is_header: bool = False) -> Iterator[_Row]:
    """Yield the first line and the values of each row that is not empty, up to the first line that cannot be read.

    Raises:
        LongLineError: a line of the header is too long.
    """
    reader = read_csv(_iterate_lines(text), max_length=_MAX_LINE, delimiter=data.separator)
    line = 1
    try:
        for fields in reader:
            if fields:
                yield _Row(line, fields, reader.line_num)
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


def _format_columns(count: int) -> str:
    return "is 1 column" if count == 1 else f"are {count} columns"


def _format_value_count(count: int) -> str:
    return "1 value" if count == 1 else f"{count} values"
