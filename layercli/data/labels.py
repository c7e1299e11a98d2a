"""Targets: which of them are labels, and what the labels stand for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np

from layercli.data.examples import Array, DataError
from layercli.graph.finding import Finding
from layercli.source.nodes import KeyPath

V = TypeVar("V")


def is_labels(array: Array) -> bool:
    """Whether a target of shape (samples, ...) is a class for each example."""
    return array.dtype.kind in "iub" and array.ndim == 1


def encode_labels(array: Array) -> tuple[Array, tuple[str, ...] | None]:
    """Texts of shape (samples,) as labels from 0, int32 of the same shape, and what they stand for; others as they are."""
    if array.dtype.kind != "O":
        return array, None
    names, numbers = np.unique(array.astype(str), return_inverse=True)
    return numbers.reshape(array.shape).astype(np.int32), tuple(names.tolist())


def unwrap_single(values: Mapping[str | None, V]) -> Any:
    """The one value, or each of several by the name of its input or output."""
    return next(iter(values.values())) if len(values) == 1 else dict(values)


def check_weights(array: Array, samples: int, key: KeyPath) -> Array:
    """Weights as float32 of shape (samples,).

    Raises:
        RefusedDataError: they are no numbers of at least 0, or not one for each example.
    """
    flat = array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array
    hint = "Each example has one weight, a number of at least 0."
    if flat.shape != (samples,) or flat.dtype.kind not in "fiub":
        message = f"The weights are {flat.dtype} of shape {flat.shape}, but there are {samples} examples."
        raise DataError(Finding(code="unreadable-data", message=message, path=key, hint=hint))
    weights: Array = flat.astype(np.float32)
    invalid_rows = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))
    if len(invalid_rows):
        message = f"The weight in row {invalid_rows[0] + 1} is {weights[invalid_rows[0]]:g}."
        raise DataError(Finding(code="unreadable-data", message=message, path=key, hint=hint))
    return weights
