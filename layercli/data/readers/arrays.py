"""Arrays that were given for inputs, targets and weights: checked, in the dtypes of training, and put together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import IO, Any, NamedTuple, TypeAlias

import numpy as np
from numpy.lib import format as npy

from layercli.config.data.files import ArraysConfig
from layercli.data.examples import Dataset, Examples
from layercli.data.labels import check_weights, encode_labels, unwrap_single
from layercli.data.lazy import LazyArray, LazyDataset
from layercli.data.reader_state import ReaderState
from layercli.data.types import Array, raise_data_error
from layercli.schema.suggestions import did_you_mean
from layercli.source.nodes import KeyPath, sanitize_text

MEMORY_DIVISOR = 4
"""Arrays that would take more than this share of the memory are read as they are needed."""


class ArrayHeader(NamedTuple):
    """What an array file declares."""

    shape: tuple[int, ...]
    fortran_order: bool
    dtype: np.dtype[Any]
    offset: int
    """Where the values begin, from the beginning of the array's own bytes."""


ArrayReferences: TypeAlias = dict[str | None, tuple[str, KeyPath]]
"""Names of arrays, and where the config gives them, by the input or output that they are for."""


class NamedArray(NamedTuple):
    """An array, what messages call it, and where the config names it."""

    array: Array | LazyArray
    title: str
    key: KeyPath


def read_array_header(stream: IO[bytes], size: int, name: str, key: KeyPath) -> ArrayHeader:
    """The header of an array that has ``size`` bytes in all.

    Raises:
        RefusedDataError: it holds objects, or a single value.
        ValueError: it is no array, or declares more than it holds.
    """
    version = npy.read_magic(stream)
    header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, fortran, dtype = header(stream)
    if dtype.hasobject:
        raise_data_error(f"The array `{name}` holds Python objects, which can run code when they are read.", key,
               "Save it as numbers, or as text of a fixed length: `x.astype(str)`.")  # fmt: skip
    if stream.tell() + prod(shape) * dtype.itemsize > size:
        raise ValueError(f"the array {name} declares more values than it holds")
    if not shape:
        raise_data_error(f"The array `{name}` is a single value; it needs one for each example.", key, None)
    return ArrayHeader(shape, fortran, dtype, stream.tell())


@dataclass(frozen=True, slots=True)
class MemmapArray:
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
            raise_data_error(f"{sanitize_text(str(file))} is shorter than it was when it was opened.", self.key,
                   "Leave the files as they are until training has ended.")  # fmt: skip
        return to_training_dtype(self.array[rows], self.name, self.key)


def open_memmap(
    path: Path, header: ArrayHeader, start_byte: int, name: str, key: KeyPath
) -> Array | LazyArray:
    """The array whose bytes begin at ``begin`` of a file; one value an example is held in memory, others are not."""
    array = np.memmap(
        path,
        header.dtype,
        "r",
        start_byte + header.offset,
        header.shape,
        "F" if header.fortran_order else "C",
    )
    return (
        to_training_dtype(np.array(array), name, key)
        if len(header.shape) == 1
        else MemmapArray(array, name, key)
    )


def to_training_dtype(array: Array, name: str, key: KeyPath) -> Array:
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
            raise_data_error(
                f"The array `{name}` has whole numbers of more than 32 bits.", key, "Save them as float32."
            )
        return array if array.dtype.itemsize < 4 else array.astype(np.int32)
    if array.dtype.kind not in "US":
        raise_data_error(
            f"The array `{name}` has the dtype {array.dtype}; it must hold numbers or text.", key, None
        )
    return array.astype(str).astype(object)


def list_array_references(data: ArraysConfig, *, has_targets: bool = True) -> list[tuple[str, KeyPath]]:
    """Each array that a config names, once, and where it does; without ``targets`` those of inputs alone."""
    others = (*_target_references(data).values(), *_weight_references(data)) if has_targets else ()
    references = (*_input_references(data).values(), *others)
    return list(dict(reversed(references)).items())[::-1]


def _input_references(data: ArraysConfig) -> ArrayReferences:
    return (
        _make_references("features", data.features)
        if data.inputs is None
        else _make_references("inputs", data.inputs)
    )


def _target_references(data: ArraysConfig) -> ArrayReferences:
    return _make_references("target", data.target)


def _weight_references(data: ArraysConfig) -> list[tuple[str, KeyPath]]:
    return [] if data.weights is None else [(data.weights, ("data", "weights"))]


def _make_references(key: str, names: str | Mapping[str, str] | None) -> ArrayReferences:
    if isinstance(names, Mapping):
        return {name: (array, ("data", key, name)) for name, array in names.items()}
    return {None: (str(names), ("data", key))}


