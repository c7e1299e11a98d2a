"""Start Python processes in which Keras is imported already: importing it takes seconds of processor time.

A template process imports Keras without running an operation, so that TensorFlow has no threads, and is forked for each
start. Tests of what a process imports and of the options of Python need real processes.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import gc
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
import traceback
import types
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

_SET_CHILD_SUBREAPER = 36
"""The option of Linux's ``prctl`` that makes orphans of a process's descendants its children."""
_Popen = subprocess.Popen
_templates: list[socket.socket] = []
"""The connection to the template, once it has started; empty in a forked process."""


class WarmPopen(_Popen):  # type: ignore[type-arg]
    """A ``Popen`` that forks a process for ``python`` and ``layercli``, and starts other programs."""

    def _execute_child(self, args: Any, *rest: Any) -> None:
        preexec_fn, _, _, cwd, env, _, _, shell = rest[1:9]
        pipes = rest[9:15]
        command = [] if shell or isinstance(args, str | bytes) else [os.fspath(argument) for argument in args]
        if not command or command[0] not in (sys.executable, str(Path(sys.executable).with_name("layercli"))):
            super()._execute_child(args, *rest)  # type: ignore[misc]
            return
        start = {
            "command": command,
            "directory": os.fspath(cwd or Path.cwd()),
            "environment": dict(os.environ if env is None else env),
            "is_session": bool(rest[-2]),
        }
        files = [
            default if file == -1 else file
            for default, file in enumerate(pipes[index] for index in (0, 3, 5))
        ]
        if _templates:
            assert preexec_fn is None
            self.pid = _request_fork(_templates[0], start, files)
        else:
            self.pid = os.fork()
            if self.pid == 0:
                _run_forked(start, files, preexec_fn)
        self._child_created = True
        self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]


@contextmanager
def start_processes_warm() -> Iterator[None]:
    """Replace ``subprocess.Popen``, which ``subprocess.run`` uses as well. Systems other than Linux keep theirs."""
    if not sys.platform.startswith("linux"):
        yield
        return
    if not _templates:
        _templates.append(_start_template())
    subprocess.Popen = WarmPopen  # type: ignore[misc]
    try:
        yield
    finally:
        subprocess.Popen = _Popen  # type: ignore[misc]


def _start_template() -> socket.socket:
    ours, theirs = socket.socketpair()
    command = [sys.executable, __file__, str(theirs.fileno())]
    with theirs:
        process = _Popen(command, pass_fds=[theirs.fileno()], env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"})
    atexit.register(process.wait)
    atexit.register(ours.close)
    return ours


def _request_fork(template: socket.socket, start: Mapping[str, Any], files: Sequence[int]) -> int:
    """Let the template fork a process, and return its number. It is a child of this process, as a real one."""
    set_option = ctypes.CDLL(None).prctl
    set_option(_SET_CHILD_SUBREAPER, 1)
    try:
        socket.send_fds(template, [b"start"], files)
        template.sendall(json.dumps(start).encode() + b"\n")
        with template.makefile() as answers:
            return int(answers.readline())
    finally:
        set_option(_SET_CHILD_SUBREAPER, 0)


def _serve(connection: socket.socket) -> NoReturn:
    """Fork this process for each request until the connection closes."""
    while True:
        data, files, _, _ = socket.recv_fds(connection, len("start"), maxfds=3)
        if not data:
            os._exit(0)
        with connection.makefile() as requests:
            start = json.loads(requests.readline())
        reader, writer = os.pipe()
        parent = os.fork()
        if parent == 0:  # it ends at once: its child is an orphan, which the process that asked for it adopts
            child = os.fork()
            if child == 0:
                _run_forked(start, files)
            os.write(writer, f"{child}\n".encode())
            os._exit(0)
        os.waitpid(parent, 0)
        connection.sendall(os.read(reader, 100))
        for file in (reader, writer):
            os.close(file)
        for file in files:
            os.close(file)


def _run_forked(start: Mapping[str, Any], files: Sequence[int], preexec_fn: Any = None) -> NoReturn:
    """Make this forked process like a new one, run its program, and end it."""
    code: object = 1
    try:
        _set_up_files(files)
        os.chdir(start["directory"])
        if start["is_session"]:
            os.setsid()
        if preexec_fn is not None:
            preexec_fn()
        os.environ.clear()
        os.environ.update(start["environment"])
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        atexit._clear()
        gc.enable()
        subprocess.Popen = WarmPopen  # type: ignore[misc]
        _templates.clear()
        _run_program(start["command"])
        code = 0
    except SystemExit as end:
        code = end.code or 0
        if not isinstance(code, int):
            print(code, file=sys.stderr)
            code = 1
    except BaseException:  # as Python at the end of a process
        traceback.print_exc()
    finally:
        with contextlib.suppress(BaseException):
            threading._shutdown()  # type: ignore[attr-defined]
            atexit._run_exitfuncs()
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 1)


def _set_up_files(files: Sequence[int]) -> None:
    """Set standard input, output and error, and close every other file, as starting a program does."""
    copies = [os.dup(file) for file in files]
    for number, copy in enumerate(copies):
        os.dup2(copy, number)
    os.closerange(3, 4096)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        stream = os.fdopen(number, "w" if number else "r", buffering=1 if number == 2 else -1, closefd=False)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def _run_program(command: list[str]) -> None:
    """Run what a command line of Python or ``layercli`` names."""
    program, *words = command
    options = []
    if program != sys.executable:
        words = ["-m", "layercli", *words]
    while words[0] in ("-P", "-I"):
        options.append(words.pop(0))
    paths = (
        []
        if "-I" in options
        else [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    )
    sys.path[:0] = paths
    name, argument = words[0], words[1]
    if not (name == "-m" and argument.startswith("layercli")):
        for module in [module for module in sys.modules if module.partition(".")[0] == "layercli"]:
            del sys.modules[module]  # the program may be one that does not import it
    if name == "-m":
        sys.argv = [argument, *words[2:]]
        sys.path.insert(0, str(Path.cwd()))
        runpy.run_module(argument, run_name="__main__", alter_sys=True)
    elif name == "-c":
        sys.argv = ["-c", *words[2:]]
        if not options:
            sys.path.insert(0, "")
        main = sys.modules["__main__"] = types.ModuleType("__main__")
        exec(compile(argument, "<string>", "exec"), main.__dict__)
    else:
        sys.argv = words
        sys.path.insert(0, str(Path(name).parent))
        runpy.run_path(name, run_name="__main__")


def main() -> NoReturn:
    """Run the template."""
    known = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:] = [path for path in sys.path[1:] if path not in known]
    sys.path[:0] = known
    from layercli import runtime

    runtime.is_cli_process = True
    import layercli.cli  # noqa: F401 - and what most commands need
    from layercli.check import check_config  # noqa: F401
    from layercli.runtime import capture_native_stderr

    hidden = ("sklearn", "scipy", "pandas")  # as layercli's own process
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    with capture_native_stderr():
        import keras  # noqa: F401
    for name in hidden:
        del sys.modules[name]
    runtime.is_cli_process = False
    sys.path[:] = [path for path in sys.path if path not in known]
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends pytest, which closes the connection
    gc.freeze()
    _serve(socket.socket(fileno=int(sys.argv[1])))


if __name__ == "__main__":
    main()
