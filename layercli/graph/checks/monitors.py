"""What callbacks watch: whether training will log it, and which way it is better."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from layercli.config.config import Config
from layercli.config.training.callbacks import ReduceLROnPlateau, SwapEMAWeights, monitored
from layercli.config.training.log_names import logged
from layercli.config.training.metrics import BOOKKEEPING, Direction
from layercli.config.training.section import TrainSection
from layercli.graph.finding import Finding
from layercli.schema.component import Component
from layercli.schema.suggestions import did_you_mean
from layercli.source.nodes import KeyPath, printable

_VALIDATION = "val_"


def monitor_findings(config: Config, outputs: Sequence[str]) -> Iterator[Finding]:
    """Callbacks that watch what is never logged, or that cannot do their work; ``outputs`` are those of the model."""
    train = config.train
    if train is None:
        return
    # Without data, or with data that is malformed, nobody knows what will be held out.
    validates = config.data is None or config.data.split.validation != 0
    for index, callback in enumerate(train.callbacks):
        path: KeyPath = ("train", "callbacks", index)
        monitor = monitored(callback)
        if monitor is not None:
            names = logged(train, outputs)
            yield from _monitor_findings(monitor, callback, names, (*path, "monitor"), validates=validates)
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


def better(monitor: str, train: TrainSection) -> str | None:
    """Which way a logged value is better, "min" or "max"; None where Keras cannot tell either."""
    return logged(train).get(monitor.removeprefix(_VALIDATION))


def best_epoch(records: Sequence[Mapping[str, Any]], train: TrainSection | None) -> dict[str, Any]:
    """The epoch of a history that was best by what a callback watches, else by the validation loss, else by the loss."""
    watched = [(monitored(callback), callback) for callback in (train.callbacks if train else ())]
    monitor, mode = next(
        ((name, getattr(callback, "mode", "auto")) for name, callback in watched if name), ("", "auto")
    )
    if not records or monitor not in records[0]:
        monitor, mode = ("val_loss" if records and "val_loss" in records[0] else "loss"), "min"
    if mode == "auto":
        mode = (better(monitor, train) if train else None) or "min"
    finite = [record for record in records if _is_finite(record.get(monitor))]
    if not finite:
        return {}
    return epoch_of((max if mode == "max" else min)(finite, key=lambda record: record[monitor]), monitor)


def epoch_of(record: Mapping[str, Any], monitor: str) -> dict[str, Any]:
    """The number and metrics of an epoch, and what it was judged by."""
    return {
        "monitor": monitor,
        **{name: value for name, value in record.items() if name not in BOOKKEEPING[1:]},
    }


def _is_finite(value: object) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def _monitor_findings(
    monitor: str, callback: Component, names: Mapping[str, Direction], path: KeyPath, *, validates: bool
) -> Iterator[Finding]:
    known = [*names, *(f"{_VALIDATION}{name}" for name in names)]
    kind, shown = callback.type_name(), printable(monitor, limit=60)
    if monitor not in known:
        listed = ", ".join(f"`{name}`" for name in (known if validates else names))
        yield Finding(
            code="unknown-monitor",
            message=f"{kind} watches `{shown}`, which training does not log.",
            path=path,
            hint=did_you_mean(monitor, known, otherwise=f"It logs {listed}."),
        )
    elif monitor.startswith(_VALIDATION) and not validates:
        yield Finding(
            code="unknown-monitor",
            message=f"{kind} watches `{shown}`, but there are no validation examples.",
            path=path,
            hint=f"Hold some out with `data: {{split: {{validation: 0.1}}}}`, or set "
            f"`monitor: {monitor.removeprefix(_VALIDATION)}`.",
        )
    elif getattr(callback, "mode", "auto") == "auto" and names[monitor.removeprefix(_VALIDATION)] is None:
        yield Finding(
            code="unknown-mode",
            message=f"Keras cannot tell whether more or less of `{shown}` is better.",
            path=path,
            hint="Add `mode: max` or `mode: min` to the callback.",
        )


def _has_schedule(train: TrainSection) -> bool:
    return isinstance(getattr(train.optimizer, "learning_rate", None), Component)
