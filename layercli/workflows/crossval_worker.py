"""One worker process of a cross-validation. It reads its task from standard input, and exits when that closes."""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path

from layercli import runtime
from layercli.check import check_config, require_valid
from layercli.errors import ExitCode, LayercliError
from layercli.io.atomic import make_system_error
from layercli.io.lock import make_lock
from layercli.io.regular import is_file_inside
from layercli.runs import directory as runs
from layercli.runs.crossval_directory import CrossvalDirectory, Fold
from layercli.workflows.predict import predict_set
from layercli.workflows.resume import open_for_resume, resume_run
from layercli.workflows.signals import TrainingInterruptedError
from layercli.workflows.train import train_new_run


def main() -> None:
    """Train folds until all are finished or claimed. Problems are written to standard output as JSON."""
    runtime.is_cli_process = True
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # several workers share a GPU
    task = json.loads(sys.stdin.readline())
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    sys.argv = task["command"]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # output of callbacks and custom code goes to the log
    directory = CrossvalDirectory(Path(task["directory"]), task["folds"], task["repeats"])
    try:
        for fold in directory.list_folds():
            _claim_fold(directory, fold, task["file"], task["set"], trust=task["trust"])
    except TrainingInterruptedError as error:
        sys.exit(error.exit_code)
    except (LayercliError, OSError) as error:
        if isinstance(error, OSError):
            error = make_system_error(error)
        answers.write(json.dumps([problem.as_json() for problem in error.problems]))
        answers.close()
        sys.exit(ExitCode.INVALID_INPUT)


def _exit_with_parent() -> None:
    sys.stdin.read()
    os._exit(ExitCode.INVALID_INPUT)


def _claim_fold(
    directory: CrossvalDirectory, fold: Fold, file: str, overrides: list[str], *, trust: bool
) -> None:
    """Train a fold, or finish it, unless another process does."""
    try:
        with make_lock(directory.lock_path(fold), timeout=0):
            if not directory.is_finished(fold):
                _train_fold(directory, fold, file, overrides, trust=trust)
    except TimeoutError:
        return


def _train_fold(
    directory: CrossvalDirectory, fold: Fold, file: str, overrides: list[str], *, trust: bool
) -> None:
    run = directory.run_path(fold)
    if run.is_dir() and not is_file_inside(run, runs.MANIFEST):
        runs.discard_run(run)  # a process was killed before the training started
    if run.is_dir():
        resume_run(open_for_resume(str(run)), trust=trust, is_interruptible=True)
    else:
        valid = require_valid(check_config(file, [*overrides, *fold.overrides]))
        train_new_run(valid, run_dir=str(run), trust=trust, is_interruptible=True)
    predict_set(str(run), "test", str(directory.predictions_path(fold)), trust=trust)


if __name__ == "__main__":
    main()
