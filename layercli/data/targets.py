"""Targets: which of them are labels, and what the labels stand for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np

from layercli.data.arrays import Array

V = TypeVar("V")


def is_labels(array: Array) -> bool:
    """Whether a target of shape (samples, ...) is a class for each example."""
    return array.dtype.kind in "iub" and array.ndim == 1


def labels(array: Array) -> tuple[Array, tuple[str, ...] | None]:
    """Texts of shape (samples,) as labels from 0, int32 of the same shape, and what they stand for; others as they are."""
    if array.dtype.kind != "O":
        return array, None
    names, numbers = np.unique(array.astype(str), return_inverse=True)
    return numbers.reshape(array.shape).astype(np.int32), tuple(names.tolist())


def alone(named: Mapping[str | None, V]) -> Any:
    """The one value, or each of several by the name of its input or output."""
    return next(iter(named.values())) if len(named) == 1 else dict(named)
