"""What mattered in a sweep."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layercli.sweep.study import silence_optuna

if TYPE_CHECKING:
    import optuna


def compute_importances(study: optuna.Study) -> dict[str, float]:
    """How much of the objective's variance each parameter explains, the largest first; empty where nobody can tell."""
    import optuna

    complete = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    if len({trial.value for trial in complete}) < 2:
        return {}
    try:
        with silence_optuna():
            values = optuna.importance.get_param_importances(study)
    except (ValueError, RuntimeError):  # too few trials, or every one drew the same
        return {}
    return {name: round(float(value), 4) for name, value in values.items()}
