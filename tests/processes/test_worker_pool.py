"""Workers are restarted after a crash, and signals end a sweep at a safe point."""

import os
import signal
import time

import pytest

from layercli.errors import LayercliError, Problem
from layercli.processes.worker_pool import StopSignal, WorkerPool

CRASH = """
import os, sys
print("out of luck" + 190 * "!", file=sys.stderr, flush=True)
os.kill(os.getpid(), 9)
"""
REPORT = """
import json, sys
print(json.dumps([json.loads(sys.stdin.readline())]))
sys.exit(1)
"""


@pytest.fixture
def make_pool(tmp_path, monkeypatch):
    """A pool whose workers run this code."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def make_pool(code, task):
        (tmp_path / "worker_code.py").write_text(code)
        return WorkerPool("worker_code", task, jobs=1, directory=tmp_path)

    return make_pool


def supervise(pool):
    with pool:
        while pool.supervise(0):
            time.sleep(0.01)


def test_crashes_in_a_row_are_a_problem(make_pool, tmp_path):
    pool = make_pool(CRASH, {})
    with pytest.raises(LayercliError) as error:
        supervise(pool)
    (problem,) = error.value.problems
    assert problem.code == "worker-died"
    log = tmp_path / "worker.log"
    assert problem.message == (
        f"6 workers crashed in a row (last exit code -9). The last line of {log} is: out of luck{188 * '!'}…"
    )
    assert len(pool.process_ids) == 6


def test_pool_survives_crashes_with_finished_tasks_between_them(make_pool):
    pool = make_pool(CRASH, {})
    with pool:
        while len(pool.process_ids) < 8:
            assert pool.supervise(len(pool.process_ids) // 3)
            time.sleep(0.01)


def test_problem_of_a_worker_ends_the_sweep(make_pool):
    problem = Problem(code="sweep-storage", message="It is gone.", file="s.yaml", line=3)
    with pytest.raises(LayercliError) as error:
        supervise(make_pool(REPORT, problem.as_json()))
    assert error.value.problems == [problem]


def test_finished_worker_is_not_restarted(make_pool):
    pool = make_pool("pass", {})
    supervise(pool)
    assert len(pool.process_ids) == 1


@pytest.mark.parametrize(
    ("number", "raised", "printed"),
    [
        (signal.SIGINT, KeyboardInterrupt, "\nRun the same command again to resume the sweep.\n"),
        (signal.SIGTERM, SystemExit, "Terminated. Run the same command again to resume the sweep.\n"),
    ],
)
def test_first_signal_waits_and_the_second_stops_at_once(number, raised, printed, capsys):
    with StopSignal("sweep") as stop_signal:
        stop_signal.raise_if_received()
        os.kill(os.getpid(), number)
        with pytest.raises(raised) as caught:
            stop_signal.raise_if_received()
        assert capsys.readouterr().err == printed
        assert getattr(caught.value, "code", 143) == 143
        with pytest.raises(raised):
            os.kill(os.getpid(), number)
