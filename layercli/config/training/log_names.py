"""The names under which training logs losses and metrics, with their better direction."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from layercli.config.training.metrics import (
    Direction,
    metric_direction,
    metric_limits,
    metric_log_name,
)
from layercli.config.training.registry import LOSSES
from layercli.config.training.section import TrainSection
from layercli.schema.component import Component

_SIGNED_LOSSES: Final = frozenset({"CosineSimilarity", "KLDivergence", "Poisson"})
"""Losses that can be negative."""


def collect_log_names(train: TrainSection, outputs: Sequence[str] = ()) -> dict[str, Direction]:
    """Return the better direction of each name that Keras logs, without ``val_``; None if Keras does not define it.

    Args:
        train: The ``train`` section.
        outputs: The names of the model's outputs; if empty, the outputs that the section names.
    """
    outputs = outputs or _list_named_outputs(train)
    names: dict[str, Direction] = {"loss": "min"}
    if len(outputs) > 1:
        names |= dict.fromkeys((f"{output}_loss" for output in outputs), "min")
    metrics = collect_logged_metrics(train, outputs)
    return names | {name: metric_direction(metric) for name, metric in metrics.items()}


def collect_limits(train: TrainSection, outputs: Sequence[str] = ()) -> dict[str, tuple[float, float]]:
    """Return the smallest and the largest possible value of each name that Keras logs; infinite if they are unknown.

    The arguments are as in ``collect_log_names``.
    """
    outputs = outputs or _list_named_outputs(train)
    loss_names = ["loss", *(f"{output}_loss" for output in outputs)]
    losses = [train.loss_of(output) for output in outputs or [""]]
    kinds = [loss.type_name() if isinstance(loss, Component) else "" for loss in losses if loss is not None]
    is_signed = any(kind in _SIGNED_LOSSES or (kind and kind not in LOSSES.modules) for kind in kinds)
    lowest = -math.inf if is_signed else 0
    metrics = collect_logged_metrics(train, outputs)
    return dict.fromkeys(loss_names, (lowest, math.inf)) | {
        name: metric_limits(metric) for name, metric in metrics.items()
    }


def collect_logged_metrics(train: TrainSection, outputs: Sequence[str] = ()) -> dict[str, str | Component]:
    """Return each metric by the name that Keras logs, without ``val_``; the arguments are as in ``collect_log_names``."""
    has_several_outputs = len(outputs or _list_named_outputs(train)) > 1
    logged: dict[str, str | Component] = {}
    counts: dict[str, int] = {}
    for weighted, section in ((False, train.metrics), (True, train.weighted_metrics)):
        for output, metric in _iterate_metrics(section):
            prefix = f"{output}_" if has_several_outputs and output is not None else ""
            name = f"{prefix}{metric_log_name(metric)}"
            if weighted and name in counts:
                name = f"{prefix}weighted_{metric_log_name(metric)}"
            count = counts[name] = counts.get(name, -1) + 1
            logged[f"{name}_{count}" if count else name] = metric
    return logged


def _list_named_outputs(train: TrainSection) -> list[str]:
    sections = (train.loss, train.metrics, train.weighted_metrics)
    return list(dict.fromkeys(name for section in sections if isinstance(section, dict) for name in section))


def _iterate_metrics(
    section: Sequence[str | Component] | Mapping[str, Sequence[str | Component]],
) -> Iterator[tuple[str | None, str | Component]]:
    """Yield each metric with its output, if the section names it."""
    if isinstance(section, Mapping):
        yield from ((output, metric) for output, metrics in section.items() for metric in metrics)
    else:
        yield from ((None, metric) for metric in section)
