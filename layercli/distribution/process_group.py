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

from layercli.distribution.cluster import TF_CONFIG, local_gpus
from layercli.distribution.run_paths import RUN_FILE
from layercli.runs.directory import MANIFEST
from layercli.source.nodes import printable

_LOOK: Final = 0.1
_TOGETHER: Final = 5.0
"""Seconds in which the others notice that one has ended."""
_ENDING: Final = 60.0
"""Seconds that members have to finish their step and keep a checkpoint."""
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class Members:
    """``size`` processes of ``layercli`` with the same arguments, which find each other through ``TF_CONFIG``."""

    def __init__(self, arguments: Sequence[str], *, size: int, restarts: int) -> None:
        self._arguments = list(arguments)
        self._size = size
        self._restarts = restarts
        self._json = "--json" in arguments
        self._living: list[subprocess.Popen[str]] = []
        self._readers: list[threading.Thread] = []
        self._told: signal.Signals | None = None
        self._document: list[str] = []
        """Lines of the first member's JSON, which is printed when the group is done."""

    def run(self) -> int:
        """Train, beginning again as often as is allowed; the exit code."""
        before = {number: signal.signal(number, self._tell) for number in _SIGNALS}
        try:
            with tempfile.TemporaryDirectory(prefix="layercli-") as place:
                return self._run(Path(place) / "run")
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _run(self, run_file: Path) -> int:
        arguments = self._arguments
        for attempt in range(self._restarts + 1):
            self._start(arguments, run_file)
            code = self._watch()
            if code >= 0 or self._told is not None or attempt == self._restarts:
                sys.stdout.writelines(self._document)
            if code >= 0 or self._told is not None:
                return abs(code) if code >= 0 else 128 - code
            arguments = self._resumed(run_file)
            if attempt < self._restarts:
                left = self._restarts - attempt - 1
                self._say(
                    f"A worker was ended by {signal.Signals(-code).name}; the group begins again "
                    f"{'from the last checkpoint' if '--resume' in arguments else 'from the beginning'} ({left} times left)."
                )
        self._say(f"A worker was ended again, after {self._restarts} restarts.")
        return 1

    def _start(self, arguments: Sequence[str], run_file: Path) -> None:
        addresses = [f"127.0.0.1:{port}" for port in free_ports(self._size)]
        gpus = local_gpus()
        self._living, self._readers, self._document = [], [], []
        for rank in range(self._size):
            task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": rank}}
            environment = os.environ | {
                TF_CONFIG: json.dumps(task),
                RUN_FILE: str(run_file),
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
                preexec_fn=_ends_with_its_parent(),
            )
            self._living.append(process)
            self._read(process.stdout, None if self._json else sys.stdout, rank)
            self._read(process.stderr, sys.stderr, rank)

    def _read(self, pipe: IO[str] | None, out: IO[str] | None, rank: int) -> None:
        """Copy what a member says, behind its number; a JSON document is kept whole."""
        assert pipe is not None

        def read() -> None:
            with pipe, suppress(ValueError, BrokenPipeError):
                for line in pipe:
                    if out is not None:
                        out.write(f"[{rank}] {printable(line.rstrip())}\n")
                        out.flush()
                    elif rank == 0:
                        self._document.append(line)

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        self._readers.append(reader)

    def _watch(self) -> int:
        """The exit code of the group: of who ended badly first; negative where that was a signal that we did not send."""
        passed_on = False
        while not any(process.poll() for process in self._living) and None in self._codes():
            if self._told is not None and not passed_on:
                passed_on = True
                self._send(self._told)
                self._wait(_ENDING)
                break
            time.sleep(_LOOK)
        self._wait(_TOGETHER)  # the others fail with it, or have the same to say
        codes = self._codes()
        self._end()
        for reader in self._readers:
            reader.join(timeout=5)
        ended = [code for code in codes if code is not None]
        killed = [code for code in ended if code < 0]
        return killed[0] if killed else max(ended, default=-signal.SIGKILL)

    def _codes(self) -> list[int | None]:
        return [process.poll() for process in self._living]

    def _wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while None in self._codes() and time.monotonic() < until:
            time.sleep(_LOOK)

    def _send(self, number: signal.Signals) -> None:
        for process in self._living:
            if process.poll() is None:
                with suppress(ProcessLookupError):
                    process.send_signal(number)

    def _end(self) -> None:
        self._send(signal.SIGTERM)
        self._wait(_TOGETHER)
        self._send(signal.SIGKILL)
        for process in self._living:
            process.wait()

    def _resumed(self, run_file: Path) -> list[str]:
        """The arguments that go on with the run; those that begin it anew where nothing of it has been kept."""
        if not run_file.exists():
            return self._arguments
        run = Path(run_file.read_text(encoding="utf-8"))
        if not (run / MANIFEST).exists():
            shutil.rmtree(run, ignore_errors=True)  # our first process made it, and was ended at once
            return self._arguments
        kept = [text for text in self._arguments if text in ("--json", "--trust", "--quiet", "-q")]
        return ["train", "--resume", str(run), *kept]

    def _tell(self, number: int, _: Any) -> None:
        self._told = signal.Signals(number)

    def _say(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def _ends_with_its_parent() -> Callable[[], None] | None:
    """Have the system end a member when its parent is killed, where it can (Linux)."""
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None)
    return lambda: library.prctl(1, signal.SIGTERM)  # 1: PR_SET_PDEATHSIG
