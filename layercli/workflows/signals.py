"""Handle Ctrl-C and SIGTERM during training: the first stops after the step, the second immediately."""

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
from layercli.processes.stop_signals import STOP_SIGNALS, StopRequest, handle_stop_signals
from layercli.runs.resume_command import format_resume_command


class TrainingInterruptedError(LayercliError):
    """A signal ended the training between two steps."""

    def __init__(
        self,
        stop_request: StopRequest,
        run_dir: Path,
        position: tuple[int, int],
        *,
        needs_trust: bool = False,
    ) -> None:
        finished_epochs, step = position
        where = f"at epoch {finished_epochs + 1}, step {step}" if step else f"after epoch {finished_epochs}"
        # The run directory of other ranks is temporary.
        is_first_process = runtime.cluster is None or runtime.cluster.rank == 0
        hint = (
            f"Resume with {format_resume_command(run_dir, needs_trust=needs_trust)}."
            if is_first_process
            else "See the command to resume in the output of the first process."
        )
        super().__init__(
            Problem(code="interrupted", message=f"Interrupted {where}; progress was saved.", hint=hint)
        )
        self.exit_code = (
            ExitCode.TERMINATED if stop_request.signal_number == signal.SIGTERM else ExitCode.INTERRUPTED
        )


@contextmanager
def catch_stop_signals() -> Iterator[StopRequest]:
    """Record the first signal and end the process at the second, even during a long step of native code."""
    stop_request = StopRequest()
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    listener = threading.Thread(target=_listen_for_signals, args=(reader, stop_request), daemon=True)
    listener.start()
    try:
        with handle_stop_signals(lambda _: None):  # the listener acts on them
            descriptor = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
            try:
                yield stop_request
            finally:
                signal.set_wakeup_fd(descriptor)
    finally:
        writer.close()
        listener.join()
        reader.close()


def _listen_for_signals(reader: socket.socket, stop_request: StopRequest) -> None:
    while number := reader.recv(1):
        if number[0] not in STOP_SIGNALS:
            continue
        if not stop_request.record(number[0]):
            if sys.stderr.isatty():
                os.write(2, b"\x1b[?25h\n")  # the live display hid the cursor
            os._exit(128 + number[0])
        # Python's stderr, so that the live display stays below this line.
        print(
            "\nFinishing this step and saving a checkpoint. Press Ctrl-C again to stop immediately.",
            file=sys.stderr,
            flush=True,
        )
