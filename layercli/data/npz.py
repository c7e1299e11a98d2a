"""Arrays in a file that ``numpy.savez`` wrote; what it declares is looked at before anything is read."""

from __future__ import annotations

import zipfile
from math import prod
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.lib import format as npy

from layercli.config.files import Npz
from layercli.data.arrays import Array, Examples, RefusedDataError
from layercli.data.places import regular_file
from layercli.data.targets import alone, labels
from layercli.graph.findings import Finding
from layercli.layers.suggestions import did_you_mean
from layercli.source.nodes import KeyPath, printable

_INFLATION = 1100
"""A deflated byte gives no more than 1032."""


def read(data: Npz, memory: int | None) -> Examples:
    """All examples: floating-point inputs and targets as float32, labels as int32, text as it is.

    Raises:
        RefusedDataError: the file is no such file, holds objects, or is larger than the memory.
    """
    path = regular_file(data.path, ("data", "path"))
    inputs = _named(
        data.features if data.inputs is None else data.inputs, "features" if data.inputs is None else "inputs"
    )
    targets = _named(data.target, "target")
    try:
        with zipfile.ZipFile(path) as archive:
            _check_sizes(archive, path, memory)
            x = {name: _array(archive, *place) for name, place in inputs.items()}
            y = {name: _array(archive, *place) for name, place in targets.items()}
    except (zipfile.BadZipFile, OSError, ValueError, EOFError, NotImplementedError) as error:
        _refuse(f"{printable(str(path))} is no file of arrays: {printable(str(error), limit=200)}.", ("data", "path"),
                "Write it with `numpy.savez(path, x=x, y=y)`.")  # fmt: skip
    (first, _), length = next(iter(targets.values())), len(next(iter(y.values())))
    for places, arrays in ((inputs, x), (targets, y)):
        for name, array in arrays.items():
            if len(array) != length:
                message = f"`{places[name][0]}` has {len(array)} examples, but `{first}` has {length}."
                _refuse(message, places[name][1], "Each array has one entry for each example.")
    labelled = {name: labels(array) for name, array in y.items()}
    names = {name: found for name, (_, found) in labelled.items() if found is not None}
    y = {name: array for name, (array, _) in labelled.items()}
    one: Any = x.get(None, x)
    return Examples(one, alone(y), alone(names) if names else None)


def _named(places: Any, key: str) -> dict[str | None, tuple[str, KeyPath]]:
    """Each array that is wanted and where the config names it, by the input or output that it is for."""
    if not isinstance(places, dict):
        return {None: (places, ("data", key))}
    return {name: (array, ("data", key, name)) for name, array in places.items()}


def _check_sizes(archive: zipfile.ZipFile, path: Path, memory: int | None) -> None:
    declared = sum(info.file_size for info in archive.infolist())
    if declared > _INFLATION * path.stat().st_size:
        _refuse(f"{printable(str(path))} declares {declared:,} bytes, more than a file of its size can hold.",
                ("data", "path"), "It is damaged, or made to fill a machine.")  # fmt: skip
    if memory is not None and declared > memory:
        _refuse(f"{printable(str(path))} holds {declared:,} bytes of arrays; this machine has {memory:,} of memory.",
                ("data", "path"), "Use a part of it, or a machine with more memory.")  # fmt: skip


def _array(archive: zipfile.ZipFile, name: str, key: KeyPath) -> Array:
    names = [member.removesuffix(".npy") for member in archive.namelist()]
    if name not in names:
        hint = did_you_mean(name, names, otherwise=f"It holds {', '.join(names[:12])}.")
        _refuse(f'The file holds no array "{printable(name, limit=60)}".', key, hint)
    info = archive.getinfo(f"{name}.npy")
    with archive.open(info) as stream:
        version = npy.read_magic(stream)
        header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = header(stream)
        if dtype.hasobject:
            _refuse(f"The array `{name}` holds Python objects, which can run code when they are read.", key,
                    "Save it as numbers, or as text of a fixed length: `x.astype(str)`.")  # fmt: skip
        if prod(shape) * dtype.itemsize > info.file_size:
            raise ValueError(f"the array {name} declares more values than it holds")
        if not shape:
            _refuse(f"The array `{name}` is a single value; it needs one for each example.", key, None)
    with archive.open(info) as stream:
        array: Array = npy.read_array(stream, allow_pickle=False)
    return _plain(array, name, key)


def _plain(array: Array, name: str, key: KeyPath) -> Array:
    """The array in the dtype that training uses."""
    if array.dtype.kind == "f":
        return array.astype(np.float32, copy=False)
    if array.dtype.kind == "b":
        return array.astype(np.int32)
    if array.dtype.kind in "iu":
        if array.dtype.itemsize > 4 and array.size and max(abs(int(array.min())), int(array.max())) >= 2**31:
            _refuse(
                f"The array `{name}` has whole numbers of more than 32 bits.", key, "Save them as float32."
            )
        return array if array.dtype.itemsize < 4 else array.astype(np.int32)
    if array.dtype.kind not in "US":
        _refuse(f"The array `{name}` has the dtype {array.dtype}; it must hold numbers or text.", key, None)
    return array.astype(str).astype(object)


def _refuse(message: str, path: KeyPath, hint: str | None) -> NoReturn:
    raise RefusedDataError(Finding(code="unreadable-data", message=message, path=path, hint=hint))
