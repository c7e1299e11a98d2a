"""A journal file that several processes write, and that knows which of them are alive."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING

from optuna.storages import JournalStorage, RetryHeartbeatStaleTrialCallback
from optuna.storages._heartbeat import BaseHeartbeat
from optuna.storages.journal import JournalFileBackend
from optuna.storages.journal._file import BaseJournalFileLock
from optuna.trial import TrialState

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

_HEARTBEAT_SECONDS = 1
"""Seconds between two looks at whether a process is alive; nothing is written."""


def open_journal(path: Path, *, most_tries: int) -> JournalStorage:
    """The storage at ``path``; the lock files beside it hold nothing."""
    backend = JournalFileBackend(str(path), lock_obj=_FileLock(path))
    return _LockingJournalStorage(backend, path.with_name("running.lock"), most_tries)


class _FileLock(BaseJournalFileLock):
    """The system's lock on a file, which it frees when its holder dies."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock_file: IO[bytes] | None = None

    def acquire(self) -> bool:
        lock_file = self._path.with_name("journal.lock").open("ab")
        fcntl.flock(lock_file, fcntl.LOCK_EX)
        self._lock_file = lock_file
        self._truncate_partial_line()
        return True

    def release(self) -> None:
        if self._lock_file is not None:
            self._lock_file.close()
            self._lock_file = None

    def _truncate_partial_line(self) -> None:
        """Cut off what a process had half written when it died; nobody else writes now."""
        with self._path.open("rb+") as file:
            end = file.seek(0, os.SEEK_END)
            while end > 0:
                start = max(0, end - 4096)
                file.seek(start)
                found = file.read(end - start).rfind(b"\n")
                if found >= 0:
                    end = start + found + 1
                    break
                end = start
            file.truncate(end)


class _LockingJournalStorage(JournalStorage, BaseHeartbeat):
    """A running trial is a byte of a file that its process has locked; the system frees it when the process dies."""

    def __init__(self, backend: JournalFileBackend, locks: Path, most_tries: int) -> None:
        super().__init__(backend)
        self._locks_path = locks
        self._locks_handle: int | None = None
        self._own_trial_ids: set[int] = set()
        self._retry_callback = RetryHeartbeatStaleTrialCallback(max_retry=most_tries)

    def _open_locks(self) -> int:
        if self._locks_handle is None:
            # Never closed: that would free all locks that this process has on the file.
            self._locks_handle = os.open(self._locks_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        return self._locks_handle

    def record_heartbeat(self, trial_id: int) -> None:
        if trial_id not in self._own_trial_ids:
            fcntl.lockf(self._open_locks(), fcntl.LOCK_EX, 1, trial_id)
            self._own_trial_ids.add(trial_id)

    def _get_stale_trial_ids(self, study_id: int) -> list[int]:
        running = self.get_all_trials(study_id, deepcopy=False, states=(TrialState.RUNNING,))
        return [trial._trial_id for trial in running if self._is_dead(trial)]

    def _is_dead(self, trial: FrozenTrial) -> bool:
        from layercli.sweep.study import find_owner

        if trial._trial_id in self._own_trial_ids or find_owner(trial) is None:
            return False  # it has only just begun, and not locked its byte yet
        try:
            fcntl.lockf(self._open_locks(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, trial._trial_id)
        except OSError:
            return False
        fcntl.lockf(self._open_locks(), fcntl.LOCK_UN, 1, trial._trial_id)
        return True

    def get_heartbeat_interval(self) -> int | None:
        return _HEARTBEAT_SECONDS

    def get_heartbeat_stale_trial_callback(self) -> Callable[[optuna.Study, FrozenTrial], None] | None:
        return self._retry_callback
