"""Keras's logs as plain numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def loss_first(logs: Mapping[str, Any], order: Sequence[str] = ()) -> dict[str, Any]:
    """Plain numbers; training before validation, losses before metrics, and these in ``order``: Keras's is that of letters."""
    places = {name: place for place, name in enumerate(order)}

    def rank(name: str) -> tuple[bool, bool, bool, int]:
        bare = name.removeprefix("val_")
        return (
            name.startswith("val_"),
            not name.endswith("loss"),
            bare != "loss",
            places.get(bare, len(places)),
        )

    return {name: plain(logs[name]) for name in sorted(logs, key=rank)}


def plain(value: Any) -> Any:
    """A logged value as a number; one that has a number for each class as a list."""
    array = np.asarray(value)
    return float(array) if array.ndim == 0 else array.astype(float).tolist()
