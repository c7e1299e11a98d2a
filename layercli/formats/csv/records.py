"""Split a stream of CSV or JSON Lines into complete records, as they arrive."""

from __future__ import annotations

import csv
import io
import json
import os
import stat
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from io import BufferedReader
from typing import IO, Any, Final, cast

from layercli.formats.json_values import flatten_document
from layercli.io.csv_cells import read_csv
from layercli.source.nodes import sanitize_text

_READ_BYTES: Final = 1 << 20
MAX_BATCH_RECORDS: Final = 4096
"""Largest number of records that are read together."""
_MAX_RECORD_LINES: Final = 1000
"""Lines of one record; a quotation mark that is never closed would join all others."""
_MAX_LISTED: Final = 20
"""Missing names of a record that its error lists."""
_MAX_RECORD_BYTES: Final = 1 << 24
_MAX_BATCH_BYTES: Final = 1 << 26


class BadRecordError(ValueError):
    """A record that is not JSON, or has other keys than the columns."""


def iterate_record_batches(stream: IO[bytes], separator: str) -> Iterator[list[bytes]]:
    """Yield records that are complete, without blank lines; a batch has what had arrived when it was read.

    A record is one line, or several lines if a quoted value contains line breaks.
    """
    waiting: list[bytes] = []  # lines of a record that is not complete
    partial = bytearray()  # of a line that is not complete
    while data := _read_available(stream):
        start = max(0, len(partial) - 1)  # a carriage return at the end waited for its line feed
        partial += data
        end = max(partial.rfind(b"\n", start), partial.rfind(b"\r", start, -1)) + 1
        if not end and len(partial) <= _MAX_RECORD_BYTES:
            continue
        text = bytes(partial[: end or len(partial)])
        del partial[: len(text)]
        yield from _group_records(_join_lines(text, waiting, separator))
    records = _join_lines(bytes(partial), waiting, separator)
    yield from _group_records([*records, *([b"".join(waiting)] if waiting else [])])


def is_live(stream: IO[bytes]) -> bool:
    """Return whether more bytes can arrive in a stream: it is a pipe, a terminal or a socket."""
    try:
        return not stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    except (OSError, AttributeError):  # in memory, or decompressed
        return False


def join_batches(batches: Iterable[list[bytes]]) -> Iterator[list[bytes]]:
    """Yield the same records in batches of the largest size, which do not depend on how bytes were read.

    The last bits of predictions depend on the examples of a batch.
    """
    records: list[bytes] = []
    size = 0
    for batch in batches:
        for record in batch:
            records.append(record)
            size += len(record)
            if len(records) == MAX_BATCH_RECORDS or size > _MAX_BATCH_BYTES:
                yield records
                records, size = [], 0
    if records:
        yield records


def _read_available(stream: IO[bytes]) -> bytes:
    """Return the bytes that are available, and wait if there are none; empty at the end."""
    return cast("BufferedReader", stream).read1(_READ_BYTES)


def _group_records(records: Sequence[bytes]) -> Iterator[list[bytes]]:
    kept = [record for record in records if record.strip()]
    for first in range(0, len(kept), MAX_BATCH_RECORDS):
        yield kept[first : first + MAX_BATCH_RECORDS]


def _join_lines(text: bytes, waiting: list[bytes], separator: str) -> list[bytes]:
    """Return the complete records of a text; ``waiting`` keeps the lines of the last one, if it is not complete."""
    lines = text.splitlines(keepends=True)
    if not waiting and b'"' not in text:
        return lines
    records = []
    size = sum(map(len, waiting))
    for line in lines:
        if not waiting and b'"' not in line:
            records.append(line)
            continue
        # A line that continues a quoted value ends as it would after a quotation mark; the lines before are not read again.
        start = b'"' if waiting else b""
        waiting.append(line)
        size += len(line)
        is_too_long = len(waiting) >= _MAX_RECORD_LINES or size > _MAX_RECORD_BYTES
        if is_too_long or (b'"' in line and _is_complete(start + line, separator)):
            records.append(b"".join(waiting))
            waiting.clear()
            size = 0
    return records


def _is_complete(record: bytes, separator: str) -> bool:
    """Return whether every quoted value of a record ends."""
    text = record.decode("utf-8", "replace")
    try:
        for _ in read_csv(io.StringIO(text, newline=""), delimiter=separator, strict=True):
            pass
    except csv.Error as error:
        return "unexpected end of data" not in str(error)
    return True


def parse_fields(record: bytes, separator: str) -> list[str]:
    """Return the values of a record as texts."""
    text = record.decode("utf-8-sig", "replace")
    return next(read_csv(io.StringIO(text, newline=""), delimiter=separator), [])


def is_json_lines(record: bytes) -> bool:
    """Return whether the first record of a stream is a JSON object."""
    return record.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{")


def parse_json_record(record: bytes, names: Sequence[str], optional: Collection[str] = ()) -> list[Any]:
    """Return the values of a JSON object in the order of ``names``; None for those of ``optional`` that it lacks.

    Raises:
        BadRecordError: it is not an object, or lacks a name.
    """
    try:
        document = json.loads(record.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise BadRecordError(f"not JSON: {sanitize_text(str(error), limit=100)}") from None
    if not isinstance(document, dict):
        raise BadRecordError("not a JSON object")
    if not all(name in document for name in names):
        with suppress(ValueError):
            document = flatten_document(document)
    absent = [name for name in names if name not in document and name not in optional]
    if absent:
        listed = ", ".join(f"`{sanitize_text(name, limit=60)}`" for name in absent[:_MAX_LISTED])
        more = f" and {len(absent) - _MAX_LISTED} more" if len(absent) > _MAX_LISTED else ""
        raise BadRecordError(f"it has no {listed}{more}")
    return [document.get(name) for name in names]


def to_csv_value(name: str, value: Any) -> str:
    """Return a value of JSON as CSV has it; null is an empty text.

    Raises:
        BadRecordError: it is not a number, a text, a boolean or null.
    """
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, (bool, int, float)):
        return json.dumps(value)
    raise BadRecordError(f"`{sanitize_text(name, limit=60)}` must be a number or a text")


def write_record(values: Sequence[str], separator: str) -> bytes:
    """Return values as a line of CSV."""
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=separator, lineterminator="\n").writerow(values)
    return text.getvalue().encode("utf-8", "replace")
