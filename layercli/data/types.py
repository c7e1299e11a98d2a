"""Types of arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod
from typing import Any, Final, TypeAlias

import numpy as np

from layercli.data.data_error import PATH_KEY as PATH_KEY
from layercli.data.data_error import DataError as DataError
from layercli.data.data_error import make_data_finding as make_data_finding
from layercli.data.data_error import raise_data_error as raise_data_error

Array: TypeAlias = np.ndarray[Any, Any]
Inputs: TypeAlias = Array | Mapping[str, Array]
"""The only input, or several inputs by name; every array has shape (samples, ...)."""
Targets: TypeAlias = Array | Mapping[str, Array]
"""The only target, or several targets by output name; every array has shape (samples, ...)."""

TENSOR_ALIGNMENT: Final = 64
"""The bytes of whose multiples the address of an array must be one, so that TensorFlow can use it without a copy."""


def make_aligned_array(shape: tuple[int, ...], dtype: Any) -> Array:
    """Return an uninitialized array whose memory TensorFlow can use without a copy."""
    size = prod(shape) * np.dtype(dtype).itemsize
    buffer = np.empty(size + TENSOR_ALIGNMENT, np.uint8)
    start = -buffer.ctypes.data % TENSOR_ALIGNMENT
    array: Array = buffer[start : start + size].view(dtype).reshape(shape)
    return array


def iterate_named(arrays: Inputs | Targets) -> Iterator[tuple[str | None, Array]]:
    """Yield each array with its name; the name of a single array is None."""
    if isinstance(arrays, Mapping):
        yield from arrays.items()
    else:
        yield None, arrays
