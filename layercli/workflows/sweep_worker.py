"""One worker process of a sweep. It reads its task from standard input, and exits when standard input closes."""

from __future__ import annotations

import gc
import json
import os
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from layercli import runtime
from layercli.check import ValidConfig
from layercli.errors import ExitCode, LayercliError
from layercli.io.atomic import make_system_error
from layercli.reports.progress import SilentProgress
from layercli.sweep.plan import read_sweep_plan
from layercli.sweep.study import open_study
from layercli.sweep.trial_loop import run_worker
from layercli.workflows.train import train_new_run


def main() -> None:
    """Run trials until the sweep is finished. Problems are written to standard output as JSON."""
    runtime.is_cli_process = True
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # several workers share a GPU
    task = json.loads(sys.stdin.readline())
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    sys.argv = task["command"]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # output of callbacks and custom code goes to the log
    try:
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
        )
    except (LayercliError, OSError) as error:
        if isinstance(error, OSError):
            error = make_system_error(error)
        answers.write(json.dumps([problem.as_json() for problem in error.problems]))
        answers.close()
        sys.exit(ExitCode.INVALID_INPUT)


def _exit_with_parent() -> None:
    sys.stdin.read()
    os._exit(ExitCode.INVALID_INPUT)


def _make_train_function(
    *, trust: bool
) -> Callable[[ValidConfig, Path, Callable[[Mapping[str, Any]], None]], None]:
    def train_into(
        valid: ValidConfig, run_dir: Path, report_epoch: Callable[[Mapping[str, Any]], None]
    ) -> None:
        try:
            train_new_run(valid, run_dir=str(run_dir), trust=trust, progress=_EpochReporter(report_epoch))
        finally:
            _free_keras_memory()

    return train_into


class _EpochReporter(SilentProgress):
    """A progress display that passes each epoch to a function."""

    def __init__(self, epoch: Callable[[Mapping[str, Any]], None]) -> None:
        self._on_epoch = epoch

    def finish_epoch(self, record: Mapping[str, Any]) -> None:
        """Report a finished epoch."""
        self._on_epoch(record)


def _free_keras_memory() -> None:
    """Free the state that Keras keeps of a model, so that every trial starts from a clean process."""
    keras = sys.modules.get("keras")
    if keras is not None:
        keras.backend.clear_session()
    gc.collect()


if __name__ == "__main__":
    main()
