"""State of this process: command line or library, rank in a cluster, cores, and output of native code."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import NamedTuple


class Cluster(NamedTuple):
    """The number of processes that train one model together, and the rank of this one, from 0."""

    rank: int
    size: int


is_cli_process = False
"""Set first by the console script. Process-wide settings are changed only if this is true."""

cluster: Cluster | None = None
"""Set before TensorFlow is loaded if this process is one of several."""


class CheckCancelledError(Exception):
    """The check of a config was cancelled, because its text has changed."""


_is_cancelled: Callable[[], bool] | None = None


@contextmanager
def cancel_if(is_cancelled: Callable[[], bool]) -> Iterator[None]:
    """Let ``stop_if_cancelled`` raise an exception once the function returns true."""
    global _is_cancelled
    before, _is_cancelled = _is_cancelled, is_cancelled
    try:
        yield
    finally:
        _is_cancelled = before


def stop_if_cancelled() -> None:
    """Raise an exception if the work that is being done was cancelled; loops of checks call this.

    Raises:
        CheckCancelledError: the work was cancelled.
    """
    if _is_cancelled is not None and _is_cancelled():
        raise CheckCancelledError


def count_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def import_outside_folder(package: str) -> None:
    """Import a package from another folder: Matplotlib reads the settings of the current one, which is not trusted."""
    try:
        folder = Path.cwd()
    except OSError:  # it was removed, so it contains no file
        import_module(package)
        return
    os.chdir(sys.prefix)
    try:
        import_module(package)
    finally:
        os.chdir(folder)


@contextmanager
def capture_native_stderr(*, should_show_on_error: bool = True) -> Iterator[None]:
    """Capture what native code writes to standard error; show it if an exception is raised, unless disabled."""
    import tempfile

    sys.stderr.flush()
    try:
        screen = os.dup(2)
    except OSError:  # standard error is closed, so nothing would be visible
        yield
        return
    with tempfile.TemporaryFile() as captured:
        os.dup2(captured.fileno(), 2)
        try:
            yield
        except Exception:
            captured.seek(0)
            os.write(screen, captured.read() if should_show_on_error else b"")
            raise
        finally:
            os.dup2(screen, 2)
            os.close(screen)
