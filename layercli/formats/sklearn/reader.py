"""The reader of sklearn data."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Final

import numpy as np

from layercli.data.examples import Examples
from layercli.data.labels import encode_labels
from layercli.data.types import Array
from layercli.formats.sklearn.config import Sklearn

_TABLE_FILES: Final = {
    "digits": ("digits.csv.gz", 0),
    "iris": ("iris.csv", 1),
    "wine": ("wine_data.csv", 1),
    "breast_cancer": ("breast_cancer.csv", 1),
}
"""Data set in one table, whose last column is the target -> the file and its number of header lines."""

_CLASS_NAMES: Final = {
    "iris": ("setosa", "versicolor", "virginica"),
    "wine": ("class_0", "class_1", "class_2"),
    "breast_cancer": ("malignant", "benign"),
}
"""Data set with names of its classes -> these names, as in scikit-learn."""


def read_dataset(data: Sklearn, memory: int | None = None) -> Examples:  # noqa: ARG001 - they are small
    """Return all examples: features as float32 in the declared shape, labels as int32 or targets as float32."""
    features, target = _read_table_file(data.dataset) or _load_with_sklearn(data.dataset)
    x = features.astype(np.float32).reshape(len(features), *(dim or -1 for dim in data.facts().shape))
    if data.target_type == "labels":
        labels, names = encode_labels(target)
        return Examples(x, labels, names)
    if data.facts().classes is None:
        return Examples(x, target.astype(np.float32))
    class_names = _CLASS_NAMES.get(data.dataset) if data.target_type is None else None
    return Examples(x, target.astype(np.int32), class_names)


def _read_table_file(dataset: str) -> tuple[Array, Array] | None:
    """Return the data set from scikit-learn's file without importing scikit-learn, which takes seconds."""
    spec = find_spec("sklearn")
    if dataset not in _TABLE_FILES or spec is None or not spec.submodule_search_locations:
        return None
    name, header_lines = _TABLE_FILES[dataset]
    path = Path(spec.submodule_search_locations[0], "datasets", "data", name)
    if not path.is_file():
        return None  # a version of scikit-learn with other files
    table = np.loadtxt(path, delimiter=",", skiprows=header_lines)
    return table[:, :-1], table[:, -1]


def _load_with_sklearn(dataset: str) -> tuple[Array, Array]:
    """Return the data set as scikit-learn loads it."""
    from sklearn import datasets

    loaded = getattr(datasets, f"load_{dataset}")()
    return loaded.data, loaded.target
