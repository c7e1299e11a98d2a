"""Rows that take long to make, kept in a temporary file after the first time."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from contextlib import suppress
from math import prod
from pathlib import Path
from typing import Any, Final

import numpy as np

from layercli.data.cores import run_on_all_cores
from layercli.data.lazy import LazyArray
from layercli.data.types import Array
from layercli.io.paths import locate_cache

_FREE_SPACE_DIVISOR: Final = 4
"""Rows are kept if all of them take at most one part in this many of the free disk space."""


class SpooledArray:
    """An array whose rows are made once, and then read from a file without a name, which ends with the process.

    Rows that are not kept, because the disk is too small, are made again each time.
    """

    def __init__(self, array: LazyArray, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        """Prepare the file for rows of this shape and dtype."""
        self._array = array
        self._shape = shape
        self._dtype = dtype
        self._bytes_per_row = prod(shape) * dtype.itemsize
        self._is_kept = np.zeros(len(array), dtype=bool)
        self._file: int | None = None
        if not hasattr(os, "preadv"):  # Windows, which also keeps files that are open
            return
        with suppress(OSError):
            folder = locate_cache()
            folder.mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(folder).free
            if len(array) * self._bytes_per_row <= free // _FREE_SPACE_DIVISOR:
                self._file = _open_unnamed_file(folder)
                weakref.finalize(self, os.close, self._file)

    def __len__(self) -> int:
        return len(self._array)

    def __getitem__(self, rows: Array) -> Array:
        """Return rows of shape (rows, ...); see ``LazyArray``."""
        if len(rows) and not self._is_kept[rows].any():
            return self._make_and_store(rows)
        values = np.empty((len(rows), *self._shape), self._dtype)
        missing = [
            index for index, row in enumerate(rows.tolist()) if not self._copy_stored_row(row, values[index])
        ]
        if missing:
            values[missing] = self._make_and_store(rows[missing])
        return values

    def _make_and_store(self, rows: Array) -> Array:
        """Return rows that are not in the file, and write them to it."""
        made = self._array[rows]
        run_on_all_cores(len(rows), lambda index: self._store_row(int(rows[index]), made[index]))
        return made

    def _copy_stored_row(self, row: int, target: Array) -> bool:
        """Copy a row from the file; return whether it is there."""
        if self._file is None or not self._is_kept[row]:
            return False
        return os.preadv(self._file, [target.data.cast("B")], row * self._bytes_per_row) == target.nbytes

    def _store_row(self, row: int, value: Array) -> None:
        """Write a row to the file; without effect if the disk is full."""
        if self._file is None:
            return
        with suppress(OSError):
            written = os.pwrite(self._file, value.data.cast("B"), row * self._bytes_per_row)
            self._is_kept[row] = written == value.nbytes


def _open_unnamed_file(folder: Path) -> int:
    file, name = tempfile.mkstemp(dir=folder)
    Path(name).unlink()
    return file
