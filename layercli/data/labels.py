"""Labels and example weights: recognize, encode and check them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np

from layercli.data.types import Array, raise_data_error
from layercli.source.nodes import KeyPath

V = TypeVar("V")


def is_labels(array: Array) -> bool:
    """Return whether a target of shape (samples, ...) has one class label for each example."""
    return array.dtype.kind in "iub" and array.ndim == 1


def encode_labels(array: Array) -> tuple[Array, tuple[str, ...] | None]:
    """Return texts of shape (samples,) as int32 labels from 0 and their class names; return other arrays unchanged."""
    if array.dtype.kind != "O":
        return array, None
    names, labels = np.unique(array.astype(str), return_inverse=True)
    return labels.reshape(array.shape).astype(np.int32), tuple(names.tolist())


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
