"""The processes of a local group: started together, watched, begun again from the last checkpoint, ended together."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Final

from layercli.distribution.cluster import TF_CONFIG, list_local_gpus
from layercli.distribution.run_paths import RUN_FILE_VARIABLE
from layercli.runs.directory import MANIFEST
from layercli.source.nodes import sanitize_text

_POLL_SECONDS: Final = 0.1
_GRACE_SECONDS: Final = 5.0
"""Seconds in which the others notice that one has ended."""
_SHUTDOWN_SECONDS: Final = 60.0
"""Seconds that members have to finish their step and keep a checkpoint."""
_STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class ProcessGroup:
    """``size`` processes of ``layercli`` with the same arguments, which find each other through ``TF_CONFIG``."""

    def __init__(self, arguments: Sequence[str], *, size: int, restarts: int) -> None:
        self._arguments = list(arguments)
        self._size = size
        self._restarts = restarts
        self._is_json = "--json" in arguments
        self._processes: list[subprocess.Popen[str]] = []
        self._readers: list[threading.Thread] = []
        self._stop_signal: signal.Signals | None = None
        self._json_lines: list[str] = []
        """Lines of the first member's JSON, which is printed when the group is done."""

    def run(self) -> int:
        """Train, beginning again as often as is allowed; the exit code."""
        previous_handlers = {number: signal.signal(number, self._handle_signal) for number in _STOP_SIGNALS}
        try:
            with tempfile.TemporaryDirectory(prefix="layercli-") as directory:
                return self._run_attempts(Path(directory) / "run")
        finally:
            for number, handler in previous_handlers.items():
                signal.signal(number, handler)

    def _run_attempts(self, run_file: Path) -> int:
        arguments = self._arguments
        for attempt in range(self._restarts + 1):
            self._start_processes(arguments, run_file)
            code = self._wait_for_exit()
            if code >= 0 or self._stop_signal is not None or attempt == self._restarts:
                sys.stdout.writelines(self._json_lines)
            if code >= 0 or self._stop_signal is not None:
                return abs(code) if code >= 0 else 128 - code
            arguments = self._build_resume_arguments(run_file)
            if attempt < self._restarts:
                restarts_left = self._restarts - attempt - 1
                self._print_message(
                    f"A worker was ended by {signal.Signals(-code).name}; the group begins again "
                    f"{'from the last checkpoint' if '--resume' in arguments else 'from the beginning'} ({restarts_left} times left)."
                )
        self._print_message(f"A worker was ended again, after {self._restarts} restarts.")
        return 1

    def _start_processes(self, arguments: Sequence[str], run_file: Path) -> None:
        addresses = [f"127.0.0.1:{port}" for port in find_free_ports(self._size)]
        gpus = list_local_gpus()
        self._processes, self._readers, self._json_lines = [], [], []
        for rank in range(self._size):
            task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": rank}}
            environment = os.environ | {
                TF_CONFIG: json.dumps(task),
                RUN_FILE_VARIABLE: str(run_file),
                "PYTHONUNBUFFERED": "1",
            }
            if gpus:
                environment["CUDA_VISIBLE_DEVICES"] = gpus[rank % len(gpus)]
            process = subprocess.Popen(  # noqa: S603 - this Python, and ourselves
                [sys.executable, "-m", "layercli", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=environment,
                start_new_session=True,  # Ctrl-C reaches us alone; we pass it on
                preexec_fn=_end_with_parent(),
            )
            self._processes.append(process)
            self._copy_output(process.stdout, None if self._is_json else sys.stdout, rank)
            self._copy_output(process.stderr, sys.stderr, rank)

    def _copy_output(self, pipe: IO[str] | None, out: IO[str] | None, rank: int) -> None:
        """Copy what a member says, behind its number; a JSON document is kept whole."""
        assert pipe is not None

        def read() -> None:
            with pipe, suppress(ValueError, BrokenPipeError):
                for line in pipe:
                    if out is not None:
                        out.write(f"[{rank}] {sanitize_text(line.rstrip())}\n")
                        out.flush()
                    elif rank == 0:
                        self._json_lines.append(line)

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        self._readers.append(reader)

    def _wait_for_exit(self) -> int:
        """The exit code of the group: of who ended badly first; negative where that was a signal that we did not send."""
        is_signal_sent = False
        while not any(process.poll() for process in self._processes) and None in self._exit_codes():
            if self._stop_signal is not None and not is_signal_sent:
                is_signal_sent = True
                self._send_signal(self._stop_signal)
                self._wait_for_all(_SHUTDOWN_SECONDS)
                break
            time.sleep(_POLL_SECONDS)
        self._wait_for_all(_GRACE_SECONDS)  # the others fail with it, or have the same to say
        codes = self._exit_codes()
        self._terminate_all()
        for reader in self._readers:
            reader.join(timeout=5)
        ended = [code for code in codes if code is not None]
        killed = [code for code in ended if code < 0]
        return killed[0] if killed else max(ended, default=-signal.SIGKILL)

    def _exit_codes(self) -> list[int | None]:
        return [process.poll() for process in self._processes]

    def _wait_for_all(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while None in self._exit_codes() and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)

    def _send_signal(self, number: signal.Signals) -> None:
        for process in self._processes:
            if process.poll() is None:
                with suppress(ProcessLookupError):
                    process.send_signal(number)

    def _terminate_all(self) -> None:
        self._send_signal(signal.SIGTERM)
        self._wait_for_all(_GRACE_SECONDS)
        self._send_signal(signal.SIGKILL)
        for process in self._processes:
            process.wait()

    def _build_resume_arguments(self, run_file: Path) -> list[str]:
        """The arguments that go on with the run; those that begin it anew where nothing of it has been kept."""
        if not run_file.exists():
            return self._arguments
        run = Path(run_file.read_text(encoding="utf-8"))
        if not (run / MANIFEST).exists():
            shutil.rmtree(run, ignore_errors=True)  # our first process made it, and was ended at once
            return self._arguments
        kept_options = [text for text in self._arguments if text in ("--json", "--trust", "--quiet", "-q")]
        return ["train", "--resume", str(run), *kept_options]

    def _handle_signal(self, number: int, _: Any) -> None:
        self._stop_signal = signal.Signals(number)

    def _print_message(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)


def find_free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def _end_with_parent() -> Callable[[], None] | None:
    """Have the system end a member when its parent is killed, where it can (Linux)."""
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None)
    return lambda: library.prctl(1, signal.SIGTERM)  # 1: PR_SET_PDEATHSIG
