"""One worker process of a cross-validation. It reads its task from standard input, and exits when that closes."""

from __future__ import annotations

from pathlib import Path

from layercli.check import check_config, require_valid
from layercli.io.lock import make_lock
from layercli.io.regular import is_file_inside
from layercli.processes.pool_worker import Task, free_keras_memory, run_task
from layercli.runs import directory as runs
from layercli.runs.crossval_directory import CrossvalDirectory, Fold
from layercli.workflows.predict import predict_set
from layercli.workflows.resume import open_for_resume, resume_run
from layercli.workflows.train import train_new_run


def main() -> None:
    """Train folds until all are finished or claimed."""
    run_task(_train_folds)


def _train_folds(task: Task) -> None:
    directory = CrossvalDirectory(Path(task["directory"]), task["folds"], task["repeats"])
    for fold in directory.list_folds():
        _claim_fold(directory, fold, task["file"], task["set"], trust=task["trust"])
        free_keras_memory()


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
