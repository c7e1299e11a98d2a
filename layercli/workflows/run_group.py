"""Train the runs of a group in worker processes: all folds of a config, or all its seeds."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from layercli.errors import LayercliError, make_file_error
from layercli.io.lock import hold_folder, is_locked, make_lock
from layercli.processes.worker_pool import LOG_FILE, StopSignal, WorkerPool
from layercli.reports.group_progress import GroupProgress, MemberRow
from layercli.runs.group_directory import GroupDirectory, Member, read_group_state, state_lock_path
from layercli.runs.listing import read_run
from layercli.workflows.batch_size import SHARED_FILE, make_shared_lock_path

_POLL_SECONDS: Final = 0.3
"""Interval in seconds between two looks at the runs."""


@dataclass(frozen=True, slots=True)
class GroupRequest:
    """The options of a command that trains several runs of one config."""

    file: str
    overrides: Sequence[str]
    run_dir: str | None = None
    jobs: int = 1
    trust: bool = False


Directory = TypeVar("Directory", bound=GroupDirectory)


def hash_config(document: Mapping[str, Any]) -> str:
    """Return the hash of a resolved config, by which a second start finds that the config is the same."""
    content = json.dumps(document, sort_keys=True, default=str)
    return hashlib.sha256(content.encode()).hexdigest()


def train_group(
    request: GroupRequest, directory: GroupDirectory, task: Mapping[str, Any], progress: GroupProgress
) -> None:
    """Train all unfinished runs of a group in worker processes, and wait for those that other processes train.

    An interruption stops the workers; the same command trains the rest.

    Args:
        request: The options of the command.
        directory: The directory of the group.
        task: What the workers need in addition: the arguments of the directory, and the command.
        progress: Shows the runs.

    Raises:
        LayercliError: A run cannot be trained, or another process has removed the directory.
    """
    with _use_directory(directory) as become_only_user:
        try:
            _train_members(request, directory, task, progress)
        except LayercliError:
            with suppress(OSError), make_lock(state_lock_path(directory.path, type(directory))):
                if become_only_user():
                    _discard_if_unused(directory)  # so that the same directory works after the fix
            raise


@contextmanager
def _use_directory(directory: GroupDirectory) -> Iterator[Callable[[], bool]]:
    """Hold the directory of a group, which no failing process then removes.

    Raises:
        LayercliError: Another process has removed it.
    """
    with ExitStack() as stack:
        become_only_user = None
        with suppress(FileNotFoundError):
            become_only_user = stack.enter_context(hold_folder(directory.path))
        if become_only_user is None or read_group_state(directory.path, type(directory)) is None:
            message = "Another process, whose training failed, has removed the directory."
            hint = "Run the same command again."
            raise make_file_error(directory.path, "run-directory", message, hint)
        yield become_only_user


def _train_members(
    request: GroupRequest, directory: GroupDirectory, task: Mapping[str, Any], progress: GroupProgress
) -> None:
    reader, members = _MemberReader(directory), list(directory.list_members())

    def is_left(member: Member) -> bool:
        return not directory.is_finished(member)

    with StopSignal("trainings") as stop_signal, progress:

        def watch_members() -> None:
            stop_signal.raise_if_received()
            progress.show_members(reader.read_rows())

        while left := list(filter(is_left, members)):
            with _make_pool(request, directory, task, jobs=min(request.jobs, len(left))) as pool:
                is_working = True
                while is_working:
                    time.sleep(_POLL_SECONDS)
                    watch_members()
                    is_working = pool.supervise(reader.finished_count)
            # Other processes may train the rest. If one of them is killed, new workers finish its run.
            while any(is_left(member) and is_locked(directory.lock_path(member)) for member in left):
                time.sleep(_POLL_SECONDS)
                watch_members()
        watch_members()


def _make_pool(
    request: GroupRequest, directory: GroupDirectory, task: Mapping[str, Any], *, jobs: int
) -> WorkerPool:
    """Return worker processes for the runs of a group that no other process trains."""
    return WorkerPool(
        "layercli.workflows.group_worker",
        {
            "file": request.file,
            "set": list(request.overrides),
            "trust": request.trust,
            "jobs": request.jobs,
            "directory": str(directory.path),
            **task,
        },
        jobs=jobs,
        directory=directory.path,
    )


def _discard_if_unused(directory: GroupDirectory) -> None:
    """Remove the files of a group of which no run has started, and the directory unless it has others."""
    members = list(directory.list_members())
    if any(directory.run_path(member).is_dir() for member in members):
        return
    with suppress(OSError):
        for path in (
            directory.path / directory.state_file,
            directory.path / LOG_FILE,
            directory.path / SHARED_FILE,
            make_shared_lock_path(directory.path),
            state_lock_path(directory.path, type(directory)),
            *map(directory.lock_path, members),
        ):
            path.unlink(missing_ok=True)
        directory.path.rmdir()


class _MemberReader:
    """Reads the states of the runs; that of a finished one only once."""

    def __init__(self, directory: GroupDirectory) -> None:
        self._directory = directory
        self._members = list(directory.list_members())
        self._finished: dict[Member, MemberRow] = {}

    @property
    def finished_count(self) -> int:
        """The number of finished runs at the last reading."""
        return len(self._finished)

    def read_rows(self) -> list[MemberRow]:
        """Return the state of each run that has started."""
        rows = []
        for member in self._members:
            row = self._finished.get(member)
            if row is None and (path := self._directory.run_path(member)).is_dir():
                is_finished = self._directory.is_finished(member)
                row = MemberRow(member, read_run(path), is_finished=is_finished)
                if is_finished:
                    self._finished[member] = row
            if row is not None:
                rows.append(row)
        return rows
