"""The results of a sweep: as plain data, and as files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from layercli.check import ValidConfig, require_valid
from layercli.errors import LayercliError
from layercli.io.atomic import report_write_errors, write_text
from layercli.runs import directory as runs
from layercli.sweep.html_report import render_report_page
from layercli.sweep.plan import SweepPlan
from layercli.sweep.trials import EPOCH_KEY, PROBLEM_KEY, RUN_KEY, compute_importances, tally_trials

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

BEST_CONFIG, REPORT_PAGE = "best.yaml", "report.html"
_STATE_NAMES: Final = {
    "COMPLETE": "complete",
    "PRUNED": "pruned",
    "FAIL": "failed",
    "RUNNING": "running",
    "WAITING": "waiting",
}
"""Our names of Optuna's states."""


def list_trial_rows(plan: SweepPlan, trials: Sequence[FrozenTrial]) -> list[dict[str, Any]]:
    """Return a row for each trial that counts, by number."""
    return [_build_row(plan, trial) for trial in tally_trials(trials).trials]


def _build_row(plan: SweepPlan, trial: FrozenTrial) -> dict[str, Any]:
    end_time = trial.datetime_complete
    reported_values = trial.intermediate_values
    choose = max if plan.is_maximizing else min
    value = choose(reported_values.values()) if reported_values else None
    return {
        "number": trial.number,
        "state": _STATE_NAMES[trial.state.name],
        "value": trial.value if trial.state.name == "COMPLETE" else value,
        "epochs": max(reported_values, default=0),
        "best_epoch": trial.user_attrs.get(EPOCH_KEY),
        "params": {name: plan.value_of(name, drawn_value) for name, drawn_value in trial.params.items()},
        "seconds": round((end_time - trial.datetime_start).total_seconds(), 3)
        if end_time and trial.datetime_start
        else None,
        "run": trial.user_attrs.get(RUN_KEY),
        "problem": trial.user_attrs.get(PROBLEM_KEY),
    }


def find_best_row(plan: SweepPlan, rows: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the best complete trial."""
    complete = [row for row in rows if row["state"] == "complete"]
    choose = max if plan.is_maximizing else min
    return choose(complete, key=lambda row: row["value"]) if complete else None


def build_trial_config(plan: SweepPlan, study: optuna.Study, number: int) -> ValidConfig:
    """Return the config of a trial.

    Raises:
        LayercliError: The base config has changed and no longer accepts the trial's values.
    """
    return require_valid(plan.check_values(study.get_trials(deepcopy=False)[number].params))


def write_results(plan: SweepPlan, study: optuna.Study, directory: Path, number: int) -> None:
    """Write the config of a trial, which can be trained as it is, and the page with the plots."""
    config = build_trial_config(plan, study, number)
    trials = study.get_trials(deepcopy=False)
    page = render_report_page(plan, list_trial_rows(plan, trials), trials, compute_importances(study))
    with report_write_errors("The result of the sweep", directory):
        runs.write_config(directory, config, BEST_CONFIG)
        write_text(directory / REPORT_PAGE, page)


def summarize_sweep(plan: SweepPlan, study: optuna.Study, directory: Path) -> dict[str, Any]:
    """Return the summary of ``sweep --json``, and write the best config and the page with the plots.

    Raises:
        LayercliError: No trial is complete.
    """
    rows = list_trial_rows(plan, study.get_trials(deepcopy=False))
    best = find_best_row(plan, rows)
    if best is None:
        last_problem = next((row["problem"] for row in reversed(rows) if row["problem"]), None)
        message = f"None of the {len(rows)} trials is complete." + (
            f" The last problem: {last_problem}" if last_problem else ""
        )
        raise LayercliError(plan.problem(("space",), "no-trial", message))
    write_results(plan, study, directory, best["number"])
    return {
        "ok": True,
        "sweep": plan.name,
        "directory": str(directory),
        "metric": plan.sweep.objective.metric,
        "direction": "maximize" if plan.is_maximizing else "minimize",
        "trials": rows,
        "best": best,
        "importances": compute_importances(study),
        "config": str(directory / BEST_CONFIG),
        "report": str(directory / REPORT_PAGE),
    }
