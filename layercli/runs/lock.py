"""The lock on a run directory: at most one process trains in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from layercli.errors import LayercliError, Problem
from layercli.io import lock
from layercli.io.atomic import make_write_error
from layercli.runs.directory import CHECKPOINTS, LOCK

_WAIT_SECONDS: Final = 0.25
"""Seconds to wait for observers, which hold the lock for a moment."""


@contextmanager
def lock_run(run_dir: Path) -> Iterator[None]:
    """Lock a run directory until the block or the process ends.

    Raises:
        LayercliError: Another process holds the lock, or the directory cannot be written.
    """
    path = run_dir / CHECKPOINTS / LOCK
    run_lock = lock.make_lock(path, timeout=_WAIT_SECONDS)
    try:
        path.parent.mkdir(exist_ok=True)
        run_lock.acquire()
    except TimeoutError:
        message = "Another process is training in this run directory."
        hint = "Wait for it to end, or stop it."
        raise LayercliError(
            Problem(code="run-in-use", message=message, hint=hint, file=str(run_dir))
        ) from None
    except OSError as error:
        raise make_write_error("The run directory", run_dir, error, code="run-in-use") from None
    try:
        yield
    finally:
        run_lock.release()


def is_run_locked(run_dir: Path) -> bool:
    """Return whether a process is training in a run directory; False if that is unknown."""
    return lock.is_locked(run_dir / CHECKPOINTS / LOCK)
