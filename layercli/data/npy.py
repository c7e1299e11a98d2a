"""Arrays in files that ``numpy.save`` wrote; those larger than the memory are read as they are needed."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from layercli.config.files import Npy
from layercli.data.arrays import Array
from layercli.data.given import SHARE, all_named, mapped, plain, read_header, refuse, source_of
from layercli.data.indexed import Rows
from layercli.data.part import Source
from layercli.data.places import content_sample, regular_file
from layercli.source.nodes import KeyPath, printable


def read(data: Npy, memory: int | None) -> Source:
    """All examples: floating-point inputs and targets as float32, labels as int32, text as it is.

    Raises:
        RefusedDataError: a file is no such file, holds objects, or declares more than it holds.
    """
    files = {name: regular_file(name, key) for name, key in all_named(data)}
    total = sum(path.stat().st_size for path in files.values())
    apart = memory is not None and total > memory // SHARE
    arrays = {name: _array(files[name], name, key, apart=apart) for name, key in all_named(data)}
    return source_of(data, arrays, content_sample(files.values()) if apart else "")


def _array(path: Path, name: str, key: KeyPath, *, apart: bool) -> Array | Rows:
    try:
        with path.open("rb") as stream:
            header = read_header(stream, path.stat().st_size, printable(name), key)
        if apart:
            return mapped(path, header, 0, printable(name), key)
        return plain(np.load(path, allow_pickle=False), printable(name), key)
    except (OSError, ValueError, EOFError) as error:
        refuse(f"{printable(str(path))} is no array that can be read: {printable(str(error), limit=200)}.", key,
               "Write it with `numpy.save(path, x)`.")  # fmt: skip
