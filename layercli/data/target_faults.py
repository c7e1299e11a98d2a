"""Faults of targets that no model can learn: a single value, or different labels of equal inputs."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import numpy as np

from layercli.data.examples import Examples, Subset
from layercli.data.types import Array, iterate_named

_MAX_ROWS: Final = 200_000
"""More examples take too long to compare."""
_MIN_DISTINCT: Final = 0.5
"""Inputs with fewer distinct rows have few possible values: equal rows are then not the same example."""
_MIN_SHARE: Final = 0.01
"""The smallest share of examples that is reported."""


def find_constant_targets(subset: Subset) -> list[str | None]:
    """Return the targets that have the same value in all examples; None is the name of the only target."""
    first: dict[str | None, Array] = {}
    varying: set[str | None] = set()
    for targets in subset.target_batches():
        for name, array in iterate_named(targets):
            if len(array) and name not in varying:
                value = first.setdefault(name, array[:1])
                if not (array == value).all():
                    varying.add(name)
    return [name for name in first if name not in varying and len(subset) > 1]


def count_conflicting_labels(subset: Subset, class_targets: Collection[str | None]) -> int:
    """Return the number of examples whose inputs equal those of an example with a different label.

    0 if this can be by chance: if there are few of them, or many examples with equal inputs. Streams are not compared.

    Args:
        subset: The examples.
        class_targets: The names of targets with one class for each example.
    """
    targets = (
        [array for name, array in subset.targets if name in class_targets]
        if isinstance(subset, Examples)
        else []
    )
    if not isinstance(subset, Examples) or not targets or len(subset) > _MAX_ROWS:
        return 0
    inputs = _hash_rows([array for _, array in subset.inputs])
    labels = _hash_rows(targets)
    groups: dict[int, list[int]] = {}
    for row, label in zip(inputs, labels, strict=True):
        groups.setdefault(row, []).append(label)
    count = sum(len(group) for group in groups.values() if len(set(group)) > 1)
    is_clear = len(groups) >= _MIN_DISTINCT * len(subset) and count >= max(2, _MIN_SHARE * len(subset))
    return count if is_clear else 0


def _hash_rows(arrays: list[Array]) -> list[int]:
    columns: list[list[object]] = []
    for array in arrays:
        flat = np.ascontiguousarray(array).reshape(len(array), -1)
        is_text = flat.dtype.kind == "O"
        columns.append([tuple(map(str, row)) if is_text else row.tobytes() for row in flat])
    return [hash(row) for row in zip(*columns, strict=True)]
