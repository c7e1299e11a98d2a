"""The size of the record batches of an Arrow file in memory, read from its metadata before anything is decompressed.

The metadata is a FlatBuffers message: a table has an offset to its list of fields, and each field an offset to its value.
See https://arrow.apache.org/docs/format/Columnar.html#ipc-file-format.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final, NamedTuple

_MAGIC: Final = b"ARROW1"
_MAX_METADATA_BYTES: Final = 1 << 26
_FOOTER_DICTIONARIES, _FOOTER_BATCHES = 2, 3
_MESSAGE_HEADER_TYPE, _MESSAGE_HEADER = 1, 2
_DICTIONARY_BATCH: Final = 2
_DICTIONARY_DATA: Final = 1
_BATCH_ROWS, _BATCH_COLUMNS, _BATCH_BUFFERS = 0, 1, 2
_VALUE_BYTES: Final = 4
"""Least bytes of a value after it is decoded; a file can have any number of nulls in no bytes."""
_MIN_BYTES: Final = 1 << 16
"""A batch counts as many bytes, since each takes time; a file can name the same batch often."""
_BLOCK = struct.Struct("<qiiq")
"""Offset, length of the metadata, padding, length of the body."""
_BUFFER = struct.Struct("<qq")
"""Offset in the body, length."""


class _Block(NamedTuple):
    """The place of a record batch."""

    offset: int
    metadata_bytes: int
    body_bytes: int


def measure_batches(file: Path) -> list[int]:
    """Return the bytes of each record batch and each dictionary after it is decompressed and decoded, at least 64 KiB.

    Raises:
        ValueError: the file is damaged.
    """
    with file.open("rb") as stream:
        try:
            return [_measure_batch(stream, block) for block in _read_blocks(stream)]
        except (struct.error, IndexError) as error:
            raise ValueError("its metadata is damaged") from error


def _read_blocks(stream: IO[bytes]) -> Iterator[_Block]:
    end = stream.seek(0, os.SEEK_END)
    stream.seek(max(0, end - len(_MAGIC) - 4))
    (length,) = struct.unpack("<i", stream.read(4))
    if stream.read() != _MAGIC or not 0 < length <= min(_MAX_METADATA_BYTES, end):
        raise ValueError("it is incomplete")
    stream.seek(end - len(_MAGIC) - 4 - length)
    footer = stream.read(length)
    root = _read_uint(footer, 0)
    for index in (_FOOTER_DICTIONARIES, _FOOTER_BATCHES):
        start, count = _find_vector(footer, root, index)
        for number in range(count):
            offset, metadata, _, body = _BLOCK.unpack_from(footer, start + number * _BLOCK.size)
            yield _Block(offset, metadata, body)


def _measure_batch(stream: IO[bytes], block: _Block) -> int:
    if not 0 <= block.metadata_bytes <= _MAX_METADATA_BYTES or block.offset < 0:
        raise ValueError("its metadata is damaged")
    stream.seek(block.offset)
    metadata = stream.read(block.metadata_bytes)
    start = 8 if metadata[:4] == b"\xff" * 4 else 4
    message = metadata[start:]
    root = _read_uint(message, 0)
    batch = _find_table(message, root, _MESSAGE_HEADER)
    if message[_find_field(message, root, _MESSAGE_HEADER_TYPE)] == _DICTIONARY_BATCH:
        batch = _find_table(message, batch, _DICTIONARY_DATA)
    is_compressed = _find_field(message, batch, _BATCH_BUFFERS + 1) != 0
    first, count = _find_vector(message, batch, _BATCH_BUFFERS)
    total = 0
    for number in range(count):
        offset, length = _BUFFER.unpack_from(message, first + number * _BUFFER.size)
        if is_compressed and length:
            stream.seek(block.offset + block.metadata_bytes + offset)
            (declared,) = struct.unpack("<q", stream.read(8))
            length = length if declared < 0 else declared
        total += max(0, length)
    _, columns = _find_vector(message, batch, _BATCH_COLUMNS)
    place = _find_field(message, batch, _BATCH_ROWS)
    rows = int(struct.unpack_from("<q", message, place)[0]) if place else 0
    return max(total, rows * columns * _VALUE_BYTES, _MIN_BYTES)


def _read_uint(content: bytes, position: int) -> int:
    (value,) = struct.unpack_from("<I", content, position)
    return int(value)


def _find_field(content: bytes, table: int, index: int) -> int:
    """Return the position of a field of a table; 0 if the table does not have it."""
    (back,) = struct.unpack_from("<i", content, table)
    fields = table - back
    (size,) = struct.unpack_from("<H", content, fields)
    place = 4 + 2 * index
    if place >= size:
        return 0
    (offset,) = struct.unpack_from("<H", content, fields + place)
    return table + offset if offset else 0


def _find_table(content: bytes, table: int, index: int) -> int:
    position = _find_field(content, table, index)
    return position + _read_uint(content, position)


def _find_vector(content: bytes, table: int, index: int) -> tuple[int, int]:
    """Return the position of the first item of a vector, and the number of its items."""
    position = _find_field(content, table, index)
    if not position:
        return 0, 0
    start = position + _read_uint(content, position)
    return start + 4, _read_uint(content, start)
