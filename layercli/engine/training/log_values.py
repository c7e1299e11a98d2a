"""Convert Keras logs to plain numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def order_logs(logs: Mapping[str, Any], order: Sequence[str] = ()) -> dict[str, Any]:
    """Return plain numbers: training before validation, losses before metrics, metrics in ``order`` (not alphabetical)."""
    ranks = {name: index for index, name in enumerate(order)}

    def sort_key(name: str) -> tuple[bool, bool, bool, int]:
        base_name = name.removeprefix("val_")
        return (
            name.startswith("val_"),
            not name.endswith("loss"),
            base_name != "loss",
            ranks.get(base_name, len(ranks)),
        )

    return {name: to_python(logs[name]) for name in sorted(logs, key=sort_key)}


def to_python(value: Any) -> Any:
    """Return a logged value as a float, or as a list if it has one number per class."""
    array = np.asarray(value)
    return float(array) if array.ndim == 0 else array.astype(float).tolist()
