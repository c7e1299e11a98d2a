"""Checks that each metric fits the target and the predictions that it receives."""

from __future__ import annotations

from collections.abc import Iterator

from layercli.config.config import Config
from layercli.config.data.section import DataFacts
from layercli.graph.finding import Finding
from layercli.graph.metrics import AdaptedMetric, adapt_metrics
from layercli.graph.shapes import ModelShapes


def check_metrics(config: Config, shapes: ModelShapes, facts: DataFacts | None) -> Iterator[Finding]:
    """Yield a finding for each metric that cannot measure its output.

    Args:
        config: The config.
        shapes: The shapes of its model.
        facts: Facts about the data; None checks only what the losses determine.
    """
    for metric in adapt_metrics(config, shapes, facts):
        inputs = metric.inputs
        if (
            inputs is not None
            and inputs.form == "numbers"
            and not inputs.are_fractions
            and _is_accuracy(metric)
        ):
            yield _accuracy_of_numbers_finding(metric, has_several=inputs.units != 1)
        elif metric.mismatch is not None:
            argument = metric.mismatch.argument
            yield Finding(
                code="wrong-metric",
                message=str(metric.mismatch),
                path=metric.path if argument is None else (*metric.path, argument),
                hint=metric.mismatch.hint,
            )


def _is_accuracy(metric: AdaptedMetric) -> bool:
    name = _name_metric(metric).lower()
    return name == "acc" or name.endswith("accuracy")


def _name_metric(metric: AdaptedMetric) -> str:
    return metric.declared if isinstance(metric.declared, str) else metric.declared.type_name()


def _accuracy_of_numbers_finding(metric: AdaptedMetric, *, has_several: bool) -> Finding:
    message = f"{_name_metric(metric)} counts correct classes, but the target is a number. The metric will be near 0."
    if has_several and isinstance(metric.declared, str):  # Keras chooses CategoricalAccuracy
        message = (
            f"{_name_metric(metric)} counts correct classes, but the target has numbers. The metric will only compare "
            "which of them is the largest."
        )
    return Finding(
        code="wrong-metric",
        message=message,
        path=metric.path,
        hint="Use mean_absolute_error or R2Score.",
        severity="warning",
    )
