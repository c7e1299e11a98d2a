"""Parts of commands in a child process: its limits, its end, and that of its parent."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from layercli.processes.limited_child import run_in_child
from tests.running import HANG_SECONDS

START = """\
import os, sys
from layercli import runtime
from layercli.processes.limited_child import run_in_child
runtime.is_cli_process = True
parent = os.getpid()
with run_in_child({limit} << 20, {seconds}) as reason:
    if reason is None:
        assert os.getppid() == parent
        {block}
print(reason, os.getpid() == parent)
sys.exit(7)
"""


def start(block, limit=2000, seconds=50.0):
    code = START.format(block=block, limit=limit, seconds=seconds)
    return subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def run(block, **limits):
    process = start(block, **limits)
    out, err = process.communicate(timeout=HANG_SECONDS)
    return process.returncode, out, err


def test_child_ends_the_command():
    assert run("pass") == (7, "None False\n", "")


@pytest.mark.parametrize(
    ("block", "limits", "reason"),
    [
        ("x = b'1' * (400 << 20)", {"limit": 200}, "it needs more than 0.2 GiB of memory"),
        ("while True: pass", {"seconds": 0.3}, "it takes more than 0 s of processor time"),
        ("os.abort()", {}, "its process was ended by SIGABRT"),
        ("os._exit(3)", {}, "its process ended"),
    ],
)
def test_parent_runs_the_block_if_the_child_fails(block, limits, reason):
    assert run(block, **limits) == (7, f"{reason} True\n", "")


def test_limits_do_not_apply_after_the_block():
    code = START.format(block="pass", limit=200, seconds=50.0).replace(
        "print(", "x = b'1' * (400 << 20); print("
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=HANG_SECONDS)
    assert (done.returncode, done.stdout) == (7, "None False\n")


def test_exit_code_of_an_error_is_that_of_the_command():
    code, out, err = run("raise SystemExit(4)")
    assert (code, out, err) == (4, "", "")
    code, out, err = run("raise ValueError('once')")
    assert (code, out) == (1, "")
    assert err.count("ValueError: once") == 1


def test_interruption_is_left_to_the_child():
    process = start("print('started', flush=True); import time; time.sleep(60)")
    assert process.stdout.readline() == "started\n"
    (child,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.send_signal(signal.SIGINT)
    os.kill(int(child), signal.SIGINT)
    out, err = process.communicate(timeout=HANG_SECONDS)
    assert (process.returncode, out) == (130, "")
    assert err.count("KeyboardInterrupt") == 1


def test_child_ends_with_its_parent():
    process = start("print(os.getpid(), flush=True); import time; time.sleep(60)")
    child = Path("/proc", process.stdout.readline().strip())
    process.kill()
    process.communicate(timeout=HANG_SECONDS)
    deadline = time.monotonic() + HANG_SECONDS
    while child.exists() and "(zombie)" not in (child / "status").read_text() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert time.monotonic() < deadline


def test_only_the_command_line_forks():
    process = os.getpid()
    with run_in_child(1, 0.0) as reason:
        assert (reason, os.getpid()) == (None, process)
