"""Targets whose values list several labels, such as ``cat;dog``."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np

from layercli.data.types import Array

LABEL_SEPARATORS: Final = (";", "|", ",", " ")
"""Usual separators of labels, the most certain ones first."""


class SplitLabels(NamedTuple):
    """The labels of the values of a column, one after the other."""

    labels: Any
    """An Arrow array of texts, without blanks around them."""
    rows: Array
    """The row of each label: int64 of shape (labels,)."""


def split_labels(column: Any, separator: str) -> SplitLabels:
    """Return the labels that the values of an Arrow column list; a missing value lists none."""
    import pyarrow as pa
    from pyarrow import compute

    texts = column.cast(pa.string())
    lists = compute.split_pattern(texts.combine_chunks(), separator)
    labels = compute.utf8_trim_whitespace(compute.list_flatten(lists))
    rows = compute.list_parent_indices(lists)
    is_label = compute.not_equal(labels, "")
    return SplitLabels(labels.filter(is_label), rows.filter(is_label).to_numpy())


def find_unknown_labels(split: SplitLabels, labels: tuple[str, ...]) -> dict[str, int]:
    """Return each label that is not one of ``labels``, with its first row."""
    import pyarrow as pa
    from pyarrow import compute

    is_unknown = compute.index_in(split.labels, pa.array(labels, pa.string())).is_null()
    unknown = split.labels.filter(is_unknown)
    rows = split.rows[is_unknown.to_numpy(zero_copy_only=False)]
    return {
        label: int(rows[compute.index(unknown, label).as_py()])
        for label in compute.unique(unknown).to_pylist()
    }


def encode_labels(split: SplitLabels, row_count: int, labels: tuple[str, ...]) -> Array:
    """Return a 1 for each label that a row has: float32 of shape (rows, labels). All must be known."""
    import pyarrow as pa
    from pyarrow import compute

    encoded = np.zeros((row_count, len(labels)), dtype=np.float32)
    indices = compute.index_in(split.labels, pa.array(labels, pa.string()))
    encoded[split.rows, indices.to_numpy()] = 1
    return encoded
