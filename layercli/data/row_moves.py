"""Rows of large arrays that are put in another order without a copy of the arrays."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Final

import numpy as np

from layercli.data.types import Array

_MIN_MOVED_BYTES: Final = 1 << 26
"""Smaller arrays are copied when they are split: it is faster, and the memory does not matter."""
_MOVED_PARTS: Final = 8


def should_move_rows(arrays: Sequence[Array]) -> bool:
    """Return whether arrays are large, and whether moving the rows of each changes no other."""
    return (
        sum(array.nbytes for array in arrays) >= _MIN_MOVED_BYTES
        and all(array.flags.c_contiguous and array.flags.writeable for array in arrays)
        and not any(np.may_share_memory(first, second) for first, second in combinations(arrays, 2))
    )


def move_rows(array: Array, order: Array) -> None:
    """Put row ``order[i]`` of an array of shape (rows, ...) at place i, some columns at a time to save memory.

    Rows after the last place of ``order`` are not changed.
    """
    columns = array.reshape(len(array), -1)
    width = max(1, columns.shape[1] // _MOVED_PARTS)
    for first in range(0, columns.shape[1], width):
        columns[: len(order), first : first + width] = columns[order, first : first + width]
