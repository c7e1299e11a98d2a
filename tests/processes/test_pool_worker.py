"""The process of a worker: its task, its problems and its end."""

import sys
from types import SimpleNamespace

import pytest

from layercli.errors import LayercliError
from layercli.processes.pool_worker import free_keras_memory
from layercli.processes.worker_pool import WorkerPool
from tests.running import HANG_SECONDS

WORKER = """
import sys
from layercli import runtime
from layercli.errors import ExitCode, LayercliError, Problem
from layercli.processes.pool_worker import run_task

def run(task):
    print("output of a callback")
    if task["kind"] == "wait":
        import time
        time.sleep(600)
    if task["kind"] == "missing":
        open("missing/file")
    found = f"{sys.argv} {runtime.is_cli_process}"
    raise LayercliError(Problem(code="bad-task", message=found, file="s.yaml", line=3))

run_task(run)
"""


@pytest.fixture
def make_pool(tmp_path, monkeypatch):
    (tmp_path / "worker_code.py").write_text(WORKER)
    monkeypatch.setenv("PYTHONPATH", ":".join([str(tmp_path), *sys.path]))
    return lambda kind: WorkerPool(
        "worker_code", {"kind": kind, "command": ["layercli", "sweep"]}, jobs=1, directory=tmp_path
    )


def supervise(pool):
    with pool:
        pool._supervisor.wait(HANG_SECONDS)
        with pytest.raises(LayercliError) as error:
            pool.supervise(0)
    return error.value.problems


def test_problem_of_a_task_is_that_of_the_command(make_pool, tmp_path):
    (problem,) = supervise(make_pool("problem"))
    assert (problem.code, problem.message) == ("bad-task", "['layercli', 'sweep'] True")
    assert (problem.file, problem.line, problem.severity) == ("s.yaml", 3, "error")
    assert (tmp_path / "worker.log").read_text() == "output of a callback\n"


def test_error_of_the_system_is_a_problem(make_pool):
    (problem,) = supervise(make_pool("missing"))
    assert (problem.code, problem.file) == ("unreadable-file", "missing/file")


def test_worker_ends_when_its_standard_input_closes(make_pool):
    with make_pool("wait") as pool:
        (worker,) = pool._supervisor.processes
        worker.stdin.close()
        assert worker.wait(HANG_SECONDS) == 1


def test_memory_of_keras_is_freed_if_it_is_loaded(monkeypatch):
    calls = []
    keras = SimpleNamespace(backend=SimpleNamespace(clear_session=lambda: calls.append("clear")))
    monkeypatch.setitem(sys.modules, "keras", keras)
    free_keras_memory()
    assert calls == ["clear"]
    monkeypatch.delitem(sys.modules, "keras")
    free_keras_memory()
    assert calls == ["clear"]
