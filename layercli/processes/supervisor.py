"""A set of child processes that run modules of this Python."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import IO, Final

_POLL_SECONDS: Final = 0.1


class Supervisor:
    """Child processes. Ctrl-C reaches only this process, which ends the others in order."""

    def __init__(self) -> None:
        self.processes: list[subprocess.Popen[str]] = []

    def start(
        self,
        module: str,
        arguments: Sequence[str] = (),
        *,
        stdin: int = subprocess.DEVNULL,
        stderr: int | IO[bytes] = subprocess.PIPE,
        environment: Mapping[str, str] | None = None,
        should_end_with_parent: bool = False,
    ) -> subprocess.Popen[str]:
        """Start ``python -P -m module`` with its standard output in a pipe.

        ``-P`` keeps the current folder off the import path: a ``typer.py`` next to a config must not run.

        With ``should_end_with_parent`` Linux sends SIGTERM to it when this process is killed.
        """
        process = subprocess.Popen(  # noqa: S603 - this Python, and a module of ours
            [sys.executable, "-P", "-m", module, *arguments],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            env=environment,
            start_new_session=True,
            preexec_fn=_make_parent_death_hook() if should_end_with_parent else None,
        )
        self.processes.append(process)
        return process

    def exit_codes(self) -> list[int | None]:
        """Return the exit code of each process; None while it runs."""
        return [process.poll() for process in self.processes]

    def remove_ended(self) -> list[subprocess.Popen[str]]:
        """Remove and return the processes that have ended."""
        ended = [process for process in self.processes if process.poll() is not None]
        self.processes = [process for process in self.processes if process not in ended]
        return ended

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to each process that runs. Windows can only terminate other processes."""
        number = number if os.name == "posix" else signal.SIGTERM
        for process in self.processes:
            if process.poll() is None:
                with suppress(ProcessLookupError):
                    process.send_signal(number)

    def wait(self, seconds: float) -> None:
        """Wait until all processes have ended or the timeout expires."""
        deadline = time.monotonic() + seconds
        while None in self.exit_codes() and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)

    def stop(self, seconds: float) -> None:
        """Terminate the processes, and kill those that are still running after the timeout."""
        self.send_signal(signal.SIGTERM)
        self.wait(seconds)
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()


def close_pipes(process: subprocess.Popen[str]) -> None:
    """Close the standard input and output of a process."""
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(BrokenPipeError):
                pipe.close()


def _make_parent_death_hook() -> Callable[[], None] | None:
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None)
    return lambda: library.prctl(1, signal.SIGTERM)  # 1: PR_SET_PDEATHSIG
