"""Arrays that were given for inputs, targets and weights: checked, in the dtypes of training, and put together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import IO, Any, NamedTuple, NoReturn, TypeAlias

import numpy as np
from numpy.lib import format as npy

from layercli.config.data.files import Arrays
from layercli.data.examples import Array, Examples, RefusedDataError
from layercli.data.labels import alone, checked_weights, labels
from layercli.data.lazy import Indexed, Rows
from layercli.data.reader_state import Learned
from layercli.data.subset import Source
from layercli.graph.finding import Finding
from layercli.schema.suggestions import did_you_mean
from layercli.source.nodes import KeyPath, printable

SHARE = 4
"""Arrays that would take more than this share of the memory are read as they are needed."""


class Header(NamedTuple):
    """What an array file declares."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]
    offset: int
    """Where the values begin, from the beginning of the array's own bytes."""


Named: TypeAlias = dict[str | None, tuple[str, KeyPath]]
"""Names of arrays, and where the config gives them, by the input or output that they are for."""


class Given(NamedTuple):
    """An array, what messages call it, and where the config names it."""

    array: Array | Rows
    title: str
    key: KeyPath


def read_header(stream: IO[bytes], size: int, name: str, key: KeyPath) -> Header:
    """The header of an array that has ``size`` bytes in all.

    Raises:
        RefusedDataError: it holds objects, or a single value.
        ValueError: it is no array, or declares more than it holds.
    """
    version = npy.read_magic(stream)
    header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, fortran, dtype = header(stream)
    if dtype.hasobject:
        refuse(f"The array `{name}` holds Python objects, which can run code when they are read.", key,
               "Save it as numbers, or as text of a fixed length: `x.astype(str)`.")  # fmt: skip
    if stream.tell() + prod(shape) * dtype.itemsize > size:
        raise ValueError(f"the array {name} declares more values than it holds")
    if not shape:
        refuse(f"The array `{name}` is a single value; it needs one for each example.", key, None)
    return Header(shape, fortran, dtype, stream.tell())


@dataclass(frozen=True, slots=True)
class Mapped:
    """An array in a file, of which rows are read as they are needed."""

    array: Any
    """A memory-mapped array."""
    name: str
    key: KeyPath

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, rows: Array) -> Array:
        file = getattr(self.array, "filename", None)
        if file is not None and Path(file).stat().st_size < self.array.offset + self.array.nbytes:
            # Reading it would end the process.
            refuse(f"{printable(str(file))} is shorter than it was when it was opened.", self.key,
                   "Leave the files as they are until training has ended.")  # fmt: skip
        return plain(self.array[rows], self.name, self.key)


def mapped(path: Path, header: Header, begin: int, name: str, key: KeyPath) -> Array | Rows:
    """The array whose bytes begin at ``begin`` of a file; one value an example is held in memory, others are not."""
    array = np.memmap(
        path, header.dtype, "r", begin + header.offset, header.shape, "F" if header.fortran else "C"
    )
    return plain(np.array(array), name, key) if len(header.shape) == 1 else Mapped(array, name, key)


def plain(array: Array, name: str, key: KeyPath) -> Array:
    """The array in the dtype that training uses: float32, int32 or smaller, or text as objects.

    Raises:
        RefusedDataError: it holds something else.
    """
    if array.dtype.kind == "f":
        return array.astype(np.float32, copy=False)
    if array.dtype.kind == "b":
        return array.astype(np.int32)
    if array.dtype.kind in "iu":
        largest = max(abs(int(array.min())), int(array.max())) if array.size else 0
        if array.dtype.itemsize >= 4 and largest >= 2**31:
            refuse(
                f"The array `{name}` has whole numbers of more than 32 bits.", key, "Save them as float32."
            )
        return array if array.dtype.itemsize < 4 else array.astype(np.int32)
    if array.dtype.kind not in "US":
        refuse(f"The array `{name}` has the dtype {array.dtype}; it must hold numbers or text.", key, None)
    return array.astype(str).astype(object)


def all_named(data: Arrays, *, targets: bool = True) -> list[tuple[str, KeyPath]]:
    """Each array that a config names, once, and where it does; without ``targets`` those of inputs alone."""
    others = (*_targets(data).values(), *_weights(data)) if targets else ()
    places = (*_inputs(data).values(), *others)
    return list(dict(reversed(places)).items())[::-1]


def _inputs(data: Arrays) -> Named:
    return _named("features", data.features) if data.inputs is None else _named("inputs", data.inputs)


def _targets(data: Arrays) -> Named:
    return _named("target", data.target)


