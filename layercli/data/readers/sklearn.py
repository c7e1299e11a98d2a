"""The data sets that ship inside scikit-learn."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Final

import numpy as np

from layercli.config.data.section import Sklearn
from layercli.data.examples import Array, Examples

_TABLES: Final = {
    "digits": ("digits.csv.gz", 0),
    "iris": ("iris.csv", 1),
    "wine": ("wine_data.csv", 1),
    "breast_cancer": ("breast_cancer.csv", 1),
}
"""Data sets that scikit-learn keeps as one table, the target last: the file, and its header lines."""


def read(data: Sklearn, memory: int | None = None) -> Examples:  # noqa: ARG001 - they are small
    """All examples: features as float32 in the declared shape, labels as int32 or targets as float32."""
    features, target = _table(data.dataset) or _loaded(data.dataset)
    facts = data.facts()
    x = features.astype(np.float32).reshape(len(features), *(dim or -1 for dim in facts.shape))
    return Examples(x, target.astype(np.float32 if facts.classes is None else np.int32))


def _table(dataset: str) -> tuple[Array, Array] | None:
    """The data set from scikit-learn's own file: importing scikit-learn takes longer than most trainings."""
    spec = find_spec("sklearn")
    if dataset not in _TABLES or spec is None or not spec.submodule_search_locations:
        return None
    name, header = _TABLES[dataset]
    path = Path(spec.submodule_search_locations[0], "datasets", "data", name)
    if not path.is_file():
        return None  # a scikit-learn that keeps it elsewhere
    table = np.loadtxt(path, delimiter=",", skiprows=header)
    return table[:, :-1], table[:, -1]


def _loaded(dataset: str) -> tuple[Array, Array]:
    """The data set as scikit-learn loads it."""
    from sklearn import datasets

    loaded = getattr(datasets, f"load_{dataset}")()
    return loaded.data, loaded.target
