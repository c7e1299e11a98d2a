"""Signals to real training processes. LAYERCLI_KILLS is the number of kills."""

import json
import os
import random
import signal
import subprocess
import time
from functools import cache

import pytest

from tests.interrupting import assert_same, outcome, write
from tests.running import HANG_SECONDS, LAYERCLI, invoke, problems, train

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("warm_processes")]

KILLS = int(os.environ.get("LAYERCLI_KILLS", "4"))
LONG = {"epochs": 12, "execution": {"steps_per_execution": 1}, "checkpoints": {"steps": 4}}
"""A training long enough to be killed in the middle."""
ENVIRONMENT = os.environ | {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}


def start(directory, *args):
    return subprocess.Popen(
        [LAYERCLI, "train", *map(str, args)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=directory,
        env=ENVIRONMENT,
    )


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """Return the outcome of an uninterrupted training of a stack; each is trained once, in this process."""

    @cache
    def uninterrupted(kind):
        directory = tmp_path_factory.mktemp("uninterrupted")
        run = train(write(kind, directory, **LONG), directory / "run")
        assert run.result.exit_code == 0, run.result.output
        return outcome(run.path)

    return uninterrupted


def resume(run):
    """Resume a run in this process to its end, and return its outcome."""
    result = invoke("train", "--resume", run, "--json")
    assert result.exit_code == 0, result.output
    return outcome(run)


def wait_for(condition, process):
    deadline = time.monotonic() + HANG_SECONDS
    while not condition() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)


def checkpoints(run):
    return list(run.glob("checkpoints/0*"))


@pytest.mark.parametrize(("kind", "kills"), [("dense", KILLS - KILLS // 2), ("lstm", KILLS // 2)])
def test_repeatedly_killed_training_matches_uninterrupted(kind, kills, uninterrupted, tmp_path):
    config = write(kind, tmp_path, **LONG)
    run = tmp_path / "killed"
    moments = random.Random(f"{kind} {KILLS}")
    killed = inside = 0
    rounds = 0
    while killed < kills and rounds < 4 * kills:
        rounds += 1
        has_started = (run / "manifest.json").exists()
        args = ("--resume", run) if has_started else (config, "--run-dir", run)
        process = start(tmp_path, *args)
        before = len(checkpoints(run)) and max(path.name for path in checkpoints(run))
        wait_for(lambda: max([path.name for path in checkpoints(run)], default=0) != before, process)  # noqa: B023
        time.sleep(moments.uniform(0, 0.1))  # a fast machine ends the training in half a second
        process.send_signal(signal.SIGKILL)
        process.communicate()
        if process.returncode == -signal.SIGKILL:
            killed += 1
            inside += any(path.name.startswith(".") and path.is_dir() for path in run.glob("checkpoints/.*"))
        else:
            assert process.returncode == 0
            break
    assert killed
    print(f"{kind}: {killed} kills, {inside} of them while a checkpoint was written or removed")
    assert_same(resume(run), uninterrupted(kind))


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_stops_between_steps_and_resume_matches(sent, code, uninterrupted, tmp_path):
    config = write("lstm", tmp_path, **LONG)
    process = start(tmp_path, config, "--run-dir", "run", "--json")
    run = tmp_path / "run"
    wait_for(lambda: checkpoints(run), process)
    process.send_signal(sent)
    stdout, stderr = process.communicate(timeout=HANG_SECONDS)
    assert process.returncode == code, stderr
    assert "Traceback" not in stderr
    document = json.loads(stdout)
    (problem,) = document["problems"]
    assert (document["ok"], problem["code"]) == (False, "interrupted")
    assert problem["message"].endswith("; progress was saved.")
    assert problem["hint"] == "Resume with `layercli train --resume run`."
    assert not (run / "model.keras").exists()
    assert_same(resume(run), uninterrupted("lstm"))


def test_second_ctrl_c_stops_immediately(tmp_path):
    """A step hangs, so that only the second signal can end it."""
    (tmp_path / "hang.py").write_text(
        "import time\n\nimport keras\nimport tensorflow as tf\n\n\n"
        "class Hang(keras.layers.Layer):\n"
        "    def call(self, inputs):\n"
        "        def wait(x):\n"
        "            open('hanging', 'w').close()\n"
        "            time.sleep(3600)\n"
        "            return x\n\n"
        "        outputs = tf.numpy_function(wait, [inputs], inputs.dtype)\n"
        "        outputs.set_shape(inputs.shape)\n"
        "        return outputs\n\n"
        "    def compute_output_spec(self, inputs):\n"
        "        return keras.KerasTensor(inputs.shape, inputs.dtype)\n"
    )
    (tmp_path / "c.yaml").write_text(
        "data: {type: sklearn, dataset: iris}\n"
        "model: {layers: [{type: 'hang.py:Hang'}, {type: Dense, units: 3, activation: softmax}]}\n"
        "train: {loss: sparse_categorical_crossentropy}\n"
    )
    process = start(tmp_path, "c.yaml", "--trust")
    wait_for((tmp_path / "hanging").exists, process)
    process.send_signal(signal.SIGINT)
    while "Press Ctrl-C again to stop immediately." not in (line := process.stderr.readline()):
        assert line
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=HANG_SECONDS)
    assert process.returncode == 130


def test_second_process_on_same_run_is_rejected(tmp_path):
    config = write("lstm", tmp_path, **LONG | {"epochs": 10_000})
    first = start(tmp_path, config, "--run-dir", "run")
    wait_for(lambda: checkpoints(tmp_path / "run"), first)
    second = invoke("train", "--resume", tmp_path / "run", "--json")
    assert problems(second) == [("run-in-use", None)]
    first.send_signal(signal.SIGTERM)
    first.communicate(timeout=HANG_SECONDS)
    assert first.returncode == 143
