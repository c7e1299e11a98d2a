"""One process alone works in a run directory."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from layercli.errors import LayercliError, Problem
from layercli.runs.directory import CHECKPOINTS, LOCK

_MAX_ATTEMPTS: Final = 5
_RETRY_SECONDS: Final = 0.05
"""Between two tries: who only looks whether a run goes on holds it for a moment, too."""


@contextmanager
def lock_run(run: Path) -> Iterator[None]:
    """Hold a run directory; the system lets go of it when the process ends, however it ends.

    Raises:
        LayercliError: another process holds it, or nothing can be written there.
    """
    try:
        (run / CHECKPOINTS).mkdir(exist_ok=True)
        handle = os.open(run / CHECKPOINTS / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise _make_lock_error(run, f"The run directory cannot be written: {error.strerror}.", None) from None
    try:
        if not _acquire_lock(handle):
            message = "Another process is training in this run directory."
            raise _make_lock_error(run, message, "Wait for it to end, or stop it.")
        yield
    finally:
        os.close(handle)


def is_locked(run: Path) -> bool:
    """Whether a process is training in a run directory, as far as the system can tell."""
    try:
        import fcntl

        handle = os.open(run / CHECKPOINTS / LOCK, os.O_RDONLY)
    except (ImportError, OSError, ValueError):
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(handle)
    return False


def _acquire_lock(handle: int) -> bool:
    try:
        import fcntl
    except ImportError:  # no such locks on this system
        return True
    for attempts_left in reversed(range(_MAX_ATTEMPTS)):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if attempts_left:
                time.sleep(_RETRY_SECONDS)
        else:
            return True
    return False


def _make_lock_error(run: Path, message: str, hint: str | None) -> LayercliError:
    return LayercliError(Problem(code="run-in-use", message=message, hint=hint, file=str(run)))
