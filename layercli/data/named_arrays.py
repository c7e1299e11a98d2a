"""Arrays of inputs, targets and weights: checked, converted to the dtypes of training, and joined to a data set."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import IO, Any, NamedTuple, TypeAlias

import numpy as np
from numpy.lib import format as npy

from layercli.config.data.arrays import ArraysConfig
from layercli.config.data.section import TargetType
from layercli.data.examples import Dataset, Examples
from layercli.data.labels import (
    MAX_CLASSES,
    check_weights,
    encode_known_labels,
    encode_labels,
    format_label,
    unwrap_single,
)
from layercli.data.lazy import LazyArray, LazyDataset
from layercli.data.paths import hash_content_sample
from layercli.data.reader_state import ReaderState
from layercli.data.split_datasets import with_split_keys
from layercli.data.split_keys import make_split_keys
from layercli.data.types import Array, make_aligned_array, raise_data_error
from layercli.source.nodes import KeyPath, sanitize_text

_BYTES_PER_TEXT = 80
"""Memory for a short text as an object, with the reference to it."""
_BYTES_PER_EXAMPLE = 24
"""Memory for an example that is not loaded: its number, its place in the order, and its target."""
_MAX_SIZE = 1 << 62
_LABEL_ROWS = 1 << 12
"""Rows of labels that are read together."""
_READ_TOGETHER = 1 << 18
"""Values that are read together and converted."""


class ArrayHeader(NamedTuple):
    """The header of an array file."""

    shape: tuple[int, ...]
    fortran_order: bool
    dtype: np.dtype[Any]
    offset: int
    """Position of the first value, from the first byte of the array."""

    @property
    def stored_bytes(self) -> int:
        """Size of the values in the file."""
        return prod(self.shape) * self.dtype.itemsize

    @property
    def loaded_bytes(self) -> int:
        """Memory that the array takes while it is loaded: as it is stored, and in the dtype of training."""
        values, kind, size = prod(self.shape), self.dtype.kind, self.dtype.itemsize
        if kind in "US":
            return values * (size + (4 * size if kind == "S" else size) + size + _BYTES_PER_TEXT)
        return values * (size + (4 if kind in "fb" or size > 4 else 0))

    @property
    def least_bytes(self) -> int:
        """Memory that the array takes if its rows are read when they are needed: only one with several axes can be read so."""
        return self.loaded_bytes if len(self.shape) == 1 else self.shape[0] * _BYTES_PER_EXAMPLE


ArrayReferences: TypeAlias = dict[str | None, tuple[str, KeyPath]]
"""Input or output -> the name of its array, and the path in the config that names it."""


class NamedArray(NamedTuple):
    """An array, its name in messages, and the path in the config that names it."""

    array: Array | LazyArray
    title: str
    key_path: KeyPath


def read_array_header(stream: IO[bytes], size: int, name: str, key_path: KeyPath) -> ArrayHeader:
    """Return the header of an array that has ``size`` bytes in total.

    Raises:
        DataError: it contains objects, or a single value.
        ValueError: it is not an array, or declares more values than it contains.
    """
    version = npy.read_magic(stream)
    read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    try:
        shape, is_fortran_order, dtype = read_header(stream)
    except OSError:
        raise
    except Exception as error:  # NumPy parses the header as Python, which can raise anything
        raise ValueError(f"the array {name} has an invalid header ({type(error).__name__})") from None
    if any(type(size) is not int or not 0 <= size < _MAX_SIZE for size in shape):  # NumPy accepts booleans
        raise ValueError(f"the array {name} has an invalid shape")
    if dtype.hasobject:
        raise_data_error(
            f"The array `{name}` contains Python objects, which can run code when they are read.",
            key_path,
            "Save it as numbers, or as fixed-length text: `x.astype(str)`.",
        )
    if shape and shape[0] and not prod(shape) * dtype.itemsize:
        raise_data_error(
            f"The array `{name}` declares {shape[0]:,} examples without values: its shape is {shape}, its dtype {dtype.str}.",
            key_path,
            "Save an array with at least one value for each example.",
        )
    if stream.tell() + prod(shape) * dtype.itemsize > size:
        raise ValueError(f"the array {name} declares more values than it contains")
    if not shape:
        raise_data_error(
            f"The array `{name}` must have a value for each example, got a single value.", key_path, None
        )
    return ArrayHeader(shape, is_fortran_order, dtype, stream.tell())


def read_array(stream: IO[bytes], header: ArrayHeader) -> Array:
    """Return the array of a stream that is at its first byte: floats as float32, in memory that TensorFlow can use.

    Raises:
        ValueError: it has fewer values than its header declares.
    """
    if header.fortran_order or header.dtype.kind not in "fiu":
        return np.asarray(npy.read_array(stream, allow_pickle=False))
    stream.read(header.offset)
    array = make_aligned_array(header.shape, np.float32 if header.dtype.kind == "f" else header.dtype)
    values, size = array.reshape(-1), header.dtype.itemsize
    for start in range(0, len(values), _READ_TOGETHER):
        part = values[start : start + _READ_TOGETHER]
        content = stream.read(len(part) * size)
        if len(content) < len(part) * size:
            raise ValueError("the file is incomplete")
        with np.errstate(over="ignore"):  # a check reports infinite values
            part[...] = np.frombuffer(content, header.dtype)
    return array


@dataclass(frozen=True, slots=True)
class MemmapArray:
    """An array in a file, whose rows are read when they are needed."""

    array: Any
    """A memory-mapped array."""
    name: str
    key_path: KeyPath
    is_target: bool = False

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, rows: Array) -> Array:
        file = getattr(self.array, "filename", None)
        if file is not None and Path(file).stat().st_size < self.array.offset + self.array.nbytes:
            # Reading it would crash the process.
            raise_data_error(
                f"{sanitize_text(str(file))} became shorter after it was opened.",
                self.key_path,
                "Do not change the files during training.",
            )
        return to_training_dtype(self.array[rows], self.name, self.key_path, is_target=self.is_target)


def open_memmap(
    path: Path, header: ArrayHeader, start_byte: int, name: str, key_path: KeyPath, *, is_target: bool = False
) -> Array | LazyArray:
    """Return the array that begins at ``start_byte`` of a file; it is loaded only if it has one value for each example."""
    array = np.memmap(
        path,
        header.dtype,
        "r",
        start_byte + header.offset,
        header.shape,
        "F" if header.fortran_order else "C",
    )
    return (
        to_training_dtype(np.array(array), name, key_path, is_target=is_target)
        if len(header.shape) == 1
        else MemmapArray(array, name, key_path, is_target)
    )


@dataclass(frozen=True, slots=True)
class LabelArray:
    """The labels of texts or numbers in a file, whose rows are read when they are needed."""

    array: LazyArray
    class_names: tuple[str, ...]
    key_path: KeyPath

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, rows: Array) -> Array:
        return encode_known_labels(self.array[rows], self.class_names, self.key_path)


def to_training_dtype(array: Array, name: str, key_path: KeyPath, *, is_target: bool = False) -> Array:
    """Return the array in the dtype that training uses: float32, int32 or smaller, or text as objects.

    Integers of more than 32 bits stay in a target, where they become labels or floating-point numbers.

    Raises:
        DataError: it contains other values.
    """
    if key_path[1:2] == ("split",) and array.dtype.kind not in "US":
        return array  # it is compared only, in full precision
    if array.dtype.kind == "f":
        with np.errstate(over="ignore"):  # a check reports infinite values
            return array.astype(np.float32, copy=False)
    if array.dtype.kind == "b":
        return _copy_as(array, np.int32)
    if array.dtype.kind in "iu":
        largest = max(abs(int(array.min())), int(array.max())) if array.size else 0
        if array.dtype.itemsize >= 4 and largest >= 2**31:
            if is_target:
                return array
            raise_data_error(
                f"The array `{name}` has integers of more than 32 bits.", key_path, "Save them as float32."
            )
        return array if array.dtype.itemsize < 4 else _copy_as(array, np.int32)
    if array.dtype.kind not in "US":
        raise_data_error(
            f"The array `{name}` must contain numbers or text, got the dtype {array.dtype}.", key_path, None
        )
    _require_valid_text(array, name, key_path)
    return array.astype(str).astype(object)


def _copy_as(array: Array, dtype: Any) -> Array:
    """Return a copy of an array in another dtype, in memory that TensorFlow can use."""
    copy = make_aligned_array(array.shape, dtype)
    copy[...] = array
    return copy


def _require_valid_text(array: Array, name: str, key_path: KeyPath) -> None:
    """Check the characters of an array of text: Python has no others, and TensorFlow no surrogates.

    Raises:
        DataError: an item is not text.
    """
    if not array.size or not array.dtype.itemsize:
        return
    content = np.ascontiguousarray(array)
    if array.dtype.kind == "S":
        if (content.view("u1") >= 0x80).any():
            message = f"The array `{name}` contains bytes that are not ASCII text."
            raise_data_error(message, key_path, f"Save it as text: `np.char.decode({name}, 'utf-8')`.")
        return
    codes = content.view(f"{array.dtype.byteorder}u4")
    if ((codes > 0x10FFFF) | ((codes >= 0xD800) & (codes <= 0xDFFF))).any():
        message = f"The array `{name}` contains characters that do not exist in Unicode."
        raise_data_error(message, key_path, "The file is damaged; create it again.")


def list_array_references(
    data: ArraysConfig, *, has_targets: bool = True, is_new: bool = False
) -> list[tuple[str, KeyPath]]:
    """Return each array once with the path that names it; without ``has_targets`` only those of inputs.

    Arrays that split the examples are left out if the examples are new.
    """
    others = (*_target_references(data).values(), *_weight_references(data)) if has_targets else ()
    if not is_new:
        others = (*others, *_split_references(data))
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


def _split_references(data: ArraysConfig) -> list[tuple[str, KeyPath]]:
    return [(array, ("data", "split", key)) for key, array in data.split.key_columns.items()]


def is_target_path(key_path: KeyPath) -> bool:
    """Return whether a path of ``list_array_references`` names a target."""
    return key_path[1:2] == ("target",)


def _make_references(key: str, names: str | Mapping[str, str] | None) -> ArrayReferences:
    if isinstance(names, Mapping):
        return {name: (array, ("data", key, name)) for name, array in names.items()}
    return {None: (str(names), ("data", key))}


def build_training_dataset(
    data: ArraysConfig, arrays: Mapping[str, Array | LazyArray], files: Iterable[Path]
) -> Dataset:
    """Return all examples of arrays by their names in the config, read from these files; see ``build_dataset``."""

    def resolve_arrays(references: ArrayReferences) -> dict[str | None, NamedArray]:
        return {name: NamedArray(arrays[array], array, key) for name, (array, key) in references.items()}

    weights = [NamedArray(arrays[name], name, key) for name, key in _weight_references(data)]
    dataset = build_dataset(
        resolve_arrays(_input_references(data)),
        resolve_arrays(_target_references(data)),
        next(iter(weights), None),
        _identify_content(arrays, files),
        data.target_type_of,
        is_movable=True,
    )
    split_keys = [
        make_split_keys(str(key[-1]), name, arrays[name], len(dataset))
        for name, key in _split_references(data)
    ]
    return with_split_keys(dataset, next(iter(split_keys), None))


def _identify_content(arrays: Mapping[str, Array | LazyArray], files: Iterable[Path]) -> str:
    """Return a text that identifies the content of files, if arrays are not in memory."""
    is_lazy = any(not isinstance(array, np.ndarray) for array in arrays.values())
    return hash_content_sample(files) if is_lazy else ""


def build_new_dataset(
    data: ArraysConfig,
    arrays: Mapping[str, Array | LazyArray],
    files: Iterable[Path],
    reader_state: ReaderState,
    *,
    has_targets: bool,
) -> Dataset:
    """Return examples that are not from training, of arrays by their names, read from these files; see ``Reader``.

    Raises:
        DataError: arrays have different lengths, or a text is not a class of training.
    """
    x = {
        name: NamedArray(arrays[array], array, key) for name, (array, key) in _input_references(data).items()
    }
    content_id = _identify_content(arrays, files)
    if not has_targets:
        zeros = np.zeros(len(next(iter(x.values())).array), dtype=np.int32)
        return build_dataset(x, {None: NamedArray(zeros, "the target", ("data", "target"))}, None, content_id)
    y = {}
    for name, (array, key) in _target_references(data).items():
        names = reader_state.class_names if name is None else (reader_state.class_names or {}).get(name)
        y[name] = NamedArray(arrays[array], array, key)
        if names is not None:
            y[name] = NamedArray(_encode_known_array(y[name], names), array, key)
    weights = [NamedArray(arrays[name], name, key) for name, key in _weight_references(data)]
    return with_class_names(build_dataset(x, y, next(iter(weights), None), content_id), reader_state)


def _encode_known_array(entry: NamedArray, class_names: tuple[str, ...]) -> Array | LazyArray:
    """Return the labels of an array for known classes; see ``encode_known_labels``."""
    if isinstance(entry.array, np.ndarray):
        return encode_known_labels(entry.array, class_names, entry.key_path)
    return LabelArray(entry.array, class_names, entry.key_path)


def _encode_array(entry: NamedArray) -> tuple[Array | LazyArray, tuple[str, ...]]:
    """Return the labels of an array and the names of the classes.

    Raises:
        DataError: there are too many classes.
    """
    if isinstance(entry.array, np.ndarray):
        labels, names = encode_labels(entry.array)
        _require_class_count(len(names), entry)
        return labels, names
    distinct: Array = entry.array[np.arange(0)].reshape(0)
    for start in range(0, len(entry.array), _LABEL_ROWS):
        rows = entry.array[np.arange(start, min(start + _LABEL_ROWS, len(entry.array)))].ravel()
        distinct = np.unique(np.concatenate([distinct, rows.astype(str) if rows.dtype.kind == "O" else rows]))
        _require_class_count(len(distinct), entry)
    names = tuple(map(format_label, distinct))
    return LabelArray(entry.array, names, entry.key_path), names


def _require_class_count(count: int, entry: NamedArray) -> None:
    if count > MAX_CLASSES:
        raise_data_error(
            f"`{sanitize_text(entry.title, limit=60)}` must have at most {MAX_CLASSES:,} different labels, "
            f"got {count:,}.",
            entry.key_path,
            "For numbers, set `target_type: numbers` under `data:`.",
        )


def _read_target(
    entry: NamedArray, declared: TargetType | None
) -> tuple[Array | LazyArray, tuple[str, ...] | None]:
    """Return a target, and the class names if its values are labels by their dtype or by declaration.

    Raises:
        DataError: texts are declared as numbers, or there are too many classes.
    """
    first = entry.array[np.arange(0)]
    if first.dtype.kind == "O" and declared == "numbers":
        raise_data_error(
            f"`{sanitize_text(entry.title, limit=60)}` must contain numbers, got text.",
            entry.key_path,
            "Remove `target_type: numbers`.",
        )
    if first.dtype.kind == "O" or declared == "labels":
        labels, names = _encode_array(entry)
        is_unchanged = first.ndim > 1 and names == tuple(map(str, range(len(names))))
        return (entry.array, None) if is_unchanged else (labels, names)
    is_large = isinstance(entry.array, np.ndarray) and first.dtype.kind in "iu" and first.dtype.itemsize > 4
    return (entry.array.astype(np.float32) if is_large else entry.array), None  # type: ignore[union-attr]


def with_class_names(dataset: Dataset, reader_state: ReaderState) -> Dataset:
    """Return the data set with the class names of training."""
    assert isinstance(dataset, (Examples, LazyDataset))
    return replace(dataset, class_names=reader_state.class_names)


def build_dataset(
    x: Mapping[str | None, NamedArray],
    y: Mapping[str | None, NamedArray],
    weights: NamedArray | None,
    content_id: str,
    target_type_of: Callable[[str | None], TargetType | None] = lambda _: None,
    *,
    is_movable: bool = False,
) -> Dataset:
    """Return all examples, in memory if all arrays are; ``content_id`` identifies data that is not in memory.

    ``target_type_of`` returns the declared type of a target; for ``is_movable`` see ``Examples``.

    Raises:
        DataError: arrays have different lengths, or the weights are invalid.
    """
    first = next(iter(y.values()))
    samples = len(first.array)
    for entry in (*x.values(), *y.values()):
        if len(entry.array) != samples:
            message = f"`{entry.title}` has {len(entry.array)} examples, but `{first.title}` has {samples}."
            raise_data_error(
                message, entry.key_path, "All arrays must have the same length: one entry for each example."
            )
    names: dict[str | None, tuple[str, ...]] = {}
    targets: dict[str | None, Array | LazyArray] = {}
    for name, entry in y.items():
        targets[name], target_names = _read_target(entry, target_type_of(name if len(y) > 1 else None))
        names |= {name: target_names} if target_names is not None else {}
    inputs: dict[str | None, Any] = {name: entry.array for name, entry in x.items()}
    class_names: Any = None if not names else unwrap_single(names) if len(targets) == 1 else names
    example_weights = None
    if weights is not None:
        example_weights = check_weights(
            weights.array[np.arange(len(weights.array))], samples, weights.key_path
        )
    if all(isinstance(array, np.ndarray) for array in (*inputs.values(), *targets.values())):
        return Examples(
            inputs.get(None, inputs),
            unwrap_single(targets),
            class_names,
            weights=example_weights,
            is_movable=is_movable,
        )
    return LazyDataset(inputs, targets, content_id, np.arange(samples), class_names, example_weights)
