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


class StopRequest:
    """Which signal has come, if one has."""

    def __init__(self) -> None:
        self.signal_number: int | None = None

    def __call__(self) -> bool:
        """Whether one has."""
        return self.signal_number is not None


class TrainingInterruptedError(LayercliError):
    """A signal has ended the training between two steps."""

    def __init__(self, stop_request: StopRequest, run: Path, position: tuple[int, int]) -> None:
        finished_epochs, step = position
        where = (
            f"after {step} steps of epoch {finished_epochs + 1}" if step else f"after epoch {finished_epochs}"
        )
        is_follower = (
            runtime.cluster is not None and runtime.cluster.rank > 0
        )  # its own directory does not last
        hint = (
            "The first process says how to go on."
            if is_follower
            else f"Go on with `layercli train --resume {run}`."
        )
        super().__init__(
            Problem(code="interrupted", message=f"Interrupted {where}; nothing is lost.", hint=hint)
        )
        self.exit_code = (
            ExitCode.TERMINATED if stop_request.signal_number == signal.SIGTERM else ExitCode.INTERRUPTED
        )


@contextmanager
def catch_stop_signals() -> Iterator[StopRequest]:
    """Note the first signal; end at once with the second, even inside a long step, which Python's handlers wait for."""
    stop_request = StopRequest()
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    handlers = {number: signal.signal(number, lambda *_: None) for number in _SIGNALS}
    descriptor = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    listener = threading.Thread(target=_listen_for_signals, args=(reader, stop_request), daemon=True)
    listener.start()
    try:
        yield stop_request
    finally:
        signal.set_wakeup_fd(descriptor)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        writer.close()
        listener.join()
        reader.close()


def _listen_for_signals(reader: socket.socket, stop_request: StopRequest) -> None:
    while number := reader.recv(1):
        if number[0] not in _SIGNALS:
            continue
        if stop_request():
            if sys.stderr.isatty():
                os.write(2, b"\x1b[?25h\n")  # a live line has hidden the cursor
            os._exit(128 + number[0])
        stop_request.signal_number = number[0]
        # Through Python, so that it stands above what is drawn on a terminal, not in it.
        print(
            "\nFinishing the step, to go on from there later; once more stops at once.",
            file=sys.stderr,
            flush=True,
        )
