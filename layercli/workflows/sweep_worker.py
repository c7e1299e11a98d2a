"""One worker process of a sweep. It reads its task from standard input, and exits when standard input closes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from layercli.check import ValidConfig
from layercli.processes.pool_worker import Task, free_keras_memory, run_task
from layercli.reports.training_progress import SilentProgress
from layercli.runs.membership import describe_membership
from layercli.sweep.plan import read_sweep_plan
from layercli.sweep.study import open_study
from layercli.sweep.trial_loop import run_worker
from layercli.workflows.output_sizes import read_output_sizes
from layercli.workflows.train import train_new_run


def main() -> None:
    """Run trials until the sweep is finished."""
    run_task(_run_trials)


def _run_trials(task: Task) -> None:
    plan, _ = read_sweep_plan(task["file"], task["set"])
    directory = Path(task["directory"])
    study = open_study(plan, directory, task["storage"], heartbeat=task["heartbeat"])
    run_worker(
        plan,
        study,
        directory,
        _make_train_function(trust=task["trust"]),
        deadline=task["deadline"],
        patience=10 * task["heartbeat"],
        read_sizes=partial(read_output_sizes, trust=task["trust"]),
    )


def _make_train_function(
    *, trust: bool
) -> Callable[[ValidConfig, Path, Callable[[Mapping[str, Any]], None]], None]:
    def train_into(
        valid: ValidConfig, run_dir: Path, report_epoch: Callable[[Mapping[str, Any]], None]
    ) -> None:
        try:
            train_new_run(
                valid,
                run_dir=str(run_dir),
                trust=trust,
                progress=_EpochReporter(report_epoch),
                membership=describe_membership("sweep", run_dir),
            )
        finally:
            free_keras_memory()

    return train_into


class _EpochReporter(SilentProgress):
    """A progress display that passes each epoch to a function."""

    def __init__(self, epoch: Callable[[Mapping[str, Any]], None]) -> None:
        self._on_epoch = epoch

    def finish_epoch(self, record: Mapping[str, Any]) -> None:
        """Report a finished epoch."""
        self._on_epoch(record)


if __name__ == "__main__":
    main()
