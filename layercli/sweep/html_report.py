"""The page with a sweep's results: one file without external resources."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from layercli.page.charts import Bars, Chart, Series, draw_bars, draw_lines, draw_points
from layercli.page.html import Column, Markup, join_markup, make_document, make_element, make_table
from layercli.source.nodes import sanitize_text
from layercli.source.scalars import is_number
from layercli.sweep.plan import SweepPlan

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

_MAX_ROWS: Final = 1_000
_MAX_CURVES: Final = 8
_MAX_PARAMETERS: Final = 30
_MAX_CHOICES: Final = 12
"""Choices that are ticks of a chart."""


def render_report_page(
    plan: SweepPlan,
    rows: Sequence[Mapping[str, Any]],
    trials: Sequence[FrozenTrial],
    importances: Mapping[str, float],
) -> str:
    """Return the HTML page: the best trial, the history, the importance and the effect of each parameter, all trials.

    Args:
        plan: The sweep.
        rows: Its trials as ``list_trial_rows`` returns them.
        trials: The trials of the study, by number.
        importances: The importance of each parameter, the largest first.
    """
    complete = [row for row in rows if row["state"] == "complete" and is_number(row["value"])]
    ordered = sorted(complete, key=lambda row: row["value"], reverse=plan.is_maximizing)
    charts = [_draw_history(plan, complete)] if complete else []
    if importances:
        charts.append(_draw_importances(plan, importances))
    curves = _draw_curves(plan, ordered, trials)
    names = list(dict.fromkeys([*importances, *(name for row in complete for name in row["params"])]))
    effects = [_draw_effect(plan, name, complete) for name in names[:_MAX_PARAMETERS]]
    parts = [
        make_element("header", make_element("h1", f"Sweep {plan.name}"), _describe(plan, rows, ordered)),
        make_element("div", *charts, *curves, class_="charts"),
    ]
    if effects:
        parts += [
            make_element("h2", "Effect of each parameter"),
            make_element("div", *effects, class_="charts"),
        ]
    parts += [
        make_element("h2", "Trials"),
        _make_trial_table(plan, [*ordered, *(row for row in rows if row not in complete)]),
    ]
    return make_document(f"Sweep {plan.name}", *parts)


def _describe(
    plan: SweepPlan, rows: Sequence[Mapping[str, Any]], ordered: Sequence[Mapping[str, Any]]
) -> Markup:
    metric, goal = plan.sweep.objective.metric, "highest" if plan.is_maximizing else "lowest"
    states = {state: sum(row["state"] == state for row in rows) for state in ("complete", "pruned", "failed")}
    counts = ", ".join(f"{count} {state}" for state, count in states.items() if count)
    sentences = [f"{len(rows):,} trials: {counts}." if counts else f"{len(rows):,} trials."]
    if ordered:
        best = ordered[0]
        sentences.append(f"Trial {best['number']} has the {goal} {metric}: {_format(best['value'])}.")
        values = [f"{name}: {_format(value)}" for name, value in best["params"].items()]
        items = make_element("ul", *(make_element("li", value) for value in values))
        return make_element("div", *(make_element("p", text) for text in sentences), items, class_="summary")
    return make_element("div", *(make_element("p", text) for text in sentences), class_="summary")


def _draw_history(plan: SweepPlan, complete: Sequence[Mapping[str, Any]]) -> Markup:
    metric, choose = plan.sweep.objective.metric, max if plan.is_maximizing else min
    numbers = [row["number"] for row in complete]
    values = [row["value"] for row in complete]
    best = [choose(values[: index + 1]) for index in range(len(values))]
    return draw_lines(
        Chart(
            "History",
            f"The {metric} of each complete trial, and the best so far. The best is {_format(best[-1])}.",
            "trial",
            metric,
            [
                Series("trial", numbers, values, 7, marker="o", has_line=False),
                Series("best so far", numbers, best),
            ],
            has_integer_x=True,
        )
    )


def _draw_importances(plan: SweepPlan, importances: Mapping[str, float]) -> Markup:
    names = list(importances)[:_MAX_PARAMETERS]
    return draw_bars(
        Bars(
            "Importance of the parameters",
            f"The share of the variance of {plan.sweep.objective.metric} that each parameter explains.",
            "share of the variance",
            names,
            [importances[name] for name in names],
        )
    )


def _draw_curves(
    plan: SweepPlan, ordered: Sequence[Mapping[str, Any]], trials: Sequence[FrozenTrial]
) -> Iterator[Markup]:
    """Yield the values over the epochs of the best trials, if trials reported them."""
    reported = {trial.number: trial.intermediate_values for trial in trials}
    chosen = [row["number"] for row in ordered if len(reported.get(row["number"], ())) > 1][:_MAX_CURVES]
    if not chosen:
        return
    series = [
        Series(
            f"trial {number}",
            sorted(reported[number]),
            [reported[number][x] for x in sorted(reported[number])],
            color,
        )
        for color, number in enumerate(chosen)
    ]
    metric = plan.sweep.objective.metric
    description = f"The {metric} over the epochs of the best {len(series)} trials."
    yield draw_lines(Chart("The best trials", description, "epoch", metric, series, has_integer_x=True))


def _draw_effect(plan: SweepPlan, name: str, complete: Sequence[Mapping[str, Any]]) -> Markup:
    """Return a chart with the objective over the values of a parameter."""
    metric = plan.sweep.objective.metric
    rows = [row for row in complete if name in row["params"]]
    values = [row["params"][name] for row in rows]
    description = f"Each point is a trial: its {metric} over its value of {sanitize_text(name, limit=80)}."
    if all(map(is_number, values)):
        is_spread = min(values) > 0 and max(values) >= 30 * min(values)
        series = [Series("", values, [row["value"] for row in rows])]
        return draw_points(
            Chart(
                name,
                description,
                "value" + (" (logarithmic)" if is_spread else ""),
                metric,
                series,
                has_log_x=is_spread,
            )
        )
    names = list(dict.fromkeys(map(_format, values)))
    places = [names.index(_format(value)) for value in values]
    series = [Series("", places, [row["value"] for row in rows])]
    shown = names if len(names) <= _MAX_CHOICES else ()
    return draw_points(Chart(name, description, "choice", metric, series, x_names=shown))


def _make_trial_table(plan: SweepPlan, rows: Sequence[Mapping[str, Any]]) -> Markup:
    names = list(dict.fromkeys(name for row in rows for name in row["params"]))
    columns = [
        Column("trial"),
        Column("state"),
        Column(plan.sweep.objective.metric, is_number=True),
        Column("epochs", is_number=True),
        Column("seconds", is_number=True),
        *(Column(name) for name in names),
        Column("run or problem"),
    ]
    cells = [
        [
            str(row["number"]),
            row["state"],
            _format(row["value"]),
            str(row["epochs"]),
            _format(row["seconds"]),
            *(_format(row["params"].get(name)) for name in names),
            str(row["problem"] or row["run"] or ""),
        ]
        for row in rows[:_MAX_ROWS]
    ]
    parts = [make_table(columns, cells, label="Trials, the best first")]
    if len(rows) > _MAX_ROWS:
        parts.append(
            make_element("p", f"{len(rows) - _MAX_ROWS:,} more trials are not shown.", class_="muted")
        )
    return join_markup(parts)


def _format(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.4g}" if math.isfinite(value) else str(value)
    return "" if value is None else sanitize_text(str(value), limit=120)
