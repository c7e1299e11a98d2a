"""The page with a sweep's plots: one file without external resources."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from layercli.sweep.plan import SweepPlan
from layercli.sweep.trials import compute_importances, silence_optuna

if TYPE_CHECKING:
    import optuna

_CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
)
"""Allows inline scripts and blocks all loading."""


def render_report_page(plan: SweepPlan, study: optuna.Study) -> str:
    """Return the HTML page: history of the best value, trials in parallel coordinates, importances."""
    from optuna import visualization

    metric = plan.sweep.objective.metric
    escaped_study = _escape_study(study)
    with silence_optuna():
        figures = [
            visualization.plot_optimization_history(escaped_study, target_name=metric),
            visualization.plot_parallel_coordinate(escaped_study, target_name=metric),
        ]
        if compute_importances(study):
            figures.append(visualization.plot_param_importances(escaped_study, target_name=metric))
    parts = [
        figure.to_html(full_html=False, include_plotlyjs=index == 0, include_mathjax=False)
        for index, figure in enumerate(figures)
    ]
    title = escape(f"Sweep {plan.name}")
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_CONTENT_SECURITY_POLICY}"></head>\n'
        f'<body style="font-family: sans-serif"><h1>{title}</h1>\n' + "\n".join(parts) + "\n</body></html>\n"
    )


def _escape_study(study: optuna.Study) -> optuna.Study:
    """Copy the finished trials into memory, with names and choices escaped for HTML."""
    import optuna
    from optuna.distributions import CategoricalDistribution

    copy = optuna.create_study(direction=study.direction)
    for trial in study.get_trials(deepcopy=True):
        if not trial.state.is_finished() or not trial.params:
            continue
        distributions: dict[str, Any] = {}
        params: dict[str, Any] = {}
        for name, kind in trial.distributions.items():
            escaped_name, value = escape(name), trial.params[name]
            if isinstance(kind, CategoricalDistribution):
                kind = CategoricalDistribution([escape(str(choice)) for choice in kind.choices])
                value = escape(str(value))
            distributions[escaped_name], params[escaped_name] = kind, value
        copy.add_trial(
            optuna.create_trial(
                state=trial.state,
                value=trial.value if trial.state.name == "COMPLETE" else None,
                params=params,
                distributions=distributions,
                intermediate_values=trial.intermediate_values,
            )
        )
    return copy
