"""The results of a sweep: as plain data, and as files."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from layercli.check import ValidConfig, require_valid
from layercli.errors import LayercliError, Problem
from layercli.io.atomic import report_write_errors, write_text
from layercli.runs import directory as runs
from layercli.runs.listing import is_run, read_run
from layercli.source.nodes import problem_in
from layercli.sweep.html_report import render_report_page
from layercli.sweep.model_limits import SIZE_NOUNS, describe_exceeded, format_size
from layercli.sweep.objectives import RankedObjective
from layercli.sweep.plan import SweepPlan
from layercli.sweep.ranking import count_refused, find_pareto_numbers, rank_rows
from layercli.sweep.trials import (
    EPOCH_KEY,
    EPOCHS_KEY,
    LOSS_KEY,
    MAX_REFUSED_IN_A_ROW,
    PROBLEM_KEY,
    RUN_KEY,
    SIZES_KEY,
    compute_importances,
    list_counted_trials,
    list_exceeded_limits,
    tally_trials,
)

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
    objectives = plan.objectives
    return [_build_row(plan, objectives, trial) for trial in list_counted_trials(trials)]


def _build_row(plan: SweepPlan, objectives: Sequence[RankedObjective], trial: FrozenTrial) -> dict[str, Any]:
    end_time = trial.datetime_complete
    reported_values = trial.intermediate_values
    sizes = trial.user_attrs.get(SIZES_KEY, {})
    refused = list_exceeded_limits(trial)
    values: list[float | None] = [None] * len(objectives)
    if trial.state.name == "COMPLETE" and not refused:
        values = list(trial.values)
    elif reported_values:
        values = [(max if objectives[0].is_maximizing else min)(reported_values.values())]
    return {
        "number": trial.number,
        "state": "refused" if refused else _STATE_NAMES[trial.state.name],
        "value": values[0],
        "values": values,
        "loss": trial.user_attrs.get(LOSS_KEY),
        "epochs": trial.user_attrs.get(EPOCHS_KEY, max(reported_values, default=0)),
        "best_epoch": trial.user_attrs.get(EPOCH_KEY),
        "params": {name: plan.value_of(name, drawn_value) for name, drawn_value in trial.params.items()},
        "parameters": sizes.get("parameters"),
        "flops": sizes.get("flops"),
        "memory_mib": sizes.get("memory_mib"),
        "refused": refused,
        "seconds": round((end_time - trial.datetime_start).total_seconds(), 3)
        if end_time and trial.datetime_start
        else None,
        "run": trial.user_attrs.get(RUN_KEY),
        "problem": " ".join(describe_exceeded(**each) for each in refused)
        or trial.user_attrs.get(PROBLEM_KEY),
    }


def find_best_row(plan: SweepPlan, rows: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the best complete trial; with several objectives, the best one in the first objective."""
    ranked = rank_rows(rows, [objective.is_maximizing for objective in plan.objectives])
    return dict(ranked[0]) if ranked else None


def build_trial_config(plan: SweepPlan, study: optuna.Study, number: int) -> ValidConfig:
    """Return the config of a trial.

    Raises:
        LayercliError: The base config has changed and no longer accepts the trial's values.
    """
    return require_valid(plan.check_values(study.get_trials(deepcopy=False)[number].params))


def write_results(plan: SweepPlan, study: optuna.Study, directory: Path, number: int) -> None:
    """Write the config of a trial, which can be trained as it is, and the page with the plots."""
    trials = study.get_trials(deepcopy=False)
    _write_files(plan, study, directory, number, list_trial_rows(plan, trials), compute_importances(study))


def _write_files(
    plan: SweepPlan,
    study: optuna.Study,
    directory: Path,
    number: int,
    rows: Sequence[dict[str, Any]],
    importances: dict[str, float],
) -> None:
    config = build_trial_config(plan, study, number)
    run = next(row["run"] for row in rows if row["number"] == number)
    page = render_report_page(
        plan,
        rows,
        study.get_trials(deepcopy=False),
        importances,
        test_scores=_read_test_scores(run, directory),
    )
    with report_write_errors("The result of the sweep", directory):
        runs.write_config(directory, config, BEST_CONFIG)
        write_text(directory / REPORT_PAGE, page)


def _read_test_scores(run: object, directory: Path) -> dict[str, Any]:
    """Return the test scores of a trial; empty if its run was deleted, or is not in the directory of the sweep."""
    with suppress(OSError, ValueError):
        if isinstance(run, str) and Path(run).resolve().parent == directory.resolve() and is_run(Path(run)):
            return dict(read_run(Path(run)).test)
    return {}


def summarize_sweep(plan: SweepPlan, study: optuna.Study, directory: Path) -> dict[str, Any]:
    """Return the summary of ``sweep --json``, and write the best config and the page with the plots.

    Raises:
        LayercliError: No trial is complete.
    """
    trials = study.get_trials(deepcopy=False)
    rows = list_trial_rows(plan, trials)
    best = find_best_row(plan, rows)
    if best is None:
        raise LayercliError(_make_no_trial_problem(plan, rows))
    importances = compute_importances(study)
    _write_files(plan, study, directory, best["number"], rows, importances)
    objectives = plan.objectives
    maximize = [objective.is_maximizing for objective in objectives]
    return {
        "ok": True,
        "sweep": plan.name,
        "directory": str(directory),
        "metric": objectives[0].metric,
        "direction": objectives[0].direction,
        "objectives": [{"metric": x.metric, "direction": x.direction} for x in objectives],
        "trials": rows,
        "best": best,
        "pareto": find_pareto_numbers(rows, maximize) if len(objectives) > 1 else [],
        "refused": count_refused(rows),
        "importances": importances,
        "config": str(directory / BEST_CONFIG),
        "report": str(directory / REPORT_PAGE),
    }


def find_end_warning(plan: SweepPlan, study: optuna.Study) -> Problem | None:
    """Return a warning if a sweep ended early because its limits refuse nearly all trials."""
    progress = tally_trials(study.get_trials(deepcopy=False))
    if progress.refused_in_a_row < MAX_REFUSED_IN_A_ROW:
        return None
    message = (
        f"The sweep ended after {progress.refused_in_a_row:,} refused trials in a row: "
        f"{progress.finished_count:,} of {plan.sweep.trial_count:,} trials are finished."
    )
    hint = "Raise the limits, or narrow the space to smaller models."
    return problem_in(plan.document, ("limits",), "few-trials", message, hint=hint, severity="warning")


def _make_no_trial_problem(plan: SweepPlan, rows: Sequence[dict[str, Any]]) -> Problem:
    refused = [row for row in rows if row["state"] == "refused"]
    if refused and len(refused) == len(rows):
        counts = count_refused(rows)
        smallest = {name: min(row[name] for row in refused) for name in counts}
        reasons = [
            f"the smallest had {format_size(smallest[name])} {SIZE_NOUNS[name]} of at most {format_size(maximum)}"
            for name, maximum in plan.limits.items()
            if name in counts
        ]
        message = f"None of the {len(rows):,} trials meets the limits: {', '.join(reasons)}."
        hint = "Raise the limits, or narrow the space to smaller models."
        return plan.problem(("limits",), "no-trial", message, hint)
    last_problem = next((row["problem"] for row in reversed(rows) if row["problem"]), None)
    message = f"None of the {len(rows):,} trials is complete." + (
        f" The last problem: {last_problem}" if last_problem else ""
    )
    return plan.problem(("space",), "no-trial", message)
