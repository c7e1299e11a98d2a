"""A journal file that several processes write, and that knows which of them are alive."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager, suppress
from copy import deepcopy as copy_deeply
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optuna.storages import JournalStorage, RetryHeartbeatStaleTrialCallback
from optuna.storages._heartbeat import BaseHeartbeat
from optuna.storages.journal import JournalFileBackend
from optuna.storages.journal._file import BaseJournalFileLock
from optuna.storages.journal._storage import JournalOperation
from optuna.trial import TrialState

from layercli.io.lock import is_locked, make_lock
from layercli.sweep.trials import EXCEEDED, MAX_RETRIES, SIZES_KEY, find_owner

if TYPE_CHECKING:
    import optuna
    from filelock import BaseFileLock
    from optuna.trial import FrozenTrial

_UNIMPORTANT_OPERATIONS = frozenset(
    (
        JournalOperation.CREATE_TRIAL,
        JournalOperation.SET_TRIAL_PARAM,
        JournalOperation.SET_TRIAL_INTERMEDIATE_VALUE,
        JournalOperation.SET_TRIAL_USER_ATTR,
        JournalOperation.SET_TRIAL_SYSTEM_ATTR,
    )
)
"""Records of a trial that has not ended; it is retried if they are lost."""
_HEARTBEAT_SECONDS = 1
"""Seconds between two checks whether a process is alive; nothing is written."""


def open_journal(path: Path) -> JournalStorage:
    """Return the storage at ``path``; its lock files are in the same folder."""
    return _LockingJournalStorage(_JournalFile(path), path.parent / "running")


def _is_refusal(log: dict[str, Any]) -> bool:
    """Return whether a record says that the model of a trial exceeds a limit."""
    sizes = log.get("user_attr", {}).get(SIZES_KEY, {})
    return bool(sizes.get(EXCEEDED))


class _JournalFile(JournalFileBackend):
    """A journal that reaches the disk when a trial ends; a killed process loses nothing in between.

    Waiting for the disk after each value of a trial, or after a refused trial, would take most of the time of refused trials.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), lock_obj=_JournalLock(path))
        self._refused_ids: set[int] = set()

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append records; with the end of a trained trial or the start of a study, wait for the disk."""
        self._refused_ids |= {log["trial_id"] for log in logs if _is_refusal(log)}
        is_milestone = any(
            log["op_code"] not in _UNIMPORTANT_OPERATIONS and log.get("trial_id") not in self._refused_ids
            for log in logs
        )
        text = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs)
        self._lock.acquire()
        try:
            with Path(self._file_path).open("ab") as file:
                file.write(text.encode())
                file.flush()
                if is_milestone:
                    os.fsync(file.fileno())
        finally:
            self._lock.release()


class _JournalLock(BaseJournalFileLock):
    """Optuna's view of the lock on the journal."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = make_lock(path.with_name("journal.lock"))

    def acquire(self) -> bool:
        self._lock.acquire()
        self._truncate_partial_line()
        return True

    def release(self) -> None:
        self._lock.release()

    def _truncate_partial_line(self) -> None:
        """Remove the half-written line of a process that crashed; this process holds the lock."""
        with self._path.open("rb+") as file:
            size = end = file.seek(0, os.SEEK_END)
            while end > 0:
                start = max(0, end - 4096)
                file.seek(start)
                newline_offset = file.read(end - start).rfind(b"\n")
                if newline_offset >= 0:
                    end = start + newline_offset + 1
                    break
                end = start
            if end < size:
                file.truncate(end)


class _LockingJournalStorage(JournalStorage, BaseHeartbeat):
    """A journal in which a process locks a file for each trial that it runs; the system frees it after a crash."""

    def __init__(self, backend: JournalFileBackend, locks_folder: Path) -> None:
        super().__init__(backend)
        locks_folder.mkdir(exist_ok=True)
        self._locks_folder = locks_folder
        self._own_locks: dict[int, BaseFileLock] = {}
        """Locks of running trials of this process, by trial id."""
        self._read_trials: dict[int, tuple[list[FrozenTrial], list[int]]] = {}
        """By study: its trials by number, and the numbers of those that had not ended when they were read."""
        self._thread = threading.local()
        """The records that a thread holds back, if any."""
        self._retry_callback = RetryHeartbeatStaleTrialCallback(max_retry=MAX_RETRIES)

    @contextmanager
    def hold_records(self) -> Iterator[None]:
        """Write the records of this thread together at the end. Until then the storage does not know them."""
        held = self._thread.held_records = []
        try:
            yield
        finally:
            self._thread.held_records = None
            if held:
                with self._thread_lock:
                    self._backend.append_logs(held)
                    self._sync_with_backend()

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """Return trials by number. One that has ended does not change, and is read only once."""
        with self._thread_lock:
            self._sync_with_backend()
            self._replay_result.get_study(study_id)  # raises an exception if it does not exist
            ids = self._replay_result._study_id_to_trial_ids[study_id]
            trials, open_numbers = self._read_trials.setdefault(study_id, ([], []))
            changeable = [*open_numbers, *range(len(trials), len(ids))]
            for number in changeable:
                trials[number : number + 1] = [self._replay_result.get_trial(ids[number])]
            open_numbers[:] = [number for number in changeable if not trials[number].state.is_finished()]
            if states is None:
                found = trials.copy()
            elif any(state in states for state in TrialState if state.is_finished()):
                found = [trial for trial in trials if trial.state in states]
            else:
                found = [trials[number] for number in open_numbers if trials[number].state in states]
        return copy_deeply(found) if deepcopy else found

    def _write_log(self, op_code: int, extra_fields: dict[str, Any]) -> None:
        held: list[dict[str, Any]] | None = getattr(self._thread, "held_records", None)
        if held is None:
            super()._write_log(op_code, extra_fields)
        else:
            held.append({"op_code": op_code, "worker_id": self._replay_result.worker_id, **extra_fields})

    def record_heartbeat(self, trial_id: int) -> None:
        if trial_id not in self._own_locks:
            # Shared: another thread may finish the trial.
            lock = make_lock(self._lock_path(trial_id), is_shared_by_threads=True)
            lock.acquire()
            self._own_locks[trial_id] = lock

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        is_set = super().set_trial_state_values(trial_id, state, values)
        if is_set and state.is_finished():
            if (lock := self._own_locks.pop(trial_id, None)) is not None:
                lock.release()
            with suppress(OSError):  # Windows cannot remove an open file
                self._lock_path(trial_id).unlink(missing_ok=True)
        return is_set

    def _lock_path(self, trial_id: int) -> Path:
        return self._locks_folder / f"{trial_id}.lock"

    def _get_stale_trial_ids(self, study_id: int) -> list[int]:
        running = self.get_all_trials(study_id, deepcopy=False, states=(TrialState.RUNNING,))
        return [trial._trial_id for trial in running if self._is_dead(trial)]

    def _is_dead(self, trial: FrozenTrial) -> bool:
        if trial._trial_id in self._own_locks or find_owner(trial) is None:
            return False  # an owner is recorded after its lock
        return not is_locked(self._lock_path(trial._trial_id))

    def get_heartbeat_interval(self) -> int | None:
        return _HEARTBEAT_SECONDS

    def get_heartbeat_stale_trial_callback(self) -> Callable[[optuna.Study, FrozenTrial], None] | None:
        return self._retry_callback
