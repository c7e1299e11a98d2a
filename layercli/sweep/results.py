"""What came of a sweep, as plain data, and what it leaves behind."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from layercli.check import Valid, require
from layercli.errors import LayercliError
from layercli.runs import directory as runs
from layercli.sweep.html_report import report_page
from layercli.sweep.importance import importances
from layercli.sweep.plan import Plan
from layercli.sweep.study import EPOCH, PROBLEM, RUN, tally

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

BEST, REPORT = "best.yaml", "report.html"
_STATES: Final = {
    "COMPLETE": "complete",
    "PRUNED": "pruned",
    "FAIL": "failed",
    "RUNNING": "running",
    "WAITING": "waiting",
}
"""Optuna's states as we write them."""


def listed(plan: Plan, trials: Sequence[FrozenTrial]) -> list[dict[str, Any]]:
    """The trials that count, by their numbers."""
    return [_row(plan, trial) for trial in tally(trials).counted]


def _row(plan: Plan, trial: FrozenTrial) -> dict[str, Any]:
    ended = trial.datetime_complete
    reported = trial.intermediate_values
    choose = max if plan.maximizes else min
    value = choose(reported.values()) if reported else None
    return {
        "number": trial.number,
        "state": _STATES[trial.state.name],
        "value": trial.value if trial.state.name == "COMPLETE" else value,
        "epochs": max(reported, default=0),
        "best_epoch": trial.user_attrs.get(EPOCH),
        "params": {name: plan.value_of(name, drawn) for name, drawn in trial.params.items()},
        "seconds": round((ended - trial.datetime_start).total_seconds(), 3)
        if ended and trial.datetime_start
        else None,
        "run": trial.user_attrs.get(RUN),
        "problem": trial.user_attrs.get(PROBLEM),
    }


def best_of(plan: Plan, rows: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """The best of the trials that are complete."""
    complete = [row for row in rows if row["state"] == "complete"]
    choose = max if plan.maximizes else min
    return choose(complete, key=lambda row: row["value"]) if complete else None


def best_config(plan: Plan, study: optuna.Study, number: int) -> Valid:
    """The config of a trial.

    Raises:
        LayercliError: the base config was changed, and does not take the trial's values any more.
    """
    return require(plan.configured(study.get_trials(deepcopy=False)[number].params))


def leave(plan: Plan, study: optuna.Study, directory: Path, number: int) -> None:
    """Write the best config, which trains by itself, and the page with the plots."""
    runs.write_config(directory, best_config(plan, study, number), BEST)
    runs.write_text(directory / REPORT, report_page(plan, study))


def summarized(plan: Plan, study: optuna.Study, directory: Path) -> dict[str, Any]:
    """What ``sweep --json`` prints; the best config and the page are written.

    Raises:
        LayercliError: no trial is complete.
    """
    rows = listed(plan, study.get_trials(deepcopy=False))
    best = best_of(plan, rows)
    if best is None:
        told = next((row["problem"] for row in reversed(rows) if row["problem"]), None)
        message = f"None of {len(rows)} trials is complete." + (f" The last one: {told}" if told else "")
        raise LayercliError(plan.problem(("space",), "no-trial", message))
    leave(plan, study, directory, best["number"])
    return {
        "ok": True,
        "sweep": plan.name,
        "directory": str(directory),
        "metric": plan.sweep.objective.metric,
        "direction": "maximize" if plan.maximizes else "minimize",
        "trials": rows,
        "best": best,
        "importances": importances(study),
        "config": str(directory / BEST),
        "report": str(directory / REPORT),
    }
