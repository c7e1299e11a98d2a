"""Labels and example weights: recognize, encode and check them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any, Final, Literal, NamedTuple, TypeVar

import numpy as np

from layercli.config.data.section import DataConfig
from layercli.data.types import Array, raise_data_error
from layercli.schema.suggestions import did_you_mean
from layercli.source.nodes import KeyPath, sanitize_text

V = TypeVar("V")


MAX_CLASSES: Final = 1000
"""Maximum number of different labels that are mapped to class numbers."""


class ConvertedForm(NamedTuple):
    """The form of a target that its meaning requires."""

    kind: Literal["labels", "numbers"]
    classes: int = 0
    """Range of the labels."""


def is_labels(array: Array) -> bool:
    """Return whether a target of ``convert_target`` has one class label for each example."""
    return array.dtype.kind in "iub" and array.ndim == 1


def convert_target(array: Array, form: ConvertedForm | None) -> Array:
    """Return a target of shape (samples, ...) in the form that its meaning requires; None leaves it unchanged.

    Labels are int32 of shape (samples,), even if the target is one-hot vectors. Numbers for each example are float32.
    """
    if form is not None and form.kind == "labels":
        labels = array.reshape(len(array)) if prod(array.shape[1:]) == 1 else array.argmax(axis=-1)
        with np.errstate(invalid="ignore"):  # a check reports labels that are not class numbers
            return labels.astype(np.int32, copy=False)
    if form is not None and form.kind == "numbers" and array.dtype.kind in "iub" and array.ndim == 1:
        return array.astype(np.float32)
    return array


def encode_labels(array: Array) -> tuple[Array, tuple[str, ...]]:
    """Return texts or numbers of shape (samples, ...) as int32 labels from 0, and their class names in ascending order."""
    values, labels = np.unique(array.astype(str) if array.dtype.kind == "O" else array, return_inverse=True)
    return labels.reshape(array.shape).astype(np.int32), tuple(map(format_label, values))


def format_label(value: Any) -> str:
    """Return a text or number of the data as the name of its class; 1.0 has the name 1."""
    return value if isinstance(value, str) else np.format_float_positional(value, trim="-")


def are_number_names(names: Sequence[str]) -> bool:
    """Return whether all class names are numbers as ``format_label`` writes them."""
    try:
        return bool(names) and all(format_label(float(name)) == name for name in names)
    except ValueError:
        return False


def are_numbers_in_data(data: DataConfig | None, target: str | None, names: tuple[str, ...] | None) -> bool:
    """Return whether the classes are numbers in the data, which `target_type: labels` maps to labels."""
    return data is not None and data.target_type_of(target) == "labels" and are_number_names(names or ())


def to_class_values(names: Sequence[str], *, are_numbers: bool) -> Array:
    """Return the classes as the data has them: of shape (classes,)."""
    if not are_numbers:
        return np.array(names, dtype=object)
    numbers = np.array(names, dtype=np.float64)
    return numbers.astype(np.int64) if (numbers == np.floor(numbers)).all() else numbers


def encode_known_labels(array: Array, class_names: tuple[str, ...], key_path: KeyPath) -> Array:
    """Return texts or numbers of shape (samples, ...) as the labels of known classes: int32 of the same shape.

    Raises:
        DataError: a value is not one of the classes.
    """
    labels = {name: label for label, name in enumerate(class_names)}
    values, indices = np.unique(array.astype(str) if array.dtype.kind == "O" else array, return_inverse=True)
    names = list(map(format_label, values))
    unknown = [index for index, name in enumerate(names) if name not in labels]
    indices = indices.reshape(array.shape)
    if unknown:
        row, *_ = np.argwhere(np.isin(indices, unknown))[0]
        name = names[indices[row].ravel()[np.isin(indices[row].ravel(), unknown)][0]]
        hint = did_you_mean(name, class_names, otherwise=f"The classes are {', '.join(class_names[:12])}.")
        message = f'Row {row + 1} has the class "{sanitize_text(name, limit=60)}", which is not in the training data.'
        raise_data_error(message, key_path, hint)
    table = np.array([labels[name] for name in names], dtype=np.int32)
    return table[indices] if len(table) else indices.astype(np.int32)


def describe_unknown_label(value: str | None) -> str:
    """Return what is wrong with a label that training did not have, as the end of a sentence; None is a missing one."""
    if value is None:
        return "is missing"
    return f'has the class "{sanitize_text(value, limit=40)}", which is not in the training data'


def unwrap_single(values: Mapping[str | None, V]) -> Any:
    """Return the only value, or several values by the name of their input or output."""
    return next(iter(values.values())) if len(values) == 1 else dict(values)


def check_weights(array: Array, samples: int, key_path: KeyPath) -> Array:
    """Return weights as float32 of shape (samples,).

    Raises:
        DataError: a weight is negative or not a finite number, or there is not exactly one for each example.
    """
    flat = array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array
    hint = "Give each example one weight, a number of at least 0."
    if flat.shape != (samples,) or flat.dtype.kind not in "fiub":
        raise_data_error(
            f"The weights must be one number for each of {samples} examples, "
            f"got an array of {flat.dtype} with shape {flat.shape}.",
            key_path,
            hint,
        )
    with np.errstate(over="ignore"):  # infinite values are reported below
        weights: Array = flat.astype(np.float32)
    invalid_rows = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))
    if len(invalid_rows):
        row = invalid_rows[0]
        raise_data_error(
            f"Weights must be finite numbers of at least 0, got {weights[row]:g} in row {row + 1}.",
            key_path,
            hint,
        )
    return weights
