"""Write JSON lines as a Parquet file, whose columns have the types of all their values."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Final

from layercli.data.types import PATH_KEY, DataError, make_data_finding, raise_data_error
from layercli.formats.csv.source import READ_ERRORS, open_bytes, shell_name
from layercli.formats.json_values import RepeatedNameError, SurrogateError, parse_object
from layercli.graph.finding import Finding
from layercli.source.nodes import sanitize_text

MAX_LINE_BYTES: Final = 1 << 24
_MAX_COLUMNS: Final = 10_000
_FREE_CELLS: Final = 100_000_000
_PLAUSIBLE_SPARSITY: Final = 10
"""A larger table of which fewer cells than one in ten have a value takes long, whatever the size of its file."""
_MAX_REPORTED: Final = 20
_ROWS_AT_ONCE: Final = 1 << 14
_MIN_INTEGER, _MAX_INTEGER = -(1 << 63), (1 << 63) - 1

Kinds = dict[str, str]
"""Column -> the kind that all its values have: null, bool, integer, number, text or list."""


def write_parquet(file: Path, target: Path) -> None:
    """Write the lines of a file as a Parquet file; lists are columns without values.

    Raises:
        DataError: lines are not JSON objects; it reports all of them.
    """
    import pyarrow as pa
    from pyarrow import parquet

    kinds = _find_kinds(file)
    types = {
        "null": pa.null(),
        "bool": pa.bool_(),
        "integer": pa.int64(),
        "number": pa.float64(),
        "text": pa.string(),
        "list": pa.list_(pa.string()),
    }
    schema = pa.schema([(name, types[kind]) for name, kind in kinds.items()])
    with parquet.ParquetWriter(target, schema, compression="lz4", use_dictionary=False) as writer:
        rows: list[dict[str, Any]] = []

        def write_rows() -> None:
            arrays = [
                pa.array([_convert_value(row.get(name), kind) for row in rows], types[kind])
                for name, kind in kinds.items()
            ]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
            rows.clear()

        for _, row in iterate_rows(file):
            rows.append(row)
            if len(rows) == _ROWS_AT_ONCE:
                write_rows()
        if rows:
            write_rows()


def iterate_rows(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield each object with the number of its line, with the values of inner objects by their names joined with a dot.

    Raises:
        DataError: lines are not JSON objects; it is raised after all others.
    """
    findings: list[Finding] = []
    for number, line in _iterate_lines(file):
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
            yield number, parse_object(text.rstrip())
        except (ValueError, RecursionError) as error:
            findings.append(_make_line_finding(file, number, error))
            if len(findings) == _MAX_REPORTED:
                break
    if findings:
        raise DataError(*findings)


def list_column_names(file: Path) -> set[str]:
    """Return the names of the values in all lines that are JSON objects; none for a file of another format."""
    names: set[str] = set()
    with suppress(DataError):
        for _, row in iterate_rows(file):
            names.update(row)
    return names


def find_line(file: Path, row: int) -> int:
    """Return the line of a row, both counted as people do: rows from 0, lines from 1."""
    numbers = (number for number, _ in _iterate_lines(file))
    return next((number for index, number in enumerate(numbers) if index == row), row + 1)


def _iterate_lines(file: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the lines that are not empty, with their numbers."""
    with _open_utf8_lines(file) as stream:
        number = 0
        while line := stream.readline(MAX_LINE_BYTES + 1):
            number += 1
            if len(line) > MAX_LINE_BYTES:
                raise_data_error(
                    f"{sanitize_text(str(file))}, line {number:,} has more than {MAX_LINE_BYTES:,} bytes.",
                    PATH_KEY,
                    "JSON lines have one object on each line.",
                )
            if line.strip():
                yield number, line


@contextmanager
def _open_utf8_lines(file: Path) -> Iterator[IO[bytes]]:
    try:
        with open_bytes(file, are_json_lines=True) as stream:
            yield stream
    except READ_ERRORS as error:
        reason = sanitize_text(str(error), limit=200).rstrip(".")
        raise_data_error(
            f"{sanitize_text(str(file))} cannot be read: {reason}.", PATH_KEY, "Download or copy it again."
        )


def _make_line_finding(file: Path, number: int, error: Exception) -> Finding:
    place = f"{sanitize_text(str(file))}, line {number:,}"
    hint = 'Each line must be a JSON object, such as {"age": 30, "job": "clerk"}.'
    if isinstance(error, json.JSONDecodeError):
        return make_data_finding(f"{place}, column {error.colno} is not JSON: {error.msg}.", PATH_KEY, hint)
    if isinstance(error, RecursionError):
        return make_data_finding(
            f"{place} has too many lists or objects inside of each other.", PATH_KEY, hint
        )
    if isinstance(error, UnicodeDecodeError):
        hint = f"Convert it: `iconv -f ENCODING -t UTF-8 {shell_name(file)} > utf8.jsonl`."
        return make_data_finding(f"{place} is not UTF-8.", PATH_KEY, hint)
    if isinstance(error, RepeatedNameError):
        hint = "Give each value of a line a different name; a value inside of another is `outer.inner`."
    if isinstance(error, SurrogateError):
        hint = "Write whole characters: both halves, such as \\ud83d\\ude00, or \\ufffd for an unknown one."
    return make_data_finding(f"{place}: {sanitize_text(str(error), limit=100)}.", PATH_KEY, hint)


def _find_kinds(file: Path) -> Kinds:
    """Return the columns in the order of their first rows, with the kind of each."""
    kinds: Kinds = {}
    row_count = value_count = 0
    for number, row in iterate_rows(file):
        row_count += 1
        value_count += len(row)
        for name, value in row.items():
            kinds[name] = _merge_kinds(kinds.get(name, "null"), _kind_of(value))
        if len(kinds) > _MAX_COLUMNS:
            raise_data_error(
                f"{sanitize_text(str(file))} has more than {_MAX_COLUMNS:,} columns up to line {number:,}.",
                PATH_KEY,
                "Use the same names on each line, and lists for values without names.",
            )
    if row_count * len(kinds) > max(_FREE_CELLS, _PLAUSIBLE_SPARSITY * value_count):
        raise_data_error(
            f"{sanitize_text(str(file))} has {row_count:,} lines and {len(kinds):,} columns, but only {value_count:,} values.",
            PATH_KEY,
            "Write lines with different names into different files; for counts of words, write the text itself in one column.",
        )
    return kinds


def _kind_of(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "integer" if _MIN_INTEGER <= value <= _MAX_INTEGER else "text"
    return {float: "number", str: "text"}.get(type(value), "list")


def _merge_kinds(first: str, second: str) -> str:
    """Return the kind of values of both kinds."""
    kinds = {first, second} - {"null"}
    if len(kinds) <= 1:
        return next(iter(kinds), "null")
    if "list" in kinds:
        return "list"
    return "number" if kinds == {"integer", "number"} else "text"


def _convert_value(value: Any, kind: str) -> Any:
    """Return a value as one of the kind of its column; None for lists, which are not used."""
    if value is None or kind in ("null", "list"):
        return None
    if kind == "text" and not isinstance(value, str):
        return json.dumps(value)
    return float(value) if kind == "number" else value


def describe_first_text(file: Path, column: str) -> str | None:
    """Return the line and the first text of a column; None if it has none."""
    for number, row in iterate_rows(file):
        value: Any = row.get(column)
        if isinstance(value, str):
            return f'line {number:,}, which has "{sanitize_text(value, limit=40)}"'
    return None
