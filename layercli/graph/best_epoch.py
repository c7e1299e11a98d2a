"""The best epoch of a history, by the monitored metric."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from layercli.config.training.callbacks import get_monitor
from layercli.config.training.custom_objects import NON_METRIC_KEYS
from layercli.config.training.log_names import collect_log_names
from layercli.config.training.section import TrainSection


def monitor_direction(monitor: str, train: TrainSection) -> str | None:
    """Return "min" or "max" for the better direction of a logged value, or None if Keras does not define it."""
    return collect_log_names(train).get(monitor.removeprefix("val_"))


def find_best_epoch(records: Sequence[Mapping[str, Any]], train: TrainSection | None) -> dict[str, Any]:
    """Return the best epoch of a history, by a callback's monitor, the validation loss or the loss, in this order."""
    callbacks = [callback for callback, _, _ in train.iterate_callbacks()] if train else []
    monitors = [(get_monitor(callback), callback) for callback in callbacks]
    monitor, mode = next(
        ((name, getattr(callback, "mode", "auto")) for name, callback in monitors if name), ("", "auto")
    )
    if not records or monitor not in records[0]:
        monitor, mode = ("val_loss" if records and "val_loss" in records[0] else "loss"), "min"
    if mode == "auto":
        mode = (monitor_direction(monitor, train) if train else None) or "min"
    finite = [record for record in records if _is_finite(record.get(monitor))]
    if not finite:
        return {}
    return summarize_epoch(
        (max if mode == "max" else min)(finite, key=lambda record: record[monitor]), monitor
    )


def summarize_epoch(record: Mapping[str, Any], monitor: str) -> dict[str, Any]:
    """Return the number and the metrics of an epoch, with the name of its monitor."""
    return {
        "monitor": monitor,
        **{name: value for name, value in record.items() if name not in NON_METRIC_KEYS[1:]},
    }


def _is_finite(value: object) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)
