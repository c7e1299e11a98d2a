"""The objectives of a sweep: which value, and which direction is better."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from layercli.check import ValidConfig
from layercli.config.sweep.section import STATIC_METRICS, Objective
from layercli.config.training.log_names import collect_log_names
from layercli.config.training.section import TrainSection
from layercli.errors import Problem
from layercli.graph.best_epoch import monitor_direction
from layercli.graph.checks.monitors import suggest_single_value
from layercli.graph.metrics import complete_metrics
from layercli.schema.suggestions import did_you_mean, list_names
from layercli.source.nodes import KeyPath, YamlNode, problem_in, sanitize_text
from layercli.sweep.model_limits import SIZE_NOUNS, measure_model


@dataclass(frozen=True, slots=True)
class RankedObjective:
    """An objective with its direction."""

    metric: str
    is_maximizing: bool

    @property
    def is_static(self) -> bool:
        """Whether the value follows from the config, without training."""
        return self.metric in STATIC_METRICS

    @property
    def direction(self) -> Literal["minimize", "maximize"]:
        """The direction as sweep files name it."""
        return "maximize" if self.is_maximizing else "minimize"


def rank_objective(objective: Objective, train: TrainSection) -> RankedObjective:
    """Return an objective with its direction: the declared one, or Keras's direction of the metric."""
    direction = objective.direction
    if direction is None and objective.metric not in STATIC_METRICS:
        direction = "maximize" if monitor_direction(objective.metric, train) == "max" else "minimize"
    return RankedObjective(objective.metric, direction == "maximize")


def check_objectives(document: YamlNode, base: ValidConfig) -> Iterator[Problem]:
    """Yield the problems of ``objective`` and ``objectives`` in a sweep file."""
    listed = document.find(("objectives",))
    items = listed.value if listed is not None and isinstance(listed.value, list) else []
    listed_paths: list[KeyPath] = [("objectives", index) for index in range(len(items))]
    paths: list[KeyPath] = listed_paths or [("objective",)]
    metrics: dict[str, KeyPath] = {}
    for path in paths:
        named = document.find((*path, "metric"))
        if named is None or not isinstance(named.value, str) or not named.value:
            continue  # reported already
        if named.value in metrics:
            message = f"`{sanitize_text(named.value, limit=60)}` must not be an objective twice."
            yield problem_in(document, (*path, "metric"), "bad-argument", message, hint="Remove one.")
            continue
        metrics[named.value] = path
        yield from _check_objective(document, path, named.value, base)
    if metrics and all(metric in STATIC_METRICS for metric in metrics):
        path = next(iter(metrics.values()))
        logged = list_names(_list_logged_names(base))
        message = "At least one objective must be a value that training logs."
        hint = f"Add one of {logged} to `objectives`."
        yield problem_in(document, (*path, "metric"), "bad-argument", message, hint=hint)


def _list_logged_names(base: ValidConfig) -> list[str]:
    train, data = base.config.train, base.config.data
    assert train is not None
    assert data is not None
    logged = list(collect_log_names(train, base.graph.output_references))
    return [*logged, *(f"val_{name}" for name in logged if data.split.has_validation)]


def _check_objective(document: YamlNode, path: KeyPath, metric: str, base: ValidConfig) -> Iterator[Problem]:
    """Check that training logs a metric or the model has it, and that its direction is known."""
    train = base.config.train
    assert train is not None
    metric_path: KeyPath = (*path, "metric")
    direction = document.find((*path, "direction"))
    if metric in STATIC_METRICS:
        if measure_model(base)[metric] is None and not base.shapes.size_learners:
            message = f"The {SIZE_NOUNS[metric]} of the model are unknown: it has a custom layer."
            yield problem_in(
                document, metric_path, "unknown-size", message, hint="Use a different objective."
            )
        return
    logged = _list_logged_names(base)
    if metric not in logged:
        message = f"Training does not log `{sanitize_text(metric, limit=60)}`."
        known = [*logged, *STATIC_METRICS] if path[0] == "objectives" else logged
        hint = did_you_mean(metric, known, otherwise=f"It logs {list_names(logged)}.")
        if metric.startswith("val_") and metric.removeprefix("val_") in logged:
            message = f"`{metric}` needs validation examples, but there are none."
            hint = "Add some in the base config: `data: {split: {validation: 0.1}}`."
        yield problem_in(document, metric_path, "unknown-monitor", message, hint=hint)
        return
    if (direction is None or direction.value is None) and monitor_direction(metric, train) is None:
        message = f"Keras does not define whether a larger or smaller `{metric}` is better."
        hint = "Add `direction: maximize` or `minimize`."
        yield problem_in(document, metric_path, "unknown-mode", message, hint=hint)
        return
    completed = complete_metrics(base.config, base.shapes, None).train
    assert completed is not None
    scalar_hint = suggest_single_value(metric, completed, base.graph.output_references)
    if scalar_hint is not None:
        message = f"`{metric}` is a vector, so trials cannot be ranked by it."
        hint = f"In the base config, s{scalar_hint[1:]}"
        yield problem_in(document, metric_path, "vector-monitor", message, hint=hint)
