"""A local group of processes that train one model: started together, watched, restarted and ended together."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Final

from layercli.distribution.cluster import TF_CONFIG, list_local_gpus
from layercli.distribution.run_paths import RUN_FILE_VARIABLE
from layercli.errors import Problem
from layercli.processes.stop_signals import StopRequest, handle_stop_signals
from layercli.processes.supervisor import Supervisor
from layercli.runs.directory import MANIFEST
from layercli.source.nodes import sanitize_text

_POLL_SECONDS: Final = 0.1
_GRACE_SECONDS: Final = 5.0
"""Seconds for the other processes to notice that one has ended."""
_SHUTDOWN_SECONDS: Final = 60.0
"""Seconds for the processes to finish their step and save a checkpoint."""
_KILLED: Final = -9
"""Exit code of a process that SIGKILL ended."""


class ProcessGroup:
    """``size`` processes of ``layercli`` with the same arguments, which find each other through ``TF_CONFIG``."""

    def __init__(self, arguments: Sequence[str], *, size: int, restarts: int) -> None:
        self._arguments = list(arguments)
        self._size = size
        self._restarts = restarts
        self._is_json = "--json" in arguments
        self._supervisor = Supervisor()
        self._readers: list[threading.Thread] = []
        self._stop_request = StopRequest()
        self._json_lines: list[str] = []
        """Lines of the first process's JSON, which is printed when the group has ended."""
        self._output_error: OSError | None = None
        """Why the output of a process could not be written, for example because the disk is full."""

    def run(self) -> int:
        """Train, with as many restarts as allowed, and return the exit code.

        Raises:
            OSError: The output of a process cannot be written.
        """
        with (
            handle_stop_signals(self._stop_request.record),
            tempfile.TemporaryDirectory(prefix="layercli-") as directory,
        ):
            code = self._run_attempts(Path(directory) / "run")
        if self._output_error is not None:
            raise self._output_error
        return code

    def _run_attempts(self, run_file: Path) -> int:
        arguments = self._arguments
        for restarts_left in reversed(range(self._restarts + 1)):
            self._start_processes(arguments, run_file)
            code = self._wait_for_exit()
            if code >= 0 or self._stop_request():
                self._write_document(Problem(code="interrupted", message="Interrupted."))
                return code if code >= 0 else 128 - code
            arguments = self._build_resume_arguments(run_file)
            if restarts_left:
                position = "the last checkpoint" if "--resume" in arguments else "the beginning"
                self._print_message(
                    f"A worker was killed by {signal.Signals(-code).name}; the group restarts from {position} "
                    f"({restarts_left - 1} restarts left)."
                )
        message = f"A worker crashed again after {self._restarts} restarts."
        self._json_lines.clear()  # the first process may have ended well
        self._write_document(Problem(code="worker-lost", message=message))
        self._print_message(message)
        return 1

    def _write_document(self, problem: Problem) -> None:
        """Write the JSON document of the first process, or a document with this problem if it wrote none."""
        if self._is_json and not self._json_lines:
            self._json_lines = [json.dumps({"ok": False, "problems": [problem.as_json()]}, indent=2) + "\n"]
        sys.stdout.writelines(self._json_lines)

    def _start_processes(self, arguments: Sequence[str], run_file: Path) -> None:
        addresses = [f"127.0.0.1:{port}" for port in find_free_ports(self._size)]
        gpus = list_local_gpus()
        self._supervisor, self._readers, self._json_lines = Supervisor(), [], []
        for rank in range(self._size):
            task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": rank}}
            environment = os.environ | {
                TF_CONFIG: json.dumps(task),
                RUN_FILE_VARIABLE: str(run_file),
                "PYTHONUNBUFFERED": "1",
            }
            if gpus:
                environment["CUDA_VISIBLE_DEVICES"] = gpus[rank % len(gpus)]
            process = self._supervisor.start(
                "layercli", arguments, environment=environment, should_end_with_parent=True
            )
            self._copy_output(process.stdout, None if self._is_json else sys.stdout, rank)
            self._copy_output(process.stderr, sys.stderr, rank)

    def _copy_output(self, pipe: IO[str] | None, out: IO[str] | None, rank: int) -> None:
        """Copy the output of a process line by line, after its rank; collect a JSON document instead."""
        assert pipe is not None

        def read() -> None:
            try:
                with pipe, suppress(ValueError, BrokenPipeError):
                    for line in pipe:
                        if out is not None:
                            out.write(f"[{rank}] {sanitize_text(line.rstrip())}\n")
                            out.flush()
                        elif rank == 0:
                            self._json_lines.append(line)
            except OSError as error:  # the pipe is closed now, so the process ends
                self._output_error = error

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        self._readers.append(reader)

    def _wait_for_exit(self) -> int:
        """Return the exit code of the group: that of the first failure, negative for a signal from elsewhere."""
        while None in (codes := self._supervisor.exit_codes()) and not any(codes):
            if self._stop_request.signal_number is not None:
                self._supervisor.send_signal(signal.Signals(self._stop_request.signal_number))
                self._supervisor.wait(_SHUTDOWN_SECONDS)
                break
            time.sleep(_POLL_SECONDS)
        self._supervisor.wait(_GRACE_SECONDS)  # the others fail as a result, or report the same
        ended = [code for code in self._supervisor.exit_codes() if code is not None]
        self._supervisor.stop(_GRACE_SECONDS)
        for reader in self._readers:
            reader.join(timeout=5)
        killed = [code for code in ended if code < 0]
        return killed[0] if killed else max(ended, default=_KILLED)

    def _build_resume_arguments(self, run_file: Path) -> list[str]:
        """Return the arguments that resume the run; the original ones if nothing was saved."""
        if not run_file.exists():
            return self._arguments
        run = Path(run_file.read_text(encoding="utf-8"))
        if not (run / MANIFEST).exists():
            shutil.rmtree(run, ignore_errors=True)  # the first process created it and then exited immediately
            return self._arguments
        kept_options = [text for text in self._arguments if text in ("--json", "--trust", "--quiet", "-q")]
        return ["train", "--resume", str(run), *kept_options]

    def _print_message(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)


def find_free_ports(count: int) -> list[int]:
    """Return TCP ports of this machine that nobody uses."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
