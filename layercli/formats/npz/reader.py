"""The reader of npz data, which checks the declared sizes before it reads anything."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from layercli.data.examples import Dataset
from layercli.data.lazy import LazyArray
from layercli.data.memory import MEMORY_DIVISOR, limit_loaded_bytes, raise_too_large
from layercli.data.named_arrays import (
    ArrayHeader,
    build_new_dataset,
    build_training_dataset,
    is_target_path,
    list_array_references,
    open_memmap,
    read_array,
    read_array_header,
    to_training_dtype,
)
from layercli.data.paths import require_file
from layercli.data.reader_state import ReaderState
from layercli.data.types import PATH_KEY, Array, raise_data_error
from layercli.formats.npz.config import Npz
from layercli.io.archives import open_zip
from layercli.schema.suggestions import did_you_mean
from layercli.source.nodes import KeyPath, sanitize_text

_MAX_INFLATION = 1100
"""The largest accepted ratio of inflated to deflated bytes; deflate itself reaches 1032."""
_MAX_COMPRESSED_BYTES = 1 << 30
_PLAUSIBLE_RATIO = 100
"""Compressed arrays that need more memory than both of these are refused: their files are made for that."""
_CHECKED_BYTES = 1 << 20
_READ_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    OSError,
    ValueError,
    EOFError,
    NotImplementedError,
    OverflowError,
    RuntimeError,
    struct.error,
)


def read_dataset(data: Npz, memory: int | None) -> Dataset:
    """Return all examples: floating-point numbers as float32, labels as int32, text unchanged.

    Raises:
        DataError: the file is not an archive of arrays, contains objects, or is compressed and larger than the memory.
    """
    path = require_file(data.path, PATH_KEY)
    arrays = read_arrays(path, list_array_references(data), memory)
    return build_training_dataset(data, arrays, [path])


def read_new_dataset(
    data: Npz, paths: Sequence[str], reader_state: ReaderState, memory: int | None, *, has_targets: bool
) -> Dataset:
    """Return all examples of another file; see ``Reader``.

    Raises:
        DataError: the file is not an archive of arrays, or has other classes.
    """
    if len(paths) != 1:
        raise_data_error(f"npz data must be one file, got {len(paths)}.", PATH_KEY, None)
    path = require_file(paths[0], PATH_KEY)
    references = list_array_references(data, has_targets=has_targets, is_new=True)
    arrays = read_arrays(path, references, memory)
    return build_new_dataset(data, arrays, [path], reader_state, has_targets=has_targets)


def list_headers(path: Path) -> dict[str, ArrayHeader]:
    """Return the headers of all arrays of a file by their names.

    Raises:
        DataError: the file is not an archive of arrays, or contains objects.
    """
    try:
        with path.open("rb") as file, open_zip(file) as archive:
            _check_inflation(archive, path)
            infos = [info for info in archive.infolist() if info.filename.endswith(".npy")]
            names = [info.filename.removesuffix(".npy") for info in infos]
            return {
                name: _read_header(archive, info, name, PATH_KEY)
                for name, info in zip(names, infos, strict=True)
            }
    except _READ_ERRORS as error:
        _raise_unreadable(path, error)


def read_arrays(
    path: Path, references: Sequence[tuple[str, KeyPath]], memory: int | None
) -> dict[str, Array | LazyArray]:
    """Return the arrays of a file by their names; uncompressed arrays of a large file read rows when needed."""
    try:
        with path.open("rb") as file, open_zip(file) as archive:
            _check_inflation(archive, path)
            members = {name: _find_member(archive, name, key) for name, key in references}
            headers = {name: _read_header(archive, members[name], name, key) for name, key in references}
            total = sum(header.loaded_bytes for header in headers.values())
            is_large = memory is not None and total > memory // MEMORY_DIVISOR
            lazy_names = {
                name
                for name, info in members.items()
                if is_large and info.compress_type == zipfile.ZIP_STORED
            }
            needed = sum(
                header.least_bytes if name in lazy_names else header.loaded_bytes
                for name, header in headers.items()
            )
            available = _limit_loaded_bytes(path, memory)
            if available is not None and needed > available:
                raise_too_large(
                    f"{sanitize_text(str(path))} cannot be read batch by batch and",
                    needed,
                    available,
                    PATH_KEY,
                    "Save it with numpy.savez, which does not compress: then it is read batch by batch.",
                )
            return {
                name: _read_array(
                    archive, path, members[name], headers[name], name, key, is_lazy=name in lazy_names
                )
                for name, key in references
            }
    except _READ_ERRORS as error:
        _raise_unreadable(path, error)


def _raise_unreadable(path: Path, error: Exception) -> NoReturn:
    if not zipfile.is_zipfile(path) and path.suffix.lower() != ".npz":
        raise_data_error(
            f"The arrays must be in an npz file, got {sanitize_text(str(path))}.",
            PATH_KEY,
            "Write one with `numpy.savez('arrays.npz', x=x)`, with the names of the arrays of training.",
        )
    raise_data_error(
        f"Cannot read arrays from {sanitize_text(str(path))}: {sanitize_text(str(error), limit=200)}.",
        PATH_KEY,
        "Write it with `numpy.savez(path, x=x, y=y)`.",
    )


def _check_inflation(archive: zipfile.ZipFile, path: Path) -> None:
    declared_bytes = sum(info.file_size for info in archive.infolist())
    if declared_bytes > _MAX_INFLATION * path.stat().st_size:
        raise_data_error(
            f"{sanitize_text(str(path))} declares {declared_bytes:,} bytes, more than a file of its size can contain.",
            PATH_KEY,
            "The file is damaged or malicious; create it again.",
        )


def _limit_loaded_bytes(path: Path, memory: int | None) -> int | None:
    """Return the memory that arrays which are loaded may take; None if that is unknown."""
    if memory is None:
        return None
    return min(limit_loaded_bytes(memory), max(_MAX_COMPRESSED_BYTES, _PLAUSIBLE_RATIO * path.stat().st_size))


def _find_member(archive: zipfile.ZipFile, name: str, key_path: KeyPath) -> zipfile.ZipInfo:
    names = [member.removesuffix(".npy") for member in archive.namelist() if member.endswith(".npy")]
    if name not in names:
        hint = did_you_mean(name, names, otherwise=f"It contains {', '.join(names[:12])}.")
        raise_data_error(f'The file contains no array "{sanitize_text(name, limit=60)}".', key_path, hint)
    return archive.getinfo(f"{name}.npy")


def _read_header(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str, key: KeyPath) -> ArrayHeader:
    with archive.open(info) as stream:
        return read_array_header(stream, info.file_size, name, key)


def _read_array(
    archive: zipfile.ZipFile,
    path: Path,
    info: zipfile.ZipInfo,
    header: ArrayHeader,
    name: str,
    key_path: KeyPath,
    *,
    is_lazy: bool,
) -> Array | LazyArray:
    """Return the array, or one that reads its rows when they are needed."""
    if is_lazy:
        _check_content(archive, info)
        return open_memmap(
            path, header, _find_content_offset(path, info), name, key_path, is_target=is_target_path(key_path)
        )
    with archive.open(info) as stream:
        array = read_array(stream, header)
        return to_training_dtype(array, name, key_path, is_target=is_target_path(key_path))


def _check_content(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> None:
    """Compare the content of a member with its CRC, as reading it into memory does.

    Raises:
        zipfile.BadZipFile: it is damaged.
    """
    with archive.open(info) as stream:
        while stream.read(_CHECKED_BYTES):
            pass


def _find_content_offset(path: Path, info: zipfile.ZipInfo) -> int:
    """Return the position of the first byte of an uncompressed member."""
    with path.open("rb") as file:
        file.seek(info.header_offset + 26)
        name_length, extra_length = struct.unpack("<HH", file.read(4))
    return info.header_offset + 30 + int(name_length) + int(extra_length)
