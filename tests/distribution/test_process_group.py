"""Groups of processes whose ``layercli`` is a short script: their output, their restarts and their exit code."""

import json
import os
import signal
import threading
import time

import pytest

from layercli.distribution import process_group
from layercli.distribution.process_group import ProcessGroup, find_free_ports
from tests.running import HANG_SECONDS

SCRIPT = """
import json, os, pathlib, signal, sys, time
task = json.loads(os.environ["TF_CONFIG"])
rank, place = task["task"]["index"], pathlib.Path(os.environ["PLACE"])
with (place / f"{rank}.log").open("a+") as log:
    log.seek(0)
    attempt = len(log.readlines())
    log.write(json.dumps([sys.argv[1:], task, os.environ.get("CUDA_VISIBLE_DEVICES")]) + "\\n")
code = json.loads((place / "codes").read_text())[attempt][rank]
print("line of", rank)
print("error\\tof", rank, file=sys.stderr)
if rank == 0 and code in ("saved", "empty"):
    run = place / "run"
    run.mkdir()
    pathlib.Path(os.environ["LAYERCLI_RUN_FILE"]).write_text(str(run))
    if code == "saved":
        (run / "manifest.json").touch()
if code == "wait":
    time.sleep(600)
if isinstance(code, str):
    code = -9
if code < 0:
    sys.stdout.flush()
    os.kill(os.getpid(), -code)
sys.exit(code)
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Return a function that runs a group with these exit codes of the ranks of each attempt."""
    (tmp_path / "layercli.py").write_text(SCRIPT)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PLACE", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(process_group, "list_local_gpus", list)
    monkeypatch.setattr(process_group, "_GRACE_SECONDS", HANG_SECONDS)

    def run(*codes, options=(), restarts=1):
        (tmp_path / "codes").write_text(json.dumps(codes))
        return ProcessGroup(["train", "c.yaml", *options], size=len(codes[0]), restarts=restarts).run()

    return run


def read_calls(tmp_path, rank=0):
    """Return the arguments, the cluster and the GPUs of each start of a process."""
    return [json.loads(line) for line in (tmp_path / f"{rank}.log").read_text().splitlines()]


def test_lines_of_each_process_begin_with_its_rank(run, tmp_path, capsys):
    assert run([0, 0]) == 0
    printed = capsys.readouterr()
    assert sorted(printed.out.splitlines()) == ["[0] line of 0", "[1] line of 1"]
    assert sorted(printed.err.splitlines()) == ["[0] error of 0", "[1] error of 1"]
    (((arguments, task, gpus),), ((_, other, _),)) = (read_calls(tmp_path, rank) for rank in (0, 1))
    assert (arguments, gpus) == (["train", "c.yaml"], None)
    assert [each["task"] for each in (task, other)] == [{"type": "worker", "index": rank} for rank in (0, 1)]
    assert task["cluster"] == other["cluster"]
    assert [each.rpartition(":")[0] for each in task["cluster"]["worker"]] == ["127.0.0.1"] * 2


def test_json_is_that_of_the_first_process(run, capsys):
    assert run([0, 0], options=["--json"]) == 0
    assert capsys.readouterr().out == "line of 0\n"


@pytest.mark.parametrize(("codes", "expected"), [([0, 3], 3), ([1, 2], 2), ([2, 0], 2)])
def test_failure_ends_the_group_without_a_restart(run, tmp_path, codes, expected):
    assert run(codes) == expected
    assert len(read_calls(tmp_path)) == 1


def test_killed_process_restarts_the_group_from_the_beginning(run, tmp_path, capsys):
    assert run([0, -9], [1, -15], [0, 0], restarts=2) == 0
    assert [arguments for arguments, _, _ in read_calls(tmp_path)] == [["train", "c.yaml"]] * 3
    restarts = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("[")]
    assert restarts == [
        "A worker was killed by SIGKILL; the group restarts from the beginning (1 restarts left).",
        "A worker was killed by SIGTERM; the group restarts from the beginning (0 restarts left).",
    ]


def test_group_restarts_from_the_last_checkpoint(run, tmp_path, capsys):
    assert run(["saved", 0], [0, 0], options=["--json", "--set", "train.epochs=3", "--quiet"]) == 0
    first, second = (arguments for arguments, _, _ in read_calls(tmp_path))
    assert first == ["train", "c.yaml", "--json", "--set", "train.epochs=3", "--quiet"]
    assert second == ["train", "--resume", str(tmp_path / "run"), "--json", "--quiet"]
    assert "the group restarts from the last checkpoint (0 restarts left)." in capsys.readouterr().err


def test_run_directory_without_a_manifest_is_removed_before_a_restart(run, tmp_path):
    assert run(["empty", 0], [0, 0]) == 0
    assert [arguments for arguments, _, _ in read_calls(tmp_path)] == [["train", "c.yaml"]] * 2
    assert not (tmp_path / "run").exists()


def test_crash_after_the_last_restart_is_a_problem(run, tmp_path, capsys):
    assert run([0, -9], [0, -9], options=["--json"]) == 1
    assert len(read_calls(tmp_path)) == 2
    printed = capsys.readouterr()
    (problem,) = json.loads(printed.out)["problems"]
    assert (problem["code"], problem["message"]) == (
        "worker-lost",
        "A worker crashed again after 1 restarts.",
    )
    assert printed.err.splitlines()[-1] == "A worker crashed again after 1 restarts."


def test_process_that_waits_for_a_killed_one_is_ended(run, monkeypatch):
    monkeypatch.setattr(process_group, "_GRACE_SECONDS", 0.3)
    assert run(["wait", 3]) == 3


@pytest.mark.parametrize(("number", "expected"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_ends_all_processes_without_a_restart(run, tmp_path, capsys, number, expected):
    def send_signal():
        logs = [tmp_path / f"{rank}.log" for rank in (0, 1)]
        while not all(log.exists() and log.stat().st_size for log in logs):
            time.sleep(0.01)
        os.kill(os.getpid(), number)

    sender = threading.Thread(target=send_signal)
    sender.start()
    assert run(["wait", "wait"], options=["--json"]) == expected
    sender.join()
    assert len(read_calls(tmp_path)) == 1
    assert "restarts" not in capsys.readouterr().err


def test_gpus_are_shared_by_rank(run, tmp_path, monkeypatch):
    monkeypatch.setattr(process_group, "list_local_gpus", lambda: ["4", "7"])
    assert run([0, 0, 0]) == 0
    assert [read_calls(tmp_path, rank)[0][2] for rank in range(3)] == ["4", "7", "4"]


def test_free_ports_are_distinct():
    ports = find_free_ports(20)
    assert len(set(ports)) == 20
    assert all(1024 <= port <= 65535 for port in ports)
