"""Run a sweep: start its workers, watch its trials and summarize them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from layercli.errors import Problem
from layercli.processes.worker_pool import StopSignal, WorkerPool
from layercli.reports.sweep import SweepProgress
from layercli.sweep.plan import SweepPlan
from layercli.sweep.study import make_sweep_directory, open_study
from layercli.sweep.trials import find_owner, identify_process, retry_trial, tally_trials
from layercli.workflows.tracking import require_tracking, track_group

if TYPE_CHECKING:
    import optuna

_POLL_SECONDS = 0.3
"""Interval in seconds between two reads of the trials."""


@dataclass(frozen=True, slots=True)
class OpenSweep:
    """A sweep with its directory, its study and the task that is sent to each worker."""

    plan: SweepPlan
    directory: Path
    study: optuna.Study
    task: dict[str, Any]

    @property
    def finished_count(self) -> int:
        """The number of finished trials."""
        return tally_trials(self.study.get_trials(deepcopy=False)).finished_count


def open_sweep(
    plan: SweepPlan, file: str, overrides: Sequence[str], *, storage: str | None, heartbeat: int, trust: bool
) -> OpenSweep:
    """Create or open the directory and the study of a sweep.

    Raises:
        LayercliError: A callback cannot log, or the directory or the storage cannot be used.
    """
    require_tracking(plan.base)
    directory = make_sweep_directory(plan, storage)
    study = open_study(plan, directory, storage, heartbeat=heartbeat)
    task = {
        "file": file,
        "set": list(overrides),
        "trust": trust,
        "directory": str(directory),
        "storage": storage,
        "heartbeat": heartbeat,
        "deadline": time.time() + plan.sweep.timeout if plan.sweep.timeout else None,
        "command": ["layercli", "sweep", file],
    }
    return OpenSweep(plan, directory, study, task)


def run_sweep(sweep: OpenSweep, progress: SweepProgress, *, jobs: int) -> dict[str, Any]:
    """Run trials in worker processes until none is left. Return the document of ``sweep --json``.

    An interruption stops the workers and releases their trials.
    """
    from layercli.sweep.results import summarize_sweep

    with track_group(sweep.directory) as results:
        _run_trials(sweep, progress, jobs=jobs)
        summary = summarize_sweep(sweep.plan, sweep.study, sweep.directory)
        values = zip(sweep.plan.objectives, summary["best"]["values"], strict=True)
        results |= {f"best_{objective.metric}": value for objective, value in values}
    return summary


def _run_trials(sweep: OpenSweep, progress: SweepProgress, *, jobs: int) -> None:
    from layercli.sweep.results import list_trial_rows

    plan, study = sweep.plan, sweep.study
    pool = WorkerPool(
        "layercli.workflows.sweep_worker",
        sweep.task,
        jobs=min(jobs, plan.sweep.trial_count),
        directory=sweep.directory,
    )
    try:
        with StopSignal("sweep") as stop_signal, progress, pool:
            is_working = True
            while is_working:
                time.sleep(_POLL_SECONDS)
                stop_signal.raise_if_received()
                rows = list_trial_rows(plan, study.get_trials(deepcopy=False))
                progress.show_trials(rows)
                is_working = pool.supervise(sum(row["state"] not in ("running", "waiting") for row in rows))
            stop_signal.raise_if_received()
    finally:
        _release_trials(study, pool)
    progress.show_trials(list_trial_rows(plan, study.get_trials(deepcopy=False)))


def find_early_end(sweep: OpenSweep) -> Problem | None:
    """Return a warning if the sweep ended because its limits refuse nearly all trials."""
    from layercli.sweep.results import find_end_warning

    return find_end_warning(sweep.plan, sweep.study)


def _release_trials(study: optuna.Study, pool: WorkerPool) -> None:
    """Requeue the trials that workers of this pool have not finished."""
    host, _ = identify_process()
    own_workers = {(host, process) for process in pool.process_ids}
    for trial in study.get_trials(deepcopy=False):
        if trial.state.name == "RUNNING" and find_owner(trial) in own_workers:
            retry_trial(study, trial, max_retries=None)
