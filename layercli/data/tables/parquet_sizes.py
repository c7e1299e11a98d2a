"""Sizes of Parquet columns in memory, from metadata and page headers, before anything is decoded.

The size of a file says little: a dictionary of one long text, or a constant column, takes a few bytes for any number of rows.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, Final

from layercli.data.types import raise_data_error
from layercli.source.nodes import sanitize_text

_WIDTHS: Final = {"BOOLEAN": 1, "INT32": 4, "INT64": 8, "INT96": 8, "FLOAT": 4, "DOUBLE": 8}
"""Physical type -> bytes of a value in memory."""
_DECODED_BYTES: Final = 4
"""Bytes of a number after it is decoded to float32."""
_TEXT_BYTES: Final = 64
"""Bytes of a text in memory in addition to its characters."""
_BATCH_BYTES: Final = 1 << 26
_DICTIONARY_PAGE: Final = 2
_MAX_DEPTH: Final = 8
_BUFFER_BYTES: Final = 1 << 16
_MAX_PAGE_BYTES: Final = 1 << 28
"""Pages are a few MiB in size; a page is decompressed as a whole."""
_MEASURED_BYTES: Final = 1 << 22
"""Texts that could take more than this in a row group are measured."""
_MEASURED_ROWS: Final = 1 << 14
_MAX_HEADER_BYTES: Final = 1 << 16
_MAX_PAGES: Final = 1 << 20
_EXPANDING_ENCODINGS: Final = frozenset({"PLAIN_DICTIONARY", "RLE_DICTIONARY", "DELTA_BYTE_ARRAY"})


@dataclass(frozen=True, slots=True)
class GroupSize:
    """Size of a row group in memory."""

    rows: int
    decoded_bytes: int
    max_row_bytes: int
    """Upper limit of the size of one row."""


def measure_groups(file: Path, columns: Collection[str] | None) -> tuple[GroupSize, ...]:
    """Return the size in memory of each row group, for these columns or for all.

    Raises:
        DataError: a page of the file is too large to be decompressed.
    """
    status = file.stat()
    chosen = None if columns is None else frozenset(columns)
    return _measure_groups(file, (status.st_size, status.st_mtime_ns), chosen)


@lru_cache(maxsize=256)
def _measure_groups(
    file: Path,
    state: tuple[int, int],  # noqa: ARG001 - identifies the content
    columns: frozenset[str] | None,
) -> tuple[GroupSize, ...]:
    from pyarrow import parquet

    # With a buffer, opening a column does not read it.
    with parquet.ParquetFile(file, buffer_size=_BUFFER_BYTES) as source, file.open("rb") as raw:
        metadata = source.metadata
        leaves = []
        for index in range(metadata.num_columns):
            leaf = metadata.schema.column(index)
            path = leaf.path
            is_read = columns is None or path.strip() in columns or path.partition(".")[0].strip() in columns
            if is_read and leaf.max_repetition_level == 0:  # lists are not read at all
                leaves.append((index, path, _WIDTHS.get(leaf.physical_type) or max(0, leaf.length)))
        indices = [index for index, *_ in leaves]
        for number in range(metadata.num_row_groups):
            # The metadata of a damaged column ends the process; opening the column before raises an error instead.
            next(source.reader.iter_batches(0, [number], indices, use_threads=False), None)
        return tuple(
            _measure_group(file, raw, metadata.row_group(number), number, leaves)
            for number in range(metadata.num_row_groups)
        )


def _measure_group(
    file: Path, raw: IO[bytes], group: Any, number: int, leaves: list[tuple[int, str, int]]
) -> GroupSize:
    rows = group.num_rows
    decoded_bytes = max_row_bytes = 0
    for index, path, width in leaves:
        chunk = group.column(index)
        pages = _read_pages(raw, chunk)
        largest = max((size for _, size in pages), default=0)
        if largest > _MAX_PAGE_BYTES:
            raise_data_error(
                f"Cannot read the Parquet file {sanitize_text(str(file))}: a page of the column "
                f"`{sanitize_text(path, limit=60)}` needs {largest:,} bytes of memory, "
                f"but only {_MAX_PAGE_BYTES:,} bytes are available for it.",
                ("data", "path"),
                "Write the file again with smaller pages.",
            )
        if width:
            row_bytes, column_bytes = width + _DECODED_BYTES, rows * (width + _DECODED_BYTES)
        else:
            longest, text_bytes = _measure_texts(file, chunk, number, path, rows, pages)
            row_bytes, column_bytes = longest + _TEXT_BYTES, text_bytes + rows * _TEXT_BYTES
        decoded_bytes += column_bytes
        max_row_bytes += row_bytes
    return GroupSize(rows, decoded_bytes, max_row_bytes)


def _measure_texts(
    file: Path, chunk: Any, number: int, path: str, rows: int, pages: list[tuple[int, int]]
) -> tuple[int, int]:
    """Return the length of the longest text of a column chunk, or an upper limit of it, and that of all texts."""
    stored = max(chunk.total_uncompressed_size, sum(size for _, size in pages))
    largest = max((size for _, size in pages), default=stored)
    encodings = _EXPANDING_ENCODINGS.intersection(chunk.encodings)
    has_prefixes = "DELTA_BYTE_ARRAY" in encodings
    has_dictionary = bool(encodings) or any(kind == _DICTIONARY_PAGE for kind, _ in pages)
    if not has_dictionary:
        return largest, stored
    longest = stored if has_prefixes else largest
    if rows * longest <= _MEASURED_BYTES:
        return longest, rows * longest
    return _count_text_bytes(
        file, number, path, 1 + (_BATCH_BYTES // (longest + 1)), has_prefixes=has_prefixes
    )


def _count_text_bytes(
    file: Path, number: int, path: str, safe_rows: int, *, has_prefixes: bool
) -> tuple[int, int]:
    """Return the length of the longest text and of all texts; texts of a dictionary are not repeated in memory."""
    import pyarrow as pa
    from pyarrow import compute, parquet

    longest = total = 0
    with parquet.ParquetFile(file, read_dictionary=None if has_prefixes else [path]) as source:
        rows = min(safe_rows, _MEASURED_ROWS) if has_prefixes else _MEASURED_ROWS
        for batch in source.iter_batches(rows, row_groups=[number], columns=[path], use_threads=False):
            column = batch.column(0)
            if pa.types.is_struct(column.type):
                continue  # its fields are not read
            if pa.types.is_dictionary(column.type):
                lengths = compute.binary_length(column.dictionary).take(column.indices)
            else:
                lengths = compute.binary_length(column)
            found = compute.min_max(lengths)["max"].as_py() or 0
            longest, total = max(longest, found), total + (compute.sum(lengths.cast("int64")).as_py() or 0)
    return longest, total


def _read_pages(raw: IO[bytes], chunk: Any) -> list[tuple[int, int]]:
    """Return the kind and the decompressed size of each page of a column chunk, as their headers declare them.

    The metadata at the end of the file declares sizes, too, but memory is allocated for those of the headers.
    """
    position = chunk.data_page_offset
    if chunk.has_dictionary_page and 0 < (chunk.dictionary_page_offset or 0) < position:
        position = chunk.dictionary_page_offset
    end = position + chunk.total_compressed_size
    pages: list[tuple[int, int]] = []
    while position < end and len(pages) < _MAX_PAGES:
        header = _read_page_header(raw, position)
        if header is None:
            break  # pyarrow reports the damage
        length, fields = header
        pages.append((fields.get(1, 0), fields.get(2, 0)))
        position += length + max(0, fields.get(3, 0))
    return pages


def _read_page_header(raw: IO[bytes], position: int) -> tuple[int, dict[int, int]] | None:
    """Return the length of a page header, and its integers by the number of their field; None if it is damaged."""
    for size in (1 << 8, _MAX_HEADER_BYTES, 1 << 24):
        raw.seek(position)
        reader = _CompactReader(raw.read(size))
        try:
            fields = reader.read_struct()
        except IndexError:
            continue  # the header may be longer
        except ValueError:
            return None
        return reader.position, fields
    return None


class _CompactReader:
    """Reader of the compact protocol of Thrift, in which page headers are written."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.position = 0

    def read_struct(self, depth: int = 0) -> dict[int, int]:
        """Return the largest integer of each field of a struct, and skip all other values."""
        found: dict[int, int] = {}
        field = 0
        while header := self._read_byte():
            field = field + (header >> 4) if header >> 4 else self._read_integer()
            value = self._read_value(header & 15, depth)
            if value is not None:
                found[field] = max(value, found.get(field, value))
        return found

    def _read_value(self, kind: int, depth: int, *, is_item: bool = False) -> int | None:
        if depth > _MAX_DEPTH:
            raise ValueError("nested too deeply")
        match kind:
            case 1 | 2:  # a boolean is its type, except in a list
                self.position += is_item
            case 3:
                self.position += 1
            case 4 | 5 | 6:
                return self._read_integer()
            case 7:
                self.position += 8
            case 8:
                length = self._read_varint()  # before the position, which it moves
                self.position += length
            case 9 | 10:
                header = self._read_byte()
                count = self._read_varint() if header >> 4 == 15 else header >> 4
                if count > len(self._content):
                    raise ValueError("a list longer than its header")
                for _ in range(count):
                    self._read_value(header & 15, depth + 1, is_item=True)
            case 12:
                self.read_struct(depth + 1)
            case _:
                raise ValueError(f"unknown type {kind}")
        return None

    def _read_byte(self) -> int:
        value = self._content[self.position]
        self.position += 1
        return value

    def _read_varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._read_byte()
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value
            if shift > 63:
                raise ValueError("a number of more than 64 bits")

    def _read_integer(self) -> int:
        value = self._read_varint()
        return value >> 1 ^ -(value & 1)
