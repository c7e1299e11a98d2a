"""Child processes end in order, and with their parent."""

import signal
import subprocess
import sys
import time

import pytest

from layercli.processes.supervisor import Supervisor
from tests.running import HANG_SECONDS


@pytest.fixture
def supervisor(tmp_path, monkeypatch):
    """A supervisor that finds the modules ``sleeper`` and ``stubborn``, which ignores SIGTERM."""
    ready = "import time\nprint('ready', flush=True)\ntime.sleep(600)\n"
    (tmp_path / "sleeper.py").write_text(ready)
    ignore = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    (tmp_path / "stubborn.py").write_text(ignore + ready)
    (tmp_path / "quick.py").write_text("import sys\nsys.exit(int(sys.argv[1]))\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    supervisor = Supervisor()
    yield supervisor
    supervisor.stop(0)
    for process in supervisor.processes:
        process.communicate()


def wait_until_ready(process):
    assert process.stdout.readline() == "ready\n"


def test_stop_terminates_and_kills_what_does_not_end(supervisor):
    for module in ("sleeper", "stubborn"):
        wait_until_ready(supervisor.start(module))
    supervisor.stop(0.5)
    assert supervisor.exit_codes() == [-signal.SIGTERM, -signal.SIGKILL]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows can only terminate processes")
def test_signal_reaches_each_process(supervisor):
    for _ in range(2):
        wait_until_ready(supervisor.start("sleeper", stderr=subprocess.DEVNULL))
    supervisor.send_signal(signal.SIGINT)
    supervisor.wait(HANG_SECONDS)
    assert supervisor.exit_codes() == [-signal.SIGINT, -signal.SIGINT]


def test_ended_processes_are_removed_with_their_exit_code(supervisor):
    running = supervisor.start("sleeper")
    ended = supervisor.start("quick", ["7"])
    ended.wait()
    assert [process.returncode for process in supervisor.remove_ended()] == [7]
    assert supervisor.processes == [running]
    assert supervisor.exit_codes() == [None]
    ended.communicate()


PARENT = """
import os, signal
from layercli.processes.supervisor import Supervisor
process = Supervisor().start("sleeper", should_end_with_parent=True)
process.stdout.readline()
print(process.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="only Linux signals children of a killed parent"
)
@pytest.mark.usefixtures("supervisor")
def test_process_ends_with_a_killed_parent(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{':'.join(sys.path)}")
    done = subprocess.run([sys.executable, "-c", PARENT], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    stat = f"/proc/{int(done.stdout)}/stat"
    until = time.monotonic() + HANG_SECONDS
    while is_alive(stat):
        assert time.monotonic() < until
        time.sleep(0.01)


def is_alive(stat):
    try:
        with open(stat) as file:  # noqa: PTH123 - a process, not a file
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
