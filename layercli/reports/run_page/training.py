"""The learning curves of a run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

from layercli.config.training.custom_objects import NON_METRIC_KEYS
from layercli.graph.stages import plan_stages
from layercli.graph.training_notes import count_stage_epochs
from layercli.page.charts import Chart, Series, draw_lines
from layercli.page.html import Column, Markup, join_markup, make_details, make_element, make_table
from layercli.reports.formatting import format_count, format_number
from layercli.reports.run_page.content import RunContent
from layercli.source.scalars import is_number

_MAX_METRICS: Final = 8
_MAX_FROZEN: Final = 8
"""The most names of frozen layers that are listed."""
_LOG_RATIO: Final = 50.0
"""The ratio of the largest to the smallest loss from which its axis is logarithmic."""


def make_training(content: RunContent) -> Markup:
    """Return a chart of each metric over the epochs, and all values as a table."""
    history = content.history
    metrics = list_curve_metrics([history])
    if not metrics:
        return Markup()
    best = content.run.best.get("epoch")
    charts = [
        draw_curves(
            metric,
            [("", history)],
            best if is_number(best) and len(history) > 1 else None,
            _find_borders(history),
        )
        for metric in metrics[:_MAX_METRICS]
    ]
    parts = [_describe_model_epoch(content), make_element("div", *charts, class_="charts")]
    if len(metrics) > _MAX_METRICS:
        parts.append(make_element("p", f"{len(metrics) - _MAX_METRICS} more metrics are in the table."))
    parts.append(_make_stage_table(content))
    return join_markup([*parts, make_details("All epochs", _make_epoch_table(history))])


def _find_borders(history: Sequence[Mapping[str, Any]]) -> list[float]:
    """Return where a stage ends and the next one starts, between two epochs."""
    stages = [record.get("stage") for record in history]
    return [number + 0.5 for number, (one, other) in enumerate(pairwise(stages), start=1) if one != other]


def _make_stage_table(content: RunContent) -> Markup:
    """Return a table of the stages of the training: what they train, and how many epochs they took."""
    stages = plan_stages(content.valid.config.train, content.valid.shapes) if content.valid else []
    if not stages:
        return Markup()
    epochs = count_stage_epochs(content.history)
    rows = [
        [
            str(stage.number),
            f"{epochs.get(stage.number, 0)} of {stage.epochs}",
            stage.optimizer + ("" if stage.is_new_optimizer else " (continued)"),
            format_count(stage.trainable),
            ", ".join(stage.frozen[:_MAX_FROZEN]) + (", ..." if len(stage.frozen) > _MAX_FROZEN else ""),
        ]
        for stage in stages
    ]
    columns = [
        *(Column("stage"), Column("epochs"), Column("optimizer")),
        *(Column("trained parameters", is_number=True), Column("frozen layers")),
    ]
    text = "Thin vertical lines in the charts divide the stages." if len(stages) > 1 else ""
    return join_markup([make_element("p", text), make_table(columns, rows, label="Stages")])


def list_curve_metrics(histories: Sequence[Sequence[Mapping[str, Any]]]) -> list[str]:
    """Return the names of metrics with a number for an epoch, without the prefix of validation; the loss is first."""
    names = dict.fromkeys(
        key.removeprefix("val_")
        for history in histories
        for record in history
        for key, value in record.items()
        if is_number(value) and key not in NON_METRIC_KEYS and key != "learning_rate"
    )
    rates = {record.get("learning_rate") for history in histories for record in history}
    shown = sorted(names, key=lambda name: name != "loss")
    return [*shown, *(["learning_rate"] if len(rates - {None}) > 1 else [])]


def draw_curves(
    metric: str,
    runs: Sequence[tuple[str, Sequence[Mapping[str, Any]]]],
    best_epoch: float | None = None,
    borders: Sequence[float] = (),
) -> Markup:
    """Return the chart of a metric: for each run a line for training and one for validation; ``borders`` divide stages."""
    series = []
    for index, (name, history) in enumerate(runs):
        for dash, key in enumerate((metric, f"val_{metric}")):
            points = [
                (number, record.get(key))
                for number, record in enumerate(history, start=1)
                if is_number(record.get(key)) and math.isfinite(record[key])
            ]
            if points:
                part = "validation" if dash else "training"
                title = f"{name} {part}".strip() if metric != "learning_rate" else name or metric
                color = index if len(runs) > 1 else dash
                series.append(
                    Series(
                        title,
                        [x for x, _ in points],
                        [y for _, y in points],
                        color,
                        dash if len(runs) > 1 else 0,
                    )
                )
    values = [value for each in series for value in each.y if value is not None]
    has_log_scale = bool(values) and min(values) > 0 and max(values) / min(values) > _LOG_RATIO
    title = "learning rate" if metric == "learning_rate" else metric
    return draw_lines(
        Chart(
            title,
            _describe_curves(title, series, best_epoch),
            "epoch",
            title + (" (logarithmic)" if has_log_scale else ""),
            series,
            marked_x=best_epoch,
            borders=borders,
            marked_name="" if best_epoch is None else f"best epoch ({best_epoch:g})",
            has_log_scale=has_log_scale,
            has_integer_x=True,
        )
    )


def _describe_curves(title: str, series: Sequence[Series], best_epoch: float | None) -> str:
    ends = [f"{each.name}: from {format_number(each.y[0])} to {format_number(each.y[-1])}" for each in series]
    best = "" if best_epoch is None else f" The best epoch is {best_epoch:g}."
    return f"{title.capitalize()} over the epochs. {'; '.join(ends)}.{best}"


def _describe_model_epoch(content: RunContent) -> Markup:
    best, restored, epochs = content.run.best, content.summary.get("restored_epoch"), content.run.epochs
    monitor, epoch = best.get("monitor"), best.get("epoch")
    if monitor is None or epoch is None or not is_number(best.get(monitor)):
        return Markup()
    text = f"The best epoch by {monitor} is {epoch}, with {format_number(best[monitor])}."
    if content.run.state == "finished":
        is_restored = is_number(restored)
        text += f" The model has the weights of epoch {restored if is_restored else epochs}."
    return make_element("p", text)


def _make_epoch_table(history: Sequence[Mapping[str, Any]]) -> Markup:
    keys = list(dict.fromkeys(key for record in history for key, value in record.items() if is_number(value)))
    keys = [key for key in keys if key != "epoch"]
    rows = [
        [str(number), *(format_number(record[key]) if is_number(record.get(key)) else "" for key in keys)]
        for number, record in enumerate(history, start=1)
    ]
    columns = [Column("epoch"), *(Column(key, is_number=True) for key in keys)]
    return make_table(columns, rows[:1000], label="All epochs")
