"""Arrays in a file that ``numpy.savez`` wrote; what it declares is looked at before anything is read."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from layercli.config.data.files import Npz
from layercli.data.examples import Array
from layercli.data.lazy import Rows
from layercli.data.reader_state import Learned
from layercli.data.readers.arrays import (
    SHARE,
    all_named,
    mapped,
    new_source,
    plain,
    read_header,
    refuse,
    source_of,
)
from layercli.data.readers.paths import content_sample, regular_file
from layercli.data.subset import Source
from layercli.schema.suggestions import did_you_mean
from layercli.source.nodes import KeyPath, printable

_INFLATION = 1100
"""A deflated byte gives no more than 1032."""
_PATH: KeyPath = ("data", "path")


def read(data: Npz, memory: int | None) -> Source:
    """All examples: floating-point inputs and targets as float32, labels as int32, text as it is.

    Raises:
        RefusedDataError: the file is no such file, holds objects, or is larger than the memory and compressed.
    """
    path = regular_file(data.path, _PATH)
    arrays = _arrays(path, all_named(data), memory)
    in_file = any(not isinstance(array, np.ndarray) for array in arrays.values())
    return source_of(data, arrays, content_sample([path]) if in_file else "")


def read_new(
    data: Npz, paths: Sequence[str], learned: Learned, memory: int | None, *, targets: bool
) -> Source:
    """All examples of another file: see ``Reader``.

    Raises:
        RefusedDataError: the file is no such file, or has other classes.
    """
    if len(paths) != 1:
        refuse(f"npz data is one file, not {len(paths)}.", _PATH, None)
    arrays = _arrays(regular_file(paths[0], _PATH), all_named(data, targets=targets), memory)
    return new_source(data, arrays, learned, targets=targets)


def _arrays(path: Path, wanted: Sequence[tuple[str, KeyPath]], memory: int | None) -> dict[str, Array | Rows]:
    """The arrays of a file by their names; those of a large file as what reads their rows, where it is not compressed."""
    try:
        with zipfile.ZipFile(path) as archive:
            _check_inflation(archive, path)
            members = {name: _member(archive, name, key) for name, key in wanted}
            large = memory is not None and sum(info.file_size for info in members.values()) > memory // SHARE
            apart = {
                name for name, info in members.items() if large and info.compress_type == zipfile.ZIP_STORED
            }
            held = sum(info.file_size for name, info in members.items() if name not in apart)
            if memory is not None and held > memory:
                refuse(f"{printable(str(path))} holds {held:,} bytes of arrays; this machine has {memory:,} of memory.",
                       _PATH, "Save it by numpy.savez, which does not compress: then it is read as needed.")  # fmt: skip
            return {
                name: _array(archive, path, members[name], name, key, apart=name in apart)
                for name, key in wanted
            }
    except (zipfile.BadZipFile, OSError, ValueError, EOFError, NotImplementedError, struct.error) as error:
        refuse(f"{printable(str(path))} is no file of arrays: {printable(str(error), limit=200)}.", _PATH,
               "Write it with `numpy.savez(path, x=x, y=y)`.")  # fmt: skip


def _check_inflation(archive: zipfile.ZipFile, path: Path) -> None:
    declared = sum(info.file_size for info in archive.infolist())
    if declared > _INFLATION * path.stat().st_size:
        refuse(f"{printable(str(path))} declares {declared:,} bytes, more than a file of its size can hold.",
               _PATH, "It is damaged, or made to fill a machine.")  # fmt: skip


def _member(archive: zipfile.ZipFile, name: str, key: KeyPath) -> zipfile.ZipInfo:
    names = [member.removesuffix(".npy") for member in archive.namelist()]
    if name not in names:
        hint = did_you_mean(name, names, otherwise=f"It holds {', '.join(names[:12])}.")
        refuse(f'The file holds no array "{printable(name, limit=60)}".', key, hint)
    return archive.getinfo(f"{name}.npy")


def _array(
    archive: zipfile.ZipFile, path: Path, info: zipfile.ZipInfo, name: str, key: KeyPath, *, apart: bool
) -> Array | Rows:
    """The array, or what reads its rows as they are needed."""
    with archive.open(info) as stream:
        header = read_header(stream, info.file_size, name, key)
    if apart:
        return mapped(path, header, _content(path, info), name, key)
    with archive.open(info) as stream:
        return plain(npy.read_array(stream, allow_pickle=False), name, key)


def _content(path: Path, info: zipfile.ZipInfo) -> int:
    """Where the bytes of a member that is not compressed begin."""
    with path.open("rb") as file:
        file.seek(info.header_offset + 26)
        name, extra = struct.unpack("<HH", file.read(4))
    return info.header_offset + 30 + int(name) + int(extra)
