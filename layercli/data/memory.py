"""Memory budgets: what data needs when it is decoded, and what it may take."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Condition
from typing import Final, NoReturn

from layercli.data.types import raise_data_error
from layercli.source.nodes import KeyPath

MEMORY_DIVISOR: Final = 4
"""Data that would take more than one part in this many of the memory is read batch by batch."""
MAX_ITEM_BYTES: Final = 1 << 30
"""Memory that decoding one image or one text may take, and all threads together."""
_MIN_BYTES: Final = 1 << 20
"""Data of this size is loaded with any memory."""
_SMALL_BYTES: Final = 1 << 29
"""Data up to this size is loaded, whatever the size of its files."""
_PLAUSIBLE_RATIO: Final = 32
"""Larger ratios of the size in memory to that of the files are rare in data that is not made to fill the memory."""


def is_too_large_to_load(decoded_bytes: int, file_bytes: int, memory: int | None) -> bool:
    """Return whether data must be read batch by batch: it would take much of the memory, or far more than its files."""
    if memory is None:
        return False
    is_implausible = decoded_bytes > max(_SMALL_BYTES, _PLAUSIBLE_RATIO * file_bytes)
    return is_implausible or decoded_bytes > memory // MEMORY_DIVISOR


def limit_item_bytes(memory: int | None) -> int:
    """Return the bytes that decoding one image or text may take."""
    return (
        MAX_ITEM_BYTES if memory is None else max(_MIN_BYTES, min(MAX_ITEM_BYTES, memory // MEMORY_DIVISOR))
    )


def limit_loaded_bytes(memory: int) -> int:
    """Return the bytes that arrays which cannot be read batch by batch may take."""
    return max(_MIN_BYTES, memory // 2)


def release_memory() -> None:
    """Return memory that was freed to the system; Arrow and the C library keep it, in pieces that rarely fit again."""
    arrow = sys.modules.get("pyarrow")
    if arrow is not None:
        arrow.default_memory_pool().release_unused()
    with suppress(AttributeError, OSError, TypeError):  # only glibc has this function
        ctypes.CDLL(None).malloc_trim(0)


def describe_excess(needed: int, available: int) -> str:
    """Return the end of a message about data that does not fit."""
    return f"{needed:,} bytes of memory, but only {available:,} bytes are available for it"


def raise_too_large(title: str, needed: int, available: int, key: KeyPath, hint: str | None) -> NoReturn:
    """Report data that cannot be loaded.

    Raises:
        DataError: always.
    """
    raise_data_error(f"{title} needs {describe_excess(needed, available)}.", key, hint)


class ByteBudget:
    """Bytes that threads share; a thread waits until the others leave enough."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._used = 0
        self._condition = Condition()

    @contextmanager
    def reserve(self, count: int) -> Iterator[None]:
        """Reserve bytes for the duration of the block; more than the whole budget counts as the whole."""
        count = min(count, self.size)
        with self._condition:
            self._condition.wait_for(lambda: self._used + count <= self.size)
            self._used += count
        try:
            yield
        finally:
            with self._condition:
                self._used -= count
                self._condition.notify_all()
