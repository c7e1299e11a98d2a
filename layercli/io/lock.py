"""Locks between processes. The operating system releases the lock when the process ends, even if it is killed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
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
        import fcntl
    except ImportError:  # Windows
        return path.exists() and _is_acquired_elsewhere(path)
    try:
        if not is_file_inside(path.parent.parent, f"{path.parent.name}/{path.name}"):
            return False
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


@contextmanager
def hold_folder(folder: Path) -> Iterator[Callable[[], bool]]:
    """Mark a folder as used by this process until the block ends. Yield a function that returns whether it is the only one.

    Once that function has returned True, another process that wants to use the folder waits until the block ends. On systems
    without such locks it always returns False.

    Raises:
        OSError: The folder does not exist.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        yield lambda: False
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)

    def become_only_user() -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # another process uses it, or the file system has no locks
            return False
        return True

    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_SH)
        yield become_only_user
    finally:
        os.close(handle)


@contextmanager
def lock_open_file(handle: int) -> Iterator[bool]:
    """Lock an open file until the block or the process ends, and close it. Yield whether the file still has a name.

    Where locks are unknown, the file is closed first.
    """
    try:
        import fcntl
    except ImportError:  # Windows, which cannot rename an open file
        os.close(handle)
        yield True
        return
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield os.fstat(handle).st_nlink > 0
    finally:
        os.close(handle)


def remove_unlocked_file(path: Path) -> None:
    """Remove a file that is not a link, unless a process has locked it by ``lock_open_file``."""
    with suppress(OSError):  # another process has removed it, or writes it
        try:
            import fcntl
        except ImportError:  # Windows does not remove open files
            path.unlink()
            return
        # NFS locks a file exclusively only if it is open for writing.
        handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
        finally:
            os.close(handle)


def _is_acquired_elsewhere(path: Path) -> bool:
    try:
        with make_lock(path, timeout=0):
            return False
    except TimeoutError:
        return True
    except OSError:
        return False
