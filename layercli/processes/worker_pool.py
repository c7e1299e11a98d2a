"""Worker processes on this machine: started, watched, restarted and ended."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, NoReturn, Self

from layercli.errors import ExitCode, LayercliError, Problem
from layercli.io.regular import open_log
from layercli.processes.stop_signals import StopRequest, handle_stop_signals
from layercli.processes.supervisor import Supervisor, close_pipes
from layercli.source.nodes import sanitize_text

LOG_FILE = "worker.log"
_MAX_CRASHES: Final = 5
"""Crashes in a row, without a finished task in between, after which the command ends."""
_SHUTDOWN_SECONDS: Final = 15.0
"""Seconds for the workers to end after SIGTERM."""


class WorkerPool:
    """``jobs`` processes of one module, each with the same task on its standard input."""

    def __init__(self, module: str, task: Mapping[str, Any], *, jobs: int, directory: Path) -> None:
        self._module = module
        self._task = json.dumps(task) + "\n"
        self._jobs = jobs
        self._log_path = directory / LOG_FILE
        self._log: IO[bytes] | None = None
        self._supervisor = Supervisor()
        self._crashes = 0
        self._finished_count = -1
        self.process_ids: list[int] = []
        """Ids of all processes that were started, including those that have ended."""

    def __enter__(self) -> Self:
        self._log = open_log(self._log_path)
        for _ in range(self._jobs):
            self._start_worker()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._supervisor.stop(_SHUTDOWN_SECONDS)
        for worker in self._supervisor.processes:
            close_pipes(worker)
        if self._log is not None:
            self._log.close()

    def supervise(self, finished_count: int) -> bool:
        """Restart crashed workers, and return whether any worker runs.

        Raises:
            LayercliError: A worker reported a problem, or too many crashed in a row.
        """
        if finished_count != self._finished_count:
            self._finished_count, self._crashes = finished_count, 0
        for worker in self._supervisor.remove_ended():
            answer = worker.stdout.read() if worker.stdout else ""
            close_pipes(worker)
            if worker.returncode == ExitCode.OK:
                continue
            if worker.returncode == ExitCode.INVALID_INPUT and answer:
                raise LayercliError(parse_problem(document) for document in json.loads(answer))
            self._crashes += 1
            if self._crashes > _MAX_CRASHES:
                raise LayercliError(self._make_crash_problem(worker.returncode))
            self._start_worker()
        return bool(self._supervisor.processes)

    def _start_worker(self) -> None:
        assert self._log is not None
        worker = self._supervisor.start(self._module, stdin=subprocess.PIPE, stderr=self._log)
        self.process_ids.append(worker.pid)
        assert worker.stdin is not None
        with suppress(BrokenPipeError):  # it has crashed already, which the next check finds
            worker.stdin.write(self._task)
            worker.stdin.flush()

    def _make_crash_problem(self, code: int) -> Problem:
        lines = self._log_path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        last = (
            f" The last line of {self._log_path} is: {sanitize_text(lines[-1], limit=200)}" if lines else ""
        )
        message = f"{self._crashes} workers crashed in a row (last exit code {code}).{last}"
        hint = "This often means that the machine ran out of memory."
        return Problem(code="worker-died", message=message, hint=hint)


def parse_problem(document: Mapping[str, Any]) -> Problem:
    """Return the problem that a worker wrote as JSON."""
    return Problem(
        code=document["code"],
        message=document["message"],
        hint=document["hint"],
        severity=document["severity"],
        path=document["path"],
        file=document["file"],
        line=document["line"],
        column=document["column"],
    )


class StopSignal:
    """Records the first SIGINT or SIGTERM; a second one stops the process immediately."""

    def __init__(self, activity: str) -> None:
        self._activity = activity
        self._stop_request = StopRequest()

    def __enter__(self) -> Self:
        self._handlers = handle_stop_signals(self._handle_signal)
        self._handlers.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._handlers.__exit__(None, None, None)

    def _handle_signal(self, number: int) -> None:
        # No exception here: it could come while a process is started or the journal is locked, or get lost in a finalizer.
        if not self._stop_request.record(number):
            self._raise_interrupt(number)

    def raise_if_received(self) -> None:
        """If a signal was received, end the command and print how to resume the activity.

        Raises:
            KeyboardInterrupt: SIGINT was received.
            SystemExit: SIGTERM was received.
        """
        number = self._stop_request.signal_number
        if number is None:
            return
        prefix = "Terminated. " if number == signal.SIGTERM else "\n"
        print(f"{prefix}Run the same command again to resume the {self._activity}.", file=sys.stderr)
        self._raise_interrupt(number)

    @staticmethod
    def _raise_interrupt(number: int) -> NoReturn:
        if number == signal.SIGTERM:
            raise SystemExit(ExitCode.TERMINATED)
        raise KeyboardInterrupt
