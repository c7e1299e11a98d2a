"""What callbacks watch: whether training will log it, and which way it is better."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from layercli.config.config import Config
from layercli.config.training.callbacks import ReduceLROnPlateau, SwapEMAWeights, get_monitor
from layercli.config.training.log_names import collect_log_names
from layercli.config.training.metrics import NON_METRIC_KEYS, Direction
from layercli.config.training.section import TrainSection
from layercli.graph.finding import Finding
from layercli.schema.component import Component
from layercli.schema.suggestions import did_you_mean
from layercli.source.nodes import KeyPath, sanitize_text

_VALIDATION_PREFIX = "val_"


def check_monitors(config: Config, outputs: Sequence[str]) -> Iterator[Finding]:
    """Callbacks that watch what is never logged, or that cannot do their work; ``outputs`` are those of the model."""
    train = config.train
    if train is None:
        return
    # Without data, or with data that is malformed, nobody knows what will be held out.
    has_validation = config.data is None or config.data.split.validation != 0
    for index, callback in enumerate(train.callbacks):
        path: KeyPath = ("train", "callbacks", index)
        monitor = get_monitor(callback)
        if monitor is not None:
            names = collect_log_names(train, outputs)
            yield from _check_monitor(
                monitor, callback, names, (*path, "monitor"), has_validation=has_validation
            )
        if isinstance(callback, ReduceLROnPlateau) and _has_schedule(train):
            yield Finding(
                code="schedule-clash",
                message="ReduceLROnPlateau sets the learning rate, but the optimizer follows a schedule, which Keras does "
                "not let anyone set.",
                path=path,
                hint="Keep one of them: a number as `learning_rate`, or no ReduceLROnPlateau.",
            )
        if isinstance(callback, SwapEMAWeights) and not getattr(train.optimizer, "use_ema", False):
            yield Finding(
                code="missing-key",
                message="SwapEMAWeights needs averaged weights, but the optimizer keeps none.",
                path=path,
                hint="Set `use_ema: true` on the optimizer.",
            )


def monitor_direction(monitor: str, train: TrainSection) -> str | None:
    """Which way a logged value is better, "min" or "max"; None where Keras cannot tell either."""
    return collect_log_names(train).get(monitor.removeprefix(_VALIDATION_PREFIX))


def find_best_epoch(records: Sequence[Mapping[str, Any]], train: TrainSection | None) -> dict[str, Any]:
    """The epoch of a history that was best by what a callback watches, else by the validation loss, else by the loss."""
    monitors = [(get_monitor(callback), callback) for callback in (train.callbacks if train else ())]
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
    """The number and metrics of an epoch, and what it was judged by."""
    return {
        "monitor": monitor,
        **{name: value for name, value in record.items() if name not in NON_METRIC_KEYS[1:]},
    }


def _is_finite(value: object) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def _check_monitor(
    monitor: str, callback: Component, names: Mapping[str, Direction], path: KeyPath, *, has_validation: bool
) -> Iterator[Finding]:
    logged_names = [*names, *(f"{_VALIDATION_PREFIX}{name}" for name in names)]
    kind, monitor_text = callback.type_name(), sanitize_text(monitor, limit=60)
    if monitor not in logged_names:
        listed = ", ".join(f"`{name}`" for name in (logged_names if has_validation else names))
        yield Finding(
            code="unknown-monitor",
            message=f"{kind} watches `{monitor_text}`, which training does not log.",
            path=path,
            hint=did_you_mean(monitor, logged_names, otherwise=f"It logs {listed}."),
        )
    elif monitor.startswith(_VALIDATION_PREFIX) and not has_validation:
        yield Finding(
            code="unknown-monitor",
            message=f"{kind} watches `{monitor_text}`, but there are no validation examples.",
            path=path,
            hint=f"Hold some out with `data: {{split: {{validation: 0.1}}}}`, or set "
            f"`monitor: {monitor.removeprefix(_VALIDATION_PREFIX)}`.",
        )
    elif (
        getattr(callback, "mode", "auto") == "auto"
        and names[monitor.removeprefix(_VALIDATION_PREFIX)] is None
    ):
        yield Finding(
            code="unknown-mode",
            message=f"Keras cannot tell whether more or less of `{monitor_text}` is better.",
            path=path,
            hint="Add `mode: max` or `mode: min` to the callback.",
        )


def _has_schedule(train: TrainSection) -> bool:
    return isinstance(getattr(train.optimizer, "learning_rate", None), Component)
