"""The data sets that ship inside scikit-learn."""

from __future__ import annotations

import numpy as np

from layercli.config.data import Sklearn
from layercli.data.arrays import Examples


def read(data: Sklearn) -> Examples:
    """All examples: features as float32 in the declared shape, labels as int32 or targets as float32."""
    from sklearn import datasets

    loaded = getattr(datasets, f"load_{data.dataset}")()
    facts = data.facts()
    x = loaded.data.astype(np.float32).reshape(-1, *(dim or -1 for dim in facts.shape))
    y = loaded.target.astype(np.float32 if facts.classes is None else np.int32)
    return Examples(x, y)
