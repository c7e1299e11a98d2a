"""One worker process of a group of runs. It reads its task from standard input, and exits when that closes."""

from __future__ import annotations

from pathlib import Path

from layercli.check import check_config, require_valid
from layercli.errors import LayercliError, Problem
from layercli.io.lock import make_lock
from layercli.io.regular import is_file_inside
from layercli.processes.pool_worker import Task, free_keras_memory, run_task
from layercli.runs import directory as runs
from layercli.runs.crossval_directory import CrossvalDirectory, Fold
from layercli.runs.group_directory import GroupDirectory, Member
from layercli.runs.manifest import record_predictions
from layercli.runs.membership import describe_membership
from layercli.runs.seed_directory import SeedDirectory
from layercli.workflows.batch_size import find_shared_batch_size, has_auto_batch_size, with_batch_size
from layercli.workflows.predict import predict_set
from layercli.workflows.resume import open_for_resume, resume_run
from layercli.workflows.train import train_new_run


def main() -> None:
    """Train runs until all are finished or claimed."""
    run_task(_train_members)


def _train_members(task: Task) -> None:
    """Train the runs of a group; after a training that diverged, the others too.

    Raises:
        LayercliError: A training failed.
    """
    directory = _open_directory(task)
    diverged: list[Problem] = []
    for member in directory.list_members():
        try:
            claim_member(directory, member, task["file"], task["set"], trust=task["trust"], jobs=task["jobs"])
        except LayercliError as error:
            if not any(problem.code == "loss-not-finite" for problem in error.problems):
                raise
            diverged += error.problems
        free_keras_memory()
    if diverged:
        raise LayercliError(diverged)


def _open_directory(task: Task) -> GroupDirectory:
    path = Path(task["directory"])
    if "seeds" in task:
        return SeedDirectory(path, tuple(task["seeds"]))
    return CrossvalDirectory(path, task["folds"], task["repeats"])


def claim_member(
    directory: GroupDirectory,
    member: Member,
    file: str,
    overrides: list[str],
    *,
    trust: bool,
    jobs: int = 1,
) -> None:
    """Train a run of a group, or finish it, unless another process does.

    Raises:
        LayercliError: It cannot be trained.
    """
    try:
        with make_lock(directory.lock_path(member), timeout=0):
            if not directory.is_finished(member):
                _train_member(directory, member, file, overrides, trust=trust, jobs=jobs)
    except TimeoutError:
        return


def _train_member(
    directory: GroupDirectory, member: Member, file: str, overrides: list[str], *, trust: bool, jobs: int
) -> None:
    run = directory.run_path(member)
    if run.is_dir() and not is_file_inside(run, runs.MANIFEST):
        runs.discard_run(run)  # a process was killed before the training started
    if run.is_dir():
        resume_run(open_for_resume(str(run)), trust=trust, is_interruptible=True)
    else:
        valid = require_valid(check_config(file, [*overrides, *member.overrides]))
        if has_auto_batch_size(valid):
            size = find_shared_batch_size(valid, directory.path, trust=trust, jobs=jobs)
            valid = with_batch_size(valid, size)
        membership = describe_membership(directory.kind, run)
        train_new_run(valid, run_dir=str(run), trust=trust, is_interruptible=True, membership=membership)
    if isinstance(directory, CrossvalDirectory) and isinstance(member, Fold):
        predictions = directory.predictions_path(member)
        predict_set(str(run), "test", str(predictions), trust=trust)
        record_predictions(run, predictions)


if __name__ == "__main__":
    main()
