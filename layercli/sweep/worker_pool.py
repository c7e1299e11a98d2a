"""This machine's workers: processes that are started, watched, started again, and ended."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from layercli.errors import ExitCode, LayercliError, Problem
from layercli.source.nodes import sanitize_text

LOG_FILE = "worker.log"
_MAX_CRASHES = 5
"""Workers that may die one after another without a trial being finished in between."""
_TERMINATED_EXIT_CODE = 143
_SHUTDOWN_SECONDS = 15.0
"""Seconds that a worker has to end by itself."""


class WorkerPool:
    """``jobs`` processes of one module, each with the same task on its standard input."""

    def __init__(self, module: str, task: Mapping[str, Any], *, jobs: int, directory: Path) -> None:
        self._module = module
        self._task = json.dumps(task) + "\n"
        self._jobs = jobs
        self._directory = directory
        self._log: IO[bytes] | None = None
        self._workers: list[subprocess.Popen[str]] = []
        self._crashes = 0
        self._finished_trials = -1
        self.process_ids: list[int] = []
        """Every process that was started, living or not."""

    def __enter__(self) -> Self:
        self._log = (self._directory / LOG_FILE).open("ab")
        for _ in range(self._jobs):
            self._start_worker()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._workers:
            worker.terminate()
        deadline = time.monotonic() + _SHUTDOWN_SECONDS
        for worker in self._workers:
            try:
                worker.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()
        for worker in self._workers:
            _close_pipes(worker)
        if self._log is not None:
            self._log.close()

    def supervise(self, finished_trials: int) -> bool:
        """Whether any worker is still at work; one that has died is started again.

        Raises:
            LayercliError: a worker said what is wrong, or they die and die.
        """
        if finished_trials != self._finished_trials:
            self._finished_trials, self._crashes = finished_trials, 0
        for worker in [worker for worker in self._workers if worker.poll() is not None]:
            self._workers.remove(worker)
            answer = worker.stdout.read() if worker.stdout else ""
            _close_pipes(worker)
            if worker.returncode == ExitCode.OK:
                continue
            if worker.returncode == ExitCode.INVALID_INPUT and answer:
                raise LayercliError(_parse_problem(found) for found in json.loads(answer))
            self._crashes += 1
            if self._crashes > _MAX_CRASHES:
                raise LayercliError(self._make_crash_problem(worker.returncode))
            self._start_worker()
        return bool(self._workers)

    def _start_worker(self) -> None:
        # A session of its own: Ctrl-C reaches the parent alone, which ends the workers in order.
        worker = subprocess.Popen(  # noqa: S603 - this Python, and a module of ours
            [sys.executable, "-m", self._module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            start_new_session=True,
        )
        self._workers.append(worker)
        self.process_ids.append(worker.pid)
        assert worker.stdin is not None
        with suppress(BrokenPipeError):  # it has died already, and is found so at the next look
            worker.stdin.write(self._task)
            worker.stdin.flush()

    def _make_crash_problem(self, code: int) -> Problem:
        log = self._directory / LOG_FILE
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        last = f" The last line of {log} is: {sanitize_text(lines[-1], limit=200)}" if lines else ""
        message = f"{self._crashes} workers died one after another, the last one with {code}.{last}"
        return Problem(code="worker-died", message=message, hint="Too little memory is a common reason.")


def _close_pipes(worker: subprocess.Popen[str]) -> None:
    for pipe in (worker.stdin, worker.stdout):
        if pipe is not None:
            with suppress(BrokenPipeError):
                pipe.close()


def _parse_problem(document: Mapping[str, Any]) -> Problem:
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


@contextmanager
def handle_termination() -> Iterator[None]:
    """SIGTERM ends the sweep as Ctrl-C does, with an exit code of its own."""

    def end(*_: Any) -> None:
        print("Terminated; the same command goes on with the sweep.", file=sys.stderr)
        raise SystemExit(_TERMINATED_EXIT_CODE)

    previous_handler = signal.signal(signal.SIGTERM, end)
    try:
        yield
    except KeyboardInterrupt:
        print("\nThe same command goes on with the sweep.", file=sys.stderr)
        raise
    finally:
        signal.signal(signal.SIGTERM, previous_handler)
