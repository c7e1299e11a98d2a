"""The page with a sweep's results: one file without external resources."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, zip_longest
from typing import TYPE_CHECKING, Any, Final

from layercli.page.charts import Bars, Chart, Series, draw_bars, draw_lines, draw_points
from layercli.page.html import (
    Column,
    Markup,
    join_markup,
    make_document,
    make_element,
    make_footer,
    make_table,
)
from layercli.source.nodes import sanitize_text
from layercli.source.scalars import is_number
from layercli.sweep.objectives import RankedObjective
from layercli.sweep.plan import SweepPlan
from layercli.sweep.ranking import count_refused, find_pareto_numbers, rank_rows

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
    *,
    test_scores: Mapping[str, Any],
) -> str:
    """Return the HTML page: the best trial, the history, the importance and the effect of each parameter, all trials.

    Args:
        plan: The sweep.
        rows: Its trials as ``list_trial_rows`` returns them.
        trials: The trials of the study, by number.
        importances: The importance of each parameter, the largest first.
        test_scores: The metrics of the best trial's model on the test set; empty if they are unknown.
    """
    objectives = plan.objectives
    complete = [row for row in rows if row["state"] == "complete" and is_number(row["value"])]
    ordered = rank_rows(complete, [objective.is_maximizing for objective in objectives])
    shown = {row["number"] for row in complete}
    charts = [*_draw_pareto_sets(objectives, complete)]
    if complete:
        charts.append(_draw_history(objectives[0], complete))
    if importances:
        charts.append(_draw_importances(objectives[0], importances))
    curves = _draw_curves(objectives[0], ordered, trials)
    names = list(dict.fromkeys([*importances, *(name for row in complete for name in row["params"])]))
    effects = [_draw_effect(objectives[0], name, complete) for name in names[:_MAX_PARAMETERS]]
    parts = [
        make_element("section", make_element("div", *charts, *curves, class_="charts")),
    ]
    if effects:
        parts.append(
            make_element(
                "section",
                make_element("h2", "Effect of each parameter"),
                make_element("div", *effects, class_="charts"),
            )
        )
    parts.append(
        make_element(
            "section",
            make_element("h2", "Trials"),
            _make_trial_table(
                plan,
                [*ordered, *sorted((row for row in rows if row["number"] not in shown), key=_order_state)],
            ),
        )
    )
    return make_document(
        plan.title,
        make_element("header", make_element("h1", plan.title)),
        make_element("main", _describe_sweep(objectives, rows, ordered, test_scores), *parts),
        make_footer(),
    )


_STATES: Final = ("complete", "pruned", "failed", "running", "waiting", "refused")


def _order_state(row: Mapping[str, Any]) -> int:
    return _STATES.index(row["state"])


def _describe_sweep(
    objectives: Sequence[RankedObjective],
    rows: Sequence[Mapping[str, Any]],
    ordered: Sequence[Mapping[str, Any]],
    test_scores: Mapping[str, Any],
) -> Markup:
    first = objectives[0]
    states = Counter(row["state"] for row in rows)
    counts = ", ".join(f"{states[state]:,} {state}" for state in _STATES if states[state])
    sentences = [f"{len(rows):,} trials: {counts}." if counts else f"{len(rows):,} trials."]
    refused = count_refused(rows)
    if refused:
        shown = ", ".join(f"{limit} {count:,}" for limit, count in refused.items())
        sentences.append(f"Refused by limit: {shown}.")
    if len(objectives) > 1 and ordered:
        numbers = find_pareto_numbers(ordered, [objective.is_maximizing for objective in objectives])
        sentences.append(
            f"The Pareto set has {len(numbers):,} trials: no other trial is better in one of "
            f"{' and '.join(objective.metric for objective in objectives)} without being worse in another."
        )
    if not ordered:
        return make_element("div", *(make_element("p", text) for text in sentences), class_="summary")
    best = ordered[0]
    goal = "highest" if first.is_maximizing else "lowest"
    sentences.append(f"Trial {best['number']} has the {goal} {first.metric}: {_format_value(best['value'])}.")
    if test_scores:
        scores = ", ".join(f"{name} {_format_value(value)}" for name, value in test_scores.items())
        sentences.append(f"On the test set, its model has: {scores}.")
    values = [f"{name}: {_format_value(value)}" for name, value in best["params"].items()]
    items = make_element("ul", *(make_element("li", value) for value in values))
    return make_element("div", *(make_element("p", text) for text in sentences), items, class_="summary")


def _draw_pareto_sets(
    objectives: Sequence[RankedObjective], complete: Sequence[Mapping[str, Any]]
) -> Iterator[Markup]:
    """Yield a chart of the first objective over each other one."""
    if not complete:
        return
    numbers = set(find_pareto_numbers(complete, [objective.is_maximizing for objective in objectives]))
    best = [row for row in complete if row["number"] in numbers]
    others = [row for row in complete if row["number"] not in numbers]
    for position, objective in enumerate(objectives[1:], start=1):
        xs = [row["values"][position] for row in complete]
        is_spread = min(xs) > 0 and max(xs) >= 30 * min(xs)
        series = [
            Series(
                name,
                [row["values"][position] for row in rows],
                [row["value"] for row in rows],
                color,
            )
            for name, rows, color in (("other trials", others, 7), ("Pareto set", best, 0))
            if rows
        ]
        yield draw_points(
            Chart(
                f"Pareto set: {objectives[0].metric} and {objective.metric}",
                f"Each point is a trial: its {objectives[0].metric} over its {objective.metric}. "
                f"{len(best)} trials are in the Pareto set.",
                objective.metric + (" (logarithmic)" if is_spread else ""),
                objectives[0].metric,
                series,
                has_log_x=is_spread,
            )
        )


def _draw_history(objective: RankedObjective, complete: Sequence[Mapping[str, Any]]) -> Markup:
    metric = objective.metric
    numbers = [row["number"] for row in complete]
    values = [row["value"] for row in complete]
    best = list(accumulate(values, max if objective.is_maximizing else min))
    return draw_lines(
        Chart(
            "History",
            f"The {metric} of each complete trial, and the best so far. The best is {_format_value(best[-1])}.",
            "trial",
            metric,
            [
                Series("trial", numbers, values, 7, marker="o", has_line=False),
                Series("best so far", numbers, best),
            ],
            has_integer_x=True,
        )
    )


def _draw_importances(objective: RankedObjective, importances: Mapping[str, float]) -> Markup:
    names = list(importances)[:_MAX_PARAMETERS]
    return draw_bars(
        Bars(
            "Importance of the parameters",
            f"The share of the variance of {objective.metric} that each parameter explains.",
            "share of the variance",
            names,
            [importances[name] for name in names],
        )
    )


def _draw_curves(
    objective: RankedObjective, ordered: Sequence[Mapping[str, Any]], trials: Sequence[FrozenTrial]
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
    metric = objective.metric
    description = f"The {metric} over the epochs of the best {len(series)} trials."
    yield draw_lines(Chart("The best trials", description, "epoch", metric, series, has_integer_x=True))


def _draw_effect(objective: RankedObjective, name: str, complete: Sequence[Mapping[str, Any]]) -> Markup:
    """Return a chart with the objective over the values of a parameter."""
    metric = objective.metric
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
    names = list(dict.fromkeys(map(_format_value, values)))
    places = [names.index(_format_value(value)) for value in values]
    series = [Series("", places, [row["value"] for row in rows])]
    shown = names if len(names) <= _MAX_CHOICES else ()
    return draw_points(Chart(name, description, "choice", metric, series, x_names=shown))


def _make_trial_table(plan: SweepPlan, rows: Sequence[Mapping[str, Any]]) -> Markup:
    names = list(dict.fromkeys(name for row in rows for name in row["params"]))
    objectives = plan.objectives
    metrics = [objective.metric for objective in objectives]
    sizes = [name for name in ("parameters", *plan.limits) if name not in metrics]
    sizes = list(dict.fromkeys(sizes))
    columns = [
        Column("trial"),
        Column("state"),
        *(Column(objective.metric, is_number=True) for objective in objectives),
        *(Column(title, is_number=True) for title in sizes),
        Column("epochs", is_number=True),
        Column("seconds", is_number=True),
        *(Column(name) for name in names),
        Column("run or problem"),
    ]
    cells = [
        [
            str(row["number"]),
            row["state"],
            *(_format_objective(value) for _, value in zip_longest(metrics, row["values"])),
            *(_format_objective(row[name]) for name in sizes),
            str(row["epochs"]),
            _format_value(row["seconds"]),
            *(_format_value(row["params"].get(name)) for name in names),
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


def _format_objective(value: float | None) -> str:
    """Return a metric, or a size of a model with all its digits."""
    is_integer = value is not None and abs(value) >= 1 and float(value).is_integer()
    return f"{value:,.0f}" if is_integer else _format_value(value)


def _format_value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.4g}"
    return "" if value is None else sanitize_text(str(value), limit=120)
