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
from layercli.source.nodes import printable

LOG = "worker.log"
_MOST_DEATHS = 5
"""Workers that may die one after another without a trial being finished in between."""
_TERMINATED = 143
_PATIENCE = 15.0
"""Seconds that a worker has to end by itself."""


class Group:
    """``jobs`` processes of one module, each with the same task on its standard input."""

    def __init__(self, module: str, task: Mapping[str, Any], *, jobs: int, directory: Path) -> None:
        self._module = module
        self._task = json.dumps(task) + "\n"
        self._jobs = jobs
        self._directory = directory
        self._log: IO[bytes] | None = None
        self._living: list[subprocess.Popen[str]] = []
        self._deaths = 0
        self._finished = -1
        self.all: list[int] = []
        """Every process that was started, living or not."""

    def __enter__(self) -> Self:
        self._log = (self._directory / LOG).open("ab")
        for _ in range(self._jobs):
            self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._living:
            worker.terminate()
        until = time.monotonic() + _PATIENCE
        for worker in self._living:
            try:
                worker.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()
        for worker in self._living:
            _close(worker)
        if self._log is not None:
            self._log.close()

    def watch(self, finished: int) -> bool:
        """Whether any worker is still at work; one that has died is started again.

        Raises:
            LayercliError: a worker said what is wrong, or they die and die.
        """
        if finished != self._finished:
            self._finished, self._deaths = finished, 0
        for worker in [worker for worker in self._living if worker.poll() is not None]:
            self._living.remove(worker)
            answer = worker.stdout.read() if worker.stdout else ""
            _close(worker)
            if worker.returncode == ExitCode.OK:
                continue
            if worker.returncode == ExitCode.WRONG and answer:
                raise LayercliError(_problem(found) for found in json.loads(answer))
            self._deaths += 1
            if self._deaths > _MOST_DEATHS:
                raise LayercliError(self._died(worker.returncode))
            self._start()
        return bool(self._living)

    def _start(self) -> None:
        # A session of its own: Ctrl-C reaches the parent alone, which ends the workers in order.
        worker = subprocess.Popen(  # noqa: S603 - this Python, and a module of ours
            [sys.executable, "-m", self._module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            start_new_session=True,
        )
        self._living.append(worker)
        self.all.append(worker.pid)
        assert worker.stdin is not None
        with suppress(BrokenPipeError):  # it has died already, and is found so at the next look
            worker.stdin.write(self._task)
            worker.stdin.flush()

    def _died(self, code: int) -> Problem:
        log = self._directory / LOG
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        last = f" The last line of {log} is: {printable(lines[-1], limit=200)}" if lines else ""
        message = f"{self._deaths} workers died one after another, the last one with {code}.{last}"
        return Problem(code="worker-died", message=message, hint="Too little memory is a common reason.")


def _close(worker: subprocess.Popen[str]) -> None:
    for pipe in (worker.stdin, worker.stdout):
        if pipe is not None:
            with suppress(BrokenPipeError):
                pipe.close()


def _problem(found: Mapping[str, Any]) -> Problem:
    return Problem(
        code=found["code"],
        message=found["message"],
        hint=found["hint"],
        severity=found["severity"],
        path=found["path"],
        file=found["file"],
        line=found["line"],
        column=found["column"],
    )


@contextmanager
def terminable() -> Iterator[None]:
    """SIGTERM ends the sweep as Ctrl-C does, with an exit code of its own."""

    def end(*_: Any) -> None:
        print("Terminated; the same command goes on with the sweep.", file=sys.stderr)
        raise SystemExit(_TERMINATED)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    except KeyboardInterrupt:
        print("\nThe same command goes on with the sweep.", file=sys.stderr)
        raise
    finally:
        signal.signal(signal.SIGTERM, before)
