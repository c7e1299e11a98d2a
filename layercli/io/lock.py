"""Locks between processes. The operating system releases the lock when the process ends, even if it is killed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from layercli.io.regular import is_file_inside

if TYPE_CHECKING:
    from filelock import BaseFileLock

FOREVER: Final = -1.0
_POLL_SECONDS: Final = 0.01


def make_lock(path: Path, *, timeout: float = FOREVER, is_shared_by_threads: bool = False) -> BaseFileLock:
    """Return a lock on the file ``path``, which is created when the lock is acquired.

    ``with`` waits up to ``timeout`` seconds and raises TimeoutError if another holder keeps the lock, or OSError if the
    file cannot be written. Threads exclude each other, unless ``is_shared_by_threads``: then one may release the lock
    that another one acquired.
    """
    from filelock import FileLock

    return FileLock(path, timeout=timeout, poll_interval=_POLL_SECONDS, thread_local=not is_shared_by_threads)


def is_locked(path: Path) -> bool:
    """Return whether anyone holds the lock on ``path``; False if that is unknown. Nothing is written on POSIX systems."""
    try:
        import fcntl  # noqa: F401 - whether it exists
    except ImportError:  # Windows
        return path.exists() and _is_acquired_elsewhere(path)
    return is_file_inside(path.parent.parent, f"{path.parent.name}/{path.name}") and is_file_locked(path)


@contextmanager
def mark_as_locked(handle: int) -> Iterator[None]:
    """Lock an open file until the block or the process ends, and close it; where locks are unknown, close it first."""
    try:
        import fcntl
    except ImportError:  # Windows, which cannot rename an open file
        os.close(handle)
        yield
        return
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)


def is_file_locked(path: Path) -> bool:
    """Return whether anyone holds the lock on a file that is not a link; False if that is unknown."""
    try:
        import fcntl
    except ImportError:  # Windows
        return False
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except (OSError, ValueError):
        return False
    try:
        # Shared and read-only, so that other observers and runs of other users do not matter.
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(handle)
    return False


def _is_acquired_elsewhere(path: Path) -> bool:
    try:
        with make_lock(path, timeout=0):
            return False
    except TimeoutError:
        return True
    except OSError:
        return False
