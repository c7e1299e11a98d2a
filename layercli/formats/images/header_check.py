"""Limits on the headers of images, of which Pillow makes many objects for each part and each number."""

from __future__ import annotations

import struct
from io import BufferedReader, BytesIO
from typing import Any, BinaryIO, Final

_MAX_READS: Final = 200_000
"""Most reads until the size of an image is known: each part of a header takes a few."""
_MAX_NUMBERS: Final = 1 << 18
"""Most numbers in an entry of a TIFF file: the positions of its strips, of which an image has at most as many as rows."""
_MAX_DIRECTORIES: Final = 8
_MAX_ENTRIES: Final = 1 << 16
_TIFF_STARTS: Final = (b"II*\0", b"II\0*", b"II+\0", b"MM\0*", b"MM*\0", b"MM\0+")
_BIG_TIFF: Final = 43
_BYTE_TYPES: Final = (1, 2, 7)
"""Types of entries that are read as bytes or text."""
_DIRECTORY_TAGS: Final = (34665, 34853, 40965)
"""Tags of the directories for the camera, the position and compatibility."""


class _CountedReads:
    """A file whose header must be read in few reads."""

    _reads_left: int | None = _MAX_READS

    def read(self, *size: Any) -> bytes:
        """Return the next bytes.

        Raises:
            ValueError: the header has too many parts.
        """
        if self._reads_left is not None:
            self._reads_left -= 1
            if self._reads_left < 0:
                raise ValueError("its header has too many parts")
        content: bytes = super().read(*size)  # type: ignore[misc]
        return content

    def end_header(self) -> None:
        """Permit any number of reads from now on."""
        self._reads_left = None


class CountedBytes(_CountedReads, BytesIO):
    """A file in memory whose header must be read in few reads."""


class CountedFile(_CountedReads, BufferedReader):
    """A file whose header must be read in few reads."""


def check_tiff_directories(stream: BinaryIO) -> None:
    """Check the number of values in the directories of a TIFF file; a file of another format passes. The position becomes 0.

    Raises:
        ValueError: an entry has too many.
    """
    stream.seek(0)
    head = stream.read(16)
    if head[:4] in _TIFF_STARTS:
        order = "<" if head[:2] == b"II" else ">"
        is_big = _BIG_TIFF in head[2:4]
        try:
            pending = [
                struct.unpack_from(f"{order}Q", head, 8)[0]
                if is_big
                else struct.unpack_from(f"{order}I", head, 4)[0]
            ]
            for _ in range(_MAX_DIRECTORIES):
                if pending:
                    pending += _check_directory(stream, pending.pop(), order, is_big=is_big)
        except (struct.error, OSError, OverflowError):
            pass  # Pillow reports the damage
    stream.seek(0)


def _check_directory(stream: BinaryIO, position: int, order: str, *, is_big: bool) -> list[int]:
    """Check one directory, and return the positions of others that it names."""
    length, entry = (
        struct.Struct(f"{order}{codes}") for codes in (("Q", "HHQQ") if is_big else ("H", "HHII"))
    )
    stream.seek(position)
    (count,) = length.unpack(stream.read(length.size))
    content = stream.read(min(count, _MAX_ENTRIES) * entry.size)
    others = []
    for tag, kind, values, value in entry.iter_unpack(content[: len(content) // entry.size * entry.size]):
        if values > _MAX_NUMBERS and kind not in _BYTE_TYPES:
            raise ValueError(f"an entry of its header has {values:,} numbers")
        if tag in _DIRECTORY_TAGS:
            others.append(value)
    return others