def _weights(data: Arrays) -> list[tuple[str, KeyPath]]:
    return [] if data.weights is None else [(data.weights, ("data", "weights"))]


def _named(key: str, names: str | Mapping[str, str] | None) -> Named:
    if isinstance(names, Mapping):
        return {name: (array, ("data", key, name)) for name, array in names.items()}
    return {None: (str(names), ("data", key))}


def source_of(data: Arrays, arrays: Mapping[str, Array | Rows], origin: str) -> Source:
    """All examples, of arrays by the names that the config gives them; see ``together``."""

    def given(places: Named) -> dict[str | None, Given]:
        return {name: Given(arrays[array], array, key) for name, (array, key) in places.items()}

    weights = [Given(arrays[name], name, key) for name, key in _weights(data)]
    return together(given(_inputs(data)), given(_targets(data)), next(iter(weights), None), origin)


def new_source(
    data: Arrays, arrays: Mapping[str, Array | Rows], learned: Learned, *, targets: bool
) -> Source:
    """Examples that came after training, of arrays by their names; see ``Reader``.

    Raises:
        RefusedDataError: arrays have other lengths, or texts are of no class.
    """
    x = {name: Given(arrays[array], array, key) for name, (array, key) in _inputs(data).items()}
    if not targets:
        zeros = np.zeros(len(next(iter(x.values())).array), dtype=np.int32)
        return together(x, {None: Given(zeros, "the target", ("data", "target"))}, None, "")
    y = {}
    for name, (array, key) in _targets(data).items():
        names = learned.class_names if name is None else (learned.class_names or {}).get(name)
        given = arrays[array]
        if names is not None and isinstance(given, np.ndarray) and given.dtype.kind == "O":
            given = known_labels(given, names, key)
        y[name] = Given(given, array, key)
    weights = [Given(arrays[name], name, key) for name, key in _weights(data)]
    return named(together(x, y, next(iter(weights), None), ""), learned)


def known_labels(texts: Array, names: tuple[str, ...], key: KeyPath) -> Array:
    """Texts of shape (samples,) as labels from 0 of these classes: int32 of the same shape.

    Raises:
        RefusedDataError: a text is none of the classes.
    """
    numbers = {name: label for label, name in enumerate(names)}
    for row, text in enumerate(texts.tolist()):
        if text not in numbers:
            hint = did_you_mean(text, names, otherwise=f"The classes are {', '.join(names[:12])}.")
            message = (
                f'Row {row + 1} has the class "{printable(text, limit=60)}", which training did not have.'
            )
            refuse(message, key, hint)
    return np.array([numbers[text] for text in texts.tolist()], dtype=np.int32)


def named(source: Source, learned: Learned) -> Source:
    """The same with the classes of training."""
    assert isinstance(source, (Examples, Indexed))
    return replace(source, class_names=learned.class_names)


def together(
    x: Mapping[str | None, Given], y: Mapping[str | None, Given], weights: Given | None, origin: str
) -> Source:
    """All examples; in memory where all arrays are. ``origin`` tells data that is not in memory from other.

    Raises:
        RefusedDataError: arrays have other lengths, or weights are none.
    """
    first = next(iter(y.values()))
    samples = len(first.array)
    for given in (*x.values(), *y.values()):
        if len(given.array) != samples:
            message = f"`{given.title}` has {len(given.array)} examples, but `{first.title}` has {samples}."
            refuse(message, given.key, "Each array has one entry for each example.")
    names: dict[str | None, tuple[str, ...]] = {}
    targets: dict[str | None, Array | Rows] = {}
    for name, given in y.items():
        targets[name] = given.array
        if isinstance(given.array, np.ndarray):
            targets[name], found = labels(given.array)
            names |= {name: found} if found is not None else {}
    inputs: dict[str | None, Any] = {name: given.array for name, given in x.items()}
    class_names: Any = None if not names else alone(names) if len(targets) == 1 else names
    own = None
    if weights is not None:
        own = checked_weights(weights.array[np.arange(len(weights.array))], samples, weights.key)
    if all(isinstance(array, np.ndarray) for array in (*inputs.values(), *targets.values())):
        return Examples(inputs.get(None, inputs), alone(targets), class_names, weights=own)
    return Indexed(inputs, targets, origin, np.arange(samples), class_names, own)


def refuse(message: str, path: KeyPath, hint: str | None) -> NoReturn:
    """Raise that the data cannot be used; ``path`` is where the config names it."""
    raise RefusedDataError(Finding(code="unreadable-data", message=message, path=path, hint=hint))
