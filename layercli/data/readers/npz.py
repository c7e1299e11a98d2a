"""Arrays in a file that ``numpy.savez`` wrote; what it declares is looked at before anything is read."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from layercli.config.data.files import Npz
from layercli.data.examples import Dataset
from layercli.data.lazy import LazyArray
from layercli.data.reader_state import ReaderState
from layercli.data.readers.arrays import (
    MEMORY_DIVISOR,
    build_new_dataset,
    build_training_dataset,
    list_array_references,
    open_memmap,
    read_array_header,
    to_training_dtype,
)
from layercli.data.readers.paths import hash_content_sample, require_file
from layercli.data.types import Array, raise_data_error
from layercli.schema.suggestions import did_you_mean
from layercli.source.nodes import KeyPath, sanitize_text

_MAX_INFLATION = 1100
"""A deflated byte gives no more than 1032."""
_PATH_KEY: KeyPath = ("data", "path")


def read_dataset(data: Npz, memory: int | None) -> Dataset:
    """All examples: floating-point inputs and targets as float32, labels as int32, text as it is.

    Raises:
        RefusedDataError: the file is no such file, holds objects, or is larger than the memory and compressed.
    """
    path = require_file(data.path, _PATH_KEY)
    arrays = _read_arrays(path, list_array_references(data), memory)
    is_lazy = any(not isinstance(array, np.ndarray) for array in arrays.values())
    return build_training_dataset(data, arrays, hash_content_sample([path]) if is_lazy else "")


def read_new_dataset(
    data: Npz, paths: Sequence[str], reader_state: ReaderState, memory: int | None, *, has_targets: bool
) -> Dataset:
    """All examples of another file: see ``Reader``.

    Raises:
        RefusedDataError: the file is no such file, or has other classes.
    """
    if len(paths) != 1:
        raise_data_error(f"npz data is one file, not {len(paths)}.", _PATH_KEY, None)
    arrays = _read_arrays(
        require_file(paths[0], _PATH_KEY), list_array_references(data, has_targets=has_targets), memory
    )
    return build_new_dataset(data, arrays, reader_state, has_targets=has_targets)


def _read_arrays(
    path: Path, references: Sequence[tuple[str, KeyPath]], memory: int | None
) -> dict[str, Array | LazyArray]:
    """The arrays of a file by their names; those of a large file as what reads their rows, where it is not compressed."""
    try:
        with zipfile.ZipFile(path) as archive:
            _check_inflation(archive, path)
            members = {name: _find_member(archive, name, key) for name, key in references}
            is_large = (
                memory is not None
                and sum(info.file_size for info in members.values()) > memory // MEMORY_DIVISOR
            )
            lazy_names = {
                name
                for name, info in members.items()
                if is_large and info.compress_type == zipfile.ZIP_STORED
            }
            loaded_bytes = sum(info.file_size for name, info in members.items() if name not in lazy_names)
            if memory is not None and loaded_bytes > memory:
                raise_data_error(f"{sanitize_text(str(path))} holds {loaded_bytes:,} bytes of arrays; this machine has {memory:,} of memory.",
                       _PATH_KEY, "Save it by numpy.savez, which does not compress: then it is read as needed.")  # fmt: skip
            return {
                name: _read_array(archive, path, members[name], name, key, is_lazy=name in lazy_names)
                for name, key in references
            }
    except (zipfile.BadZipFile, OSError, ValueError, EOFError, NotImplementedError, struct.error) as error:
        raise_data_error(f"{sanitize_text(str(path))} is no file of arrays: {sanitize_text(str(error), limit=200)}.", _PATH_KEY,
               "Write it with `numpy.savez(path, x=x, y=y)`.")  # fmt: skip


def _check_inflation(archive: zipfile.ZipFile, path: Path) -> None:
    declared_bytes = sum(info.file_size for info in archive.infolist())
    if declared_bytes > _MAX_INFLATION * path.stat().st_size:
        raise_data_error(f"{sanitize_text(str(path))} declares {declared_bytes:,} bytes, more than a file of its size can hold.",
               _PATH_KEY, "It is damaged, or made to fill a machine.")  # fmt: skip


def _find_member(archive: zipfile.ZipFile, name: str, key: KeyPath) -> zipfile.ZipInfo:
    names = [member.removesuffix(".npy") for member in archive.namelist()]
    if name not in names:
        hint = did_you_mean(name, names, otherwise=f"It holds {', '.join(names[:12])}.")
        raise_data_error(f'The file holds no array "{sanitize_text(name, limit=60)}".', key, hint)
    return archive.getinfo(f"{name}.npy")


def _read_array(
    archive: zipfile.ZipFile, path: Path, info: zipfile.ZipInfo, name: str, key: KeyPath, *, is_lazy: bool
) -> Array | LazyArray:
    """The array, or what reads its rows as they are needed."""
    with archive.open(info) as stream:
        header = read_array_header(stream, info.file_size, name, key)
    if is_lazy:
        return open_memmap(path, header, _find_content_offset(path, info), name, key)
    with archive.open(info) as stream:
        return to_training_dtype(npy.read_array(stream, allow_pickle=False), name, key)


def _find_content_offset(path: Path, info: zipfile.ZipInfo) -> int:
    """Where the bytes of a member that is not compressed begin."""
    with path.open("rb") as file:
        file.seek(info.header_offset + 26)
        name_length, extra_length = struct.unpack("<HH", file.read(4))
    return info.header_offset + 30 + int(name_length) + int(extra_length)
