"""A warm process has the output, exit code, arguments, environment and signals of a new one."""

import os
import signal
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.tensorflow, pytest.mark.usefixtures("warm_processes")]


def test_arguments_environment_and_exit_code(tmp_path):
    code = (
        "import os, sys; print(sys.argv, os.getcwd(), os.environ['WORD'], input());"
        "print(sorted({'keras', 'layercli'} & set(sys.modules)), os.getppid(), file=sys.stderr); sys.exit(3)"
    )
    command = [sys.executable, "-I", "-c", code, "one", "two"]
    environment = os.environ | {"WORD": "given"}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, input="typed\n", capture_output=True, text=True
    )
    assert done.returncode == 3
    assert done.stdout == f"['-c', 'one', 'two'] {tmp_path} given typed\n"
    assert done.stderr == f"['keras'] {os.getpid()}\n"


def test_uncaught_exception_and_message_at_the_end():
    done = subprocess.run([sys.executable, "-c", "raise ValueError('x')"], capture_output=True, text=True)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, "ValueError: x")
    done = subprocess.run([sys.executable, "-c", "raise SystemExit('ended')"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "ended\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_signal_ends_the_process(number):
    code = "import time; print('ready', flush=True); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
    assert process.returncode == -number


def test_process_starts_others():
    code = (
        "import subprocess, sys; inner = [sys.executable, '-c', 'import sys; print(sys.argv); sys.exit(4)', 'x'];"
        "done = subprocess.run(inner, capture_output=True, text=True); print(done.returncode, done.stdout)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "4 ['-c', 'x']\n\n"


def test_command_line_runs_as_a_module(iris):
    command = [sys.executable, "-m", "layercli", "validate", iris.name]
    done = subprocess.run(command, cwd=iris.parent, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "1 file checked: no problems.\n")
