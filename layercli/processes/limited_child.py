"""Run a part of a command in a child process with limits, so that no model can fill the memory, hang or abort the command."""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from layercli import runtime
from layercli.activity import show_activity
from layercli.errors import ExitCode

MAX_BYTES: Final = 3 << 30
"""Memory of the child without the weights of its models; TensorFlow without a model takes half a gigabyte."""
MAX_SECONDS: Final = 55.0
"""Processor time of the child."""
_POLL_SECONDS: Final = 0.02
_DONE: Final = b"."


@contextmanager
def run_in_child(max_bytes: int, max_seconds: float = MAX_SECONDS) -> Iterator[str | None]:
    """Run the block, and the rest of the command, in a child process; the limits apply to the block.

    In the child, and where no process can be forked, the value is None. The parent waits, and exits with the exit code of the
    child. Only if the child exceeds a limit or is ended by a signal, the parent runs the block itself, and the value says why.

    Args:
        max_bytes: The most resident memory of the child.
        max_seconds: The most processor time of the child.
    """
    if not _can_fork():
        yield None
        return
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    is_done, report_done = os.pipe()
    may_continue, allow = os.pipe()
    child = os.fork()
    if child:
        os.close(report_done)
        os.close(may_continue)
        yield _wait_for_child(child, is_done, allow, max_bytes, max_seconds)
        return
    os.close(is_done)
    os.close(allow)
    was_allowed = threading.Event()
    threading.Thread(target=_follow_parent, args=(may_continue, was_allowed), daemon=True).start()
    try:
        yield None
    finally:
        os.write(report_done, _DONE)
        was_allowed.wait()


def _can_fork() -> bool:
    """Return whether this process may fork: threads, such as those of TensorFlow, would be missing in the child."""
    has_files = Path("/proc/self/statm").exists()
    return runtime.is_cli_process and has_files and hasattr(os, "fork") and "tensorflow" not in sys.modules


def _follow_parent(may_continue: int, was_allowed: threading.Event) -> None:
    """Wait until the parent lets this process continue, and end it if the parent has ended."""
    if not os.read(may_continue, 1):
        os._exit(ExitCode.INVALID_INPUT)
    was_allowed.set()


def _wait_for_child(child: int, is_done: int, allow: int, max_bytes: int, max_seconds: float) -> str:
    """Return why the child did not finish.

    Raises:
        SystemExit: It did; the code is its exit code.
    """
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)  # the child gets it too, and reports it
    try:
        reason = _watch_child(child, is_done, max_bytes, max_seconds)
        if reason is not None:
            return reason
        with show_activity(""):
            sys.stdout.write("")  # erases the line with the progress
            os.write(allow, _DONE)
            raise SystemExit(_wait_for_exit(child))
    finally:
        signal.signal(signal.SIGINT, previous)
        os.close(is_done)
        os.close(allow)


def _watch_child(child: int, is_done: int, max_bytes: int, max_seconds: float) -> str | None:
    """Return which limit the child exceeds, or how it ended; None if it is done."""
    while True:
        if select.select([is_done], [], [], _POLL_SECONDS)[0]:
            if os.read(is_done, 1):
                return None
            code = _wait_for_exit(child)
            return (
                f"its process was ended by {signal.Signals(code - 128).name}"
                if code > 128
                else "its process ended"
            )
        reason = None
        if _read_memory(child) > max_bytes:
            reason = f"it needs more than {max_bytes / (1 << 30):.1f} GiB of memory"
        elif _read_seconds(child) > max_seconds:
            reason = f"it takes more than {max_seconds:.0f} s of processor time"
        if reason is not None:
            os.kill(child, signal.SIGKILL)
            _wait_for_exit(child)
            return reason


def _wait_for_exit(child: int) -> int:
    """Return the exit code of the child as a shell does: 128 and the number of the signal that ended it."""
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code if code >= 0 else 128 - code


def _read_memory(child: int) -> int:
    """Return the resident bytes of a process; those of a file that is mapped count too."""
    pages = int(Path(f"/proc/{child}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _read_seconds(child: int) -> float:
    """Return the processor time of a process, in seconds."""
    fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
