"""Arrays in dtypes that files of NumPy can contain."""

from __future__ import annotations

import keras
import numpy as np

from layercli.data.types import Array


def to_writable(array: Array) -> Array:
    """Return the array in a dtype that numpy can write; bfloat16 becomes unsigned integers with the same bits."""
    array = np.asarray(array)
    return array.view(f"u{array.dtype.itemsize}") if array.dtype.kind == "V" else array.copy()


def from_writable(array: Array, dtype: str) -> Array:
    """Return the array that ``to_writable`` changed, in its dtype."""
    if str(array.dtype) == dtype:
        return array
    return array.view(keras.ops.convert_to_numpy(keras.ops.zeros((), dtype=dtype)).dtype)
