"""Keras's logs as plain numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


def loss_first(logs: Mapping[str, Any]) -> dict[str, Any]:
    """Plain numbers; training before validation, and the loss before the metrics."""
    names = sorted(logs, key=_rank)
    return {name: plain(logs[name]) for name in names}


def _rank(name: str) -> tuple[bool, ...]:
    return name.startswith("val_"), not name.endswith("loss"), name.removeprefix("val_") != "loss"


def plain(value: Any) -> Any:
    """A logged value as a number; one that has a number for each class as a list."""
    array = np.asarray(value)
    return float(array) if array.ndim == 0 else array.astype(float).tolist()