def build_training_dataset(
    data: ArraysConfig, arrays: Mapping[str, Array | LazyArray], content_id: str
) -> Dataset:
    """All examples, of arrays by the names that the config gives them; see ``together``."""

    def resolve_arrays(places: ArrayReferences) -> dict[str | None, NamedArray]:
        return {name: NamedArray(arrays[array], array, key) for name, (array, key) in places.items()}

    weights = [NamedArray(arrays[name], name, key) for name, key in _weight_references(data)]
    return build_dataset(
        resolve_arrays(_input_references(data)),
        resolve_arrays(_target_references(data)),
        next(iter(weights), None),
        content_id,
    )


def build_new_dataset(
    data: ArraysConfig,
    arrays: Mapping[str, Array | LazyArray],
    reader_state: ReaderState,
    *,
    has_targets: bool,
) -> Dataset:
    """Examples that came after training, of arrays by their names; see ``Reader``.

    Raises:
        RefusedDataError: arrays have other lengths, or texts are of no class.
    """
    x = {
        name: NamedArray(arrays[array], array, key) for name, (array, key) in _input_references(data).items()
    }
    if not has_targets:
        zeros = np.zeros(len(next(iter(x.values())).array), dtype=np.int32)
        return build_dataset(x, {None: NamedArray(zeros, "the target", ("data", "target"))}, None, "")
    y = {}
    for name, (array, key) in _target_references(data).items():
        names = reader_state.class_names if name is None else (reader_state.class_names or {}).get(name)
        values = arrays[array]
        if names is not None and isinstance(values, np.ndarray) and values.dtype.kind == "O":
            values = encode_known_labels(values, names, key)
        y[name] = NamedArray(values, array, key)
    weights = [NamedArray(arrays[name], name, key) for name, key in _weight_references(data)]
    return with_class_names(build_dataset(x, y, next(iter(weights), None), ""), reader_state)


def encode_known_labels(texts: Array, class_names: tuple[str, ...], key: KeyPath) -> Array:
    """Texts of shape (samples,) as labels from 0 of these classes: int32 of the same shape.

    Raises:
        RefusedDataError: a text is none of the classes.
    """
    numbers = {name: label for label, name in enumerate(class_names)}
    for row, text in enumerate(texts.tolist()):
        if text not in numbers:
            hint = did_you_mean(
                text, class_names, otherwise=f"The classes are {', '.join(class_names[:12])}."
            )
            message = (
                f'Row {row + 1} has the class "{sanitize_text(text, limit=60)}", which training did not have.'
            )
            raise_data_error(message, key, hint)
    return np.array([numbers[text] for text in texts.tolist()], dtype=np.int32)


def with_class_names(dataset: Dataset, reader_state: ReaderState) -> Dataset:
    """The same with the classes of training."""
    assert isinstance(dataset, (Examples, LazyDataset))
    return replace(dataset, class_names=reader_state.class_names)


def build_dataset(
    x: Mapping[str | None, NamedArray],
    y: Mapping[str | None, NamedArray],
    weights: NamedArray | None,
    content_id: str,
) -> Dataset:
    """All examples; in memory where all arrays are. ``origin`` tells data that is not in memory from other.

    Raises:
        RefusedDataError: arrays have other lengths, or weights are none.
    """
    first = next(iter(y.values()))
    samples = len(first.array)
    for entry in (*x.values(), *y.values()):
        if len(entry.array) != samples:
            message = f"`{entry.title}` has {len(entry.array)} examples, but `{first.title}` has {samples}."
            raise_data_error(message, entry.key, "Each array has one entry for each example.")
    names: dict[str | None, tuple[str, ...]] = {}
    targets: dict[str | None, Array | LazyArray] = {}
    for name, entry in y.items():
        targets[name] = entry.array
        if isinstance(entry.array, np.ndarray):
            targets[name], target_names = encode_labels(entry.array)
            names |= {name: target_names} if target_names is not None else {}
    inputs: dict[str | None, Any] = {name: given.array for name, given in x.items()}
    class_names: Any = None if not names else unwrap_single(names) if len(targets) == 1 else names
    example_weights = None
    if weights is not None:
        example_weights = check_weights(weights.array[np.arange(len(weights.array))], samples, weights.key)
    if all(isinstance(array, np.ndarray) for array in (*inputs.values(), *targets.values())):
        return Examples(
            inputs.get(None, inputs), unwrap_single(targets), class_names, weights=example_weights
        )
    return LazyDataset(inputs, targets, content_id, np.arange(samples), class_names, example_weights)
