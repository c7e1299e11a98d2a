"""Averages of targets: the frequencies of classes, or the mean of numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from layercli.data.examples import Subset
from layercli.data.types import Array, iterate_named

MAX_AVERAGED_CLASSES: Final = 50_000
"""Largest number of classes that are counted."""

_COUNTED_TOGETHER: Final = 1 << 20


def average_targets(
    subset: Subset, classes: Mapping[str | None, int], ignored: Mapping[str | None, int | None]
) -> dict[str | None, Array]:
    """Return the average of each target over all examples.

    Args:
        subset: The examples.
        classes: The number of classes of each target of class numbers, whose average is the frequency of each class, of
            shape (classes,). The averages of other targets have the shape of one example.
        ignored: A class number of a target that does not count.
    """
    totals: dict[str | None, Array] = {}
    examples = 0
    for targets in subset.target_batches():
        for name, array in iterate_named(targets):
            total = (
                _count_classes(array, classes[name], ignored.get(name))
                if name in classes
                else array.sum(axis=0, dtype=float)
            )
            totals[name] = total if name not in totals else totals[name] + total
        examples += len(array)
    return {
        name: total / max(total.sum() if name in classes else examples, 1) for name, total in totals.items()
    }


def _count_classes(array: Array, classes: int, ignored: int | None) -> Array:
    counts, values = np.zeros(classes), array.ravel()
    for start in range(0, len(values), _COUNTED_TOGETHER):
        labels = values[start : start + _COUNTED_TOGETHER].astype(np.int64)
        is_counted = (labels >= 0) & (labels < classes)
        if ignored is not None:
            is_counted &= labels != ignored
        counts += np.bincount(labels[is_counted], minlength=classes)
    return counts
