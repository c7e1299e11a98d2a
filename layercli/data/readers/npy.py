"""Arrays in files that ``numpy.save`` wrote; those larger than the memory are read as they are needed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from layercli.config.data.files import Npy
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
from layercli.source.nodes import KeyPath, format_path, printable


def read(data: Npy, memory: int | None) -> Source:
    """All examples: floating-point inputs and targets as float32, labels as int32, text as it is.

    Raises:
        RefusedDataError: a file is no such file, holds objects, or declares more than it holds.
    """
    arrays = _arrays(all_named(data), memory)
    in_file = any(not isinstance(array, np.ndarray) for array in arrays.values())
    return source_of(data, arrays, content_sample(map(Path, arrays)) if in_file else "")


def read_new(
    data: Npy, paths: Sequence[str], learned: Learned, memory: int | None, *, targets: bool
) -> Source:
    """All examples of other files, one for each input in the order of the config and then one for each target.

    Raises:
        RefusedDataError: a file cannot be read, or they are not as many.
    """
    places = all_named(data.replace(weights=None), targets=targets)
    if len(paths) != len(places):
        named = ", ".join(format_path(key) for _, key in places)
        refuse(
            f"{len(paths)} files were given for {named}.", ("data",), "Give a file for each, in that order."
        )
    new = dict(zip((name for name, _ in places), paths, strict=True))
    arrays = _arrays([(new[name], key) for name, key in places], memory)
    by_name = {name: arrays[new[name]] for name, _ in places}
    return new_source(data.replace(weights=None), by_name, learned, targets=targets)


def _arrays(places: Sequence[tuple[str, KeyPath]], memory: int | None) -> dict[str, Array | Rows]:
    """The arrays by the names of their files; where they are large, what reads their rows."""
    files = {name: regular_file(name, key) for name, key in places}
    total = sum(path.stat().st_size for path in files.values())
    apart = memory is not None and total > memory // SHARE
    return {name: _array(files[name], name, key, apart=apart) for name, key in places}


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
