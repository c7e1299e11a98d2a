"""Checks of the metrics that callbacks monitor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from layercli.config.config import Config
from layercli.config.training.callbacks import ReduceLROnPlateau, SwapEMAWeights, get_monitor
from layercli.config.training.log_names import collect_log_names, collect_logged_metrics
from layercli.config.training.metrics import Direction, Metric, metric_log_name
from layercli.config.training.section import TrainSection
from layercli.graph.finding import Finding
from layercli.schema.component import Component
from layercli.schema.other_names import explain_monitor
from layercli.schema.suggestions import did_you_mean, list_names
from layercli.source.nodes import KeyPath, sanitize_text

_VALIDATION_PREFIX = "val_"


def check_monitors(
    config: Config, outputs: Sequence[str], *, has_validation: bool | None = None
) -> Iterator[Finding]:
    """Yield a finding for each callback that monitors an unlogged metric or cannot work with the config.

    Args:
        config: The config.
        outputs: The names of the model's outputs.
        has_validation: Whether there are validation examples; None before the data is read, when the config decides.
    """
    train = config.train
    if train is None:
        return
    if has_validation is None:  # without valid data, the size of the validation set is unknown
        has_validation = config.data is None or config.data.split.has_validation
    for callback, path, stage in train.iterate_callbacks():
        monitor = get_monitor(callback)
        if monitor is not None:
            names = collect_log_names(train, outputs)
            monitor_path = (*path, "monitor")
            yield from _check_monitor(monitor, callback, names, monitor_path, has_validation=has_validation)
            if (hint := suggest_single_value(monitor, train, outputs)) is not None:
                message = (
                    f"{callback.type_name()} monitors `{monitor}`, which is a vector: no epoch is the best."
                )
                yield Finding(code="vector-monitor", message=message, path=monitor_path, hint=hint)
        numbers = range(max(len(train.stages or ()), 1)) if stage is None else [stage]
        optimizers = [train.optimizer_in_stage(number)[0] for number in numbers]
        if isinstance(callback, ReduceLROnPlateau) and any(map(_has_schedule, optimizers)):
            yield Finding(
                code="schedule-clash",
                message="ReduceLROnPlateau sets the learning rate, but Keras does not allow this for an optimizer with a "
                "schedule.",
                path=path,
                hint="Set `learning_rate` to a number, or remove ReduceLROnPlateau.",
            )
        if isinstance(callback, SwapEMAWeights) and not all(map(_has_averages, optimizers)):
            yield Finding(
                code="missing-key",
                message="SwapEMAWeights requires averaged weights, but the optimizer does not average them.",
                path=path,
                hint="Set `use_ema: true` on the optimizer.",
            )


def suggest_single_value(monitor: str, train: TrainSection, outputs: Sequence[str]) -> str | None:
    """Return the hint that makes a monitored vector a number; None if the monitor is not a vector."""
    metric = collect_logged_metrics(train, outputs).get(monitor.removeprefix(_VALIDATION_PREFIX))
    argument = metric.single_value_argument if isinstance(metric, Metric) else None
    if argument is None or not isinstance(metric, Metric):
        return None
    example = f"{{type: {metric.type_name()}, {argument}, name: {metric_log_name(metric)}}}"
    return f"Set `{argument}` on the metric, for example {example}."


def _check_monitor(
    monitor: str, callback: Component, names: Mapping[str, Direction], path: KeyPath, *, has_validation: bool
) -> Iterator[Finding]:
    logged_names = [*names, *(f"{_VALIDATION_PREFIX}{name}" for name in names)]
    kind, monitor_text = callback.type_name(), sanitize_text(monitor, limit=60)
    if monitor not in logged_names:
        listed = list_names(logged_names if has_validation else names)
        yield Finding(
            code="unknown-monitor",
            message=f"{kind} monitors `{monitor_text}`, which training does not log.",
            path=path,
            hint=explain_monitor(monitor, logged_names)
            or did_you_mean(monitor, logged_names, otherwise=f"Training logs {listed}."),
        )
    elif monitor.startswith(_VALIDATION_PREFIX) and not has_validation:
        yield Finding(
            code="unknown-monitor",
            message=f"{kind} monitors `{monitor_text}`, but there are no validation examples.",
            path=path,
            hint="Add validation examples with a `split` such as {validation: 0.1}, or set "
            f"`monitor: {monitor.removeprefix(_VALIDATION_PREFIX)}`.",
        )
    elif (
        getattr(callback, "mode", "auto") == "auto"
        and names[monitor.removeprefix(_VALIDATION_PREFIX)] is None
    ):
        yield Finding(
            code="unknown-mode",
            message=f"Keras does not define whether a higher or a lower `{monitor_text}` is better.",
            path=path,
            hint="Add `mode: max` or `mode: min` to the callback.",
        )


def _has_schedule(optimizer: str | Component) -> bool:
    return isinstance(getattr(optimizer, "learning_rate", None), Component)


def _has_averages(optimizer: str | Component) -> bool:
    return bool(getattr(optimizer, "use_ema", False))
