"""One process alone works in a run directory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from layercli.errors import LayercliError, Problem
from layercli.runs.directory import CHECKPOINTS, LOCK


@contextmanager
def locked(run: Path) -> Iterator[None]:
    """Hold a run directory; the system lets go of it when the process ends, however it ends.

    Raises:
        LayercliError: another process holds it, or nothing can be written there.
    """
    try:
        (run / CHECKPOINTS).mkdir(exist_ok=True)
        handle = os.open(run / CHECKPOINTS / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise _problem(run, f"The run directory cannot be written: {error.strerror}.", None) from None
    try:
        if not _taken(handle):
            message = "Another process is training in this run directory."
            raise _problem(run, message, "Wait for it to end, or stop it.")
        yield
    finally:
        os.close(handle)


def _taken(handle: int) -> bool:
    try:
        import fcntl
    except ImportError:  # no such locks on this system
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _problem(run: Path, message: str, hint: str | None) -> LayercliError:
    return LayercliError(Problem(code="run-in-use", message=message, hint=hint, file=str(run)))
