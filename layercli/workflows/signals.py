"""Ctrl-C and SIGTERM while a training runs: the first is noted, the second ends the process at once."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from layercli import runtime
from layercli.errors import ExitCode, LayercliError, Problem

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Noted:
    """Which signal has come, if one has."""

    def __init__(self) -> None:
        self.number: int | None = None

    def __call__(self) -> bool:
        """Whether one has."""
        return self.number is not None


class StoppedError(LayercliError):
    """A signal has ended the training between two steps."""

    def __init__(self, noted: Noted, run: Path, position: tuple[int, int]) -> None:
        done, step = position
        where = f"after {step} steps of epoch {done + 1}" if step else f"after epoch {done}"
        follows = runtime.cluster is not None and runtime.cluster.rank > 0  # its own directory does not last
        hint = (
            "The first process says how to go on."
            if follows
            else f"Go on with `layercli train --resume {run}`."
        )
        super().__init__(
            Problem(code="interrupted", message=f"Interrupted {where}; nothing is lost.", hint=hint)
        )
        self.exit_code = ExitCode.TERMINATED if noted.number == signal.SIGTERM else ExitCode.INTERRUPTED


@contextmanager
def noted_signals() -> Iterator[Noted]:
    """Note the first signal; end at once with the second, even inside a long step, which Python's handlers wait for."""
    noted = Noted()
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    handlers = {number: signal.signal(number, lambda *_: None) for number in _SIGNALS}
    descriptor = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    listener = threading.Thread(target=_listen, args=(reader, noted), daemon=True)
    listener.start()
    try:
        yield noted
    finally:
        signal.set_wakeup_fd(descriptor)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        writer.close()
        listener.join()
        reader.close()


def _listen(reader: socket.socket, noted: Noted) -> None:
    while number := reader.recv(1):
        if number[0] not in _SIGNALS:
            continue
        if noted():
            if sys.stderr.isatty():
                os.write(2, b"\x1b[?25h\n")  # a live line has hidden the cursor
            os._exit(128 + number[0])
        noted.number = number[0]
        # Through Python, so that it stands above what is drawn on a terminal, not in it.
        print(
            "\nFinishing the step, to go on from there later; once more stops at once.",
            file=sys.stderr,
            flush=True,
        )
