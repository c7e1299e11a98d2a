"""Training in several processes: the same weights as in one process, also after a process is killed."""

import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

from layercli.distribution.process_group import find_free_ports
from layercli.engine.training.checkpointing import DivergenceGuard
from tests.engine.training.group import sigterm_after
from tests.running import HANG_SECONDS, invoke, train
from tests.warm_processes import start_processes_warm

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("warm_processes")]

GROUP = Path(__file__).with_name("group.py")
HEAD = {"type": "Dense", "units": 10, "activation": "softmax"}
SCALE = {"type": "Rescaling", "scale": 0.0625}
MODELS = {
    # 31 examples cannot be divided by two; of 497 examples, batches of 31 leave one.
    "dense": (
        [64],
        31,
        [{"type": "Dense", "units": 16, "activation": "relu", "kernel_regularizer": "L2"}],
        {"type": "AdamW", "learning_rate": 0.003, "clipnorm": 0.5, "use_ema": True},
    ),
    "conv": (
        [8, 8, 1],
        32,
        [{"type": "Conv2D", "filters": 4, "kernel_size": 3, "kernel_constraint": "MaxNorm"}, "Flatten"],
        {"type": "SGD", "learning_rate": 0.05, "momentum": 0.9, "gradient_accumulation_steps": 2},
    ),
    "lstm": ([8, 8], 32, [{"type": "LSTM", "units": 8}], {"type": "RMSprop", "global_clipnorm": 1.0}),
}
FEEDS = {"dense": ("memory", "stream"), "conv": ("memory",), "lstm": ("stream",)}
METRICS = ["accuracy", {"type": "F1Score", "average": "macro"}, {"type": "Precision", "class_id": 3}]
"""The last two convert class numbers to one-hot targets."""
LOSSES, WEIGHTS = 1e-6, 1e-5
"""The allowed absolute difference between two processes and one."""


def document(shape, batch_size, layers, optimizer, **train):
    return {
        "seed": 3,
        "data": {
            "type": "sklearn",
            "dataset": "digits",
            "shape": shape,
            "split": {"validation": 1200, "test": 100},
        },
        "model": {"layers": [SCALE, *layers, HEAD]},
        "train": {
            "epochs": 2,
            "batch_size": batch_size,
            "optimizer": optimizer,
            "loss": "sparse_categorical_crossentropy",
            "metrics": ["accuracy"],
            "execution": {"steps_per_execution": 7, "jit_compile": False},
            **train,
        },
    }


EXAMPLES, STEPS = 19, 7
STOP = STEPS + 2
"""In the second epoch."""
COUNTED = {
    "seed": 5,
    "data": {"type": "python", "function": "powers.py:make"},
    "model": {
        "input": [2],
        "layers": [
            {"type": "Dense", "name": "hidden", "units": 6, "activation": "tanh"},
            {"type": "Dense", "name": "learned", "units": 1},
            {
                "type": "Dense",
                "name": "seen",
                "units": 1,
                "inputs": "hidden",
                "kernel_initializer": "zeros",
                "trainable": False,
            },
        ],
        "outputs": ["learned", "seen"],
    },
    "train": {
        "epochs": 4,
        "batch_size": 3,
        "optimizer": {"type": "Adam", "learning_rate": 0.01},
        "loss": {"learned": "mse", "seen": "mae"},
    },
}
"""The loss of ``seen`` is the mean of the targets, which are powers of two: it shows which examples were seen."""
POWERS = f"""
import numpy as np

def make():
    x = np.random.default_rng(0).normal(size=({EXAMPLES}, 2)).astype("float32")
    return x, {{"learned": x.sum(1, keepdims=True), "seen": 2.0 ** -np.arange(1, {EXAMPLES} + 1, dtype="float32")}}
"""


def written(path, config):
    path.write_text(yaml.safe_dump(config))
    return str(path)


def run_group(place, *, size=2, **task):
    """Run these trainings in a group of processes."""
    addresses = [f"127.0.0.1:{port}" for port in find_free_ports(size)]
    processes = []
    for rank in range(size):
        cluster = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": rank}}
        task |= {"rank": rank, "size": size, "place": str(place)}
        processes.append(
            subprocess.Popen(
                [sys.executable, GROUP, json.dumps(task)],
                env=os.environ | {"TF_CONFIG": json.dumps(cluster), "PYTHONPATH": str(GROUP.parents[3])},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
    try:
        outputs = [process.communicate(timeout=HANG_SECONDS)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0] * size, outputs


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Train all configs with two processes that start TensorFlow once; also resume a run of one process."""
    place = tmp_path_factory.mktemp("group")
    (place / "powers.py").write_text(POWERS)
    configs, counted = {}, {}
    for name, (shape, batch_size, layers, optimizer) in MODELS.items():
        for feed in FEEDS[name]:
            config = document(shape, batch_size, layers, optimizer)
            config["train"]["execution"]["feed"] = feed
            config["train"]["metrics"] = METRICS
            configs[f"{name}_{feed}"] = written(place / f"{name}_{feed}.yaml", config)
    for feed in ("memory", "stream"):
        execution = {"feed": feed, "steps_per_execution": 1, "jit_compile": False}
        config = COUNTED | {"train": COUNTED["train"] | {"execution": execution}}
        counted[feed] = written(place / f"counted_{feed}.yaml", config)
    configs["killed"] = written(place / "killed.yaml", KILLED)
    begun = place / "begun"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DivergenceGuard, "on_train_batch_end", DivergenceGuard.on_train_batch_end)
        sigterm_after(STOP)
        assert train(counted["stream"], begun, "--trust").result.exit_code == 143
    stopped = [(counted["memory"], STOP)]
    with start_processes_warm():
        run_group(place, configs=list(configs.values()), resumed=[str(begun)], stopped=stopped)
    return SimpleNamespace(place=place, configs=configs, counted=counted, begun=begun)


def weights(run):
    import keras

    return keras.models.load_model(run / "model.keras").get_weights()


def summary(run):
    return json.loads((run / "summary.json").read_text())


def assert_alike(run, alone):
    """Compare the run of several processes with that of one."""
    ours, theirs = summary(run), summary(alone)
    assert ours["history"].keys() == theirs["history"].keys()
    for key, values in theirs["history"].items():
        np.testing.assert_allclose(ours["history"][key], values, rtol=0, atol=LOSSES, err_msg=key)
    assert ours["test"] == pytest.approx(theirs["test"], rel=0, abs=LOSSES)
    for a, b in zip(weights(alone), weights(run), strict=True):
        np.testing.assert_allclose(b, a, rtol=0, atol=WEIGHTS)


@pytest.mark.parametrize("name", [f"{name}_{feed}" for name, feeds in FEEDS.items() for feed in feeds])
def test_two_workers_train_like_one(both, name, tmp_path):
    alone = train(both.configs[name], tmp_path / "alone")
    first, second = (both.place / str(rank) / name for rank in (0, 1))
    assert (
        summary(first)["history"] == summary(second)["history"]
    )  # callbacks get the same values in all processes
    for a, b in zip(weights(first), weights(second), strict=True):
        np.testing.assert_array_equal(a, b)
    assert_alike(first, alone.path)


@pytest.mark.parametrize(("before", "feed"), [(2, "memory"), (1, "stream")])
def test_resume_with_a_different_number_of_workers(both, before, feed, tmp_path):
    alone = train(both.counted[feed], tmp_path / "alone", "--trust")
    run = both.begun
    if before == 2:
        run = both.place / "0" / f"counted_{feed}"
        resumed = invoke("train", "--resume", run, "--trust", "--json")
        assert resumed.exit_code == 0, resumed.output
    position = summary(run)["resumed_from"]
    assert position["epoch"] == 1
    assert 0 < position["step"] < STEPS
    seen = np.array(summary(run)["history"]["seen_loss"]) * EXAMPLES * 2**EXAMPLES
    # As many powers of two as there are examples have this sum only if each is there once.
    assert list(np.rint(seen)) == [2**EXAMPLES - 1] * 4
    assert_alike(run, alone.path)


KILLED = document(
    [64],
    32,
    [{"type": "Dense", "units": 16, "activation": "relu"}, {"type": "Dropout", "rate": 0.1}],
    "Adam",
    epochs=int(os.environ.get("LAYERCLI_TEST_KILLS", "1")) * 8 + 32,
    checkpoints={"steps": 5},
)


def members(launcher):
    """Return the process ids of a launcher's group."""
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(launcher.pid)], capture_output=True, text=True)
    return [int(line) for line in listed.stdout.split()]


def epochs(run):
    history = run / "history.jsonl"
    return len(history.read_text().splitlines()) if history.exists() else 0


def wait_for_an_epoch(run, process):
    before, until = epochs(run), time.monotonic() + HANG_SECONDS
    while process.poll() is None and epochs(run) == before and time.monotonic() < until:
        time.sleep(0.01)
    assert process.poll() is None


@pytest.fixture
def launch(tmp_path):
    """Start ``layercli launch --workers 2`` in a separate folder."""
    started = []

    def launch(*arguments):
        command = [sys.executable, "-m", "layercli", "launch", "--workers", "2", *map(str, arguments)]
        process = subprocess.Popen(
            command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        started.append(process)
        return process

    yield launch
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.skipif(shutil.which("ps") is None, reason="ps is not installed")
def test_killed_group_ends_with_the_same_weights(both, launch, tmp_path):
    kills = int(os.environ.get("LAYERCLI_TEST_KILLS", "1"))
    run, quiet = tmp_path / "run", both.place / "0" / "killed"
    launcher = launch("--restarts", kills, "--", "train", both.configs["killed"], "--run-dir", "run")
    for _ in range(kills):
        wait_for_an_epoch(run, launcher)
        time.sleep(random.uniform(0, 0.3))
        os.kill(random.choice(members(launcher)), signal.SIGKILL)
        time.sleep(1)
    wait_for_an_epoch(run, launcher)
    launcher.send_signal(signal.SIGTERM)
    output, _ = launcher.communicate(timeout=HANG_SECONDS)
    assert launcher.returncode == 143, output
    assert "Traceback" not in output
    assert re.findall(r"Resume with `layercli train --resume (.*)`", output) == [str(run)]
    again = "A worker was killed by SIGKILL; the group restarts from the last checkpoint"
    assert output.count(again) == kills, output
    assert not (run / "model.keras").exists()
    launcher = launch("--", "train", "--resume", "run")
    output, _ = launcher.communicate(timeout=HANG_SECONDS)
    assert launcher.returncode == 0, output
    for a, b in zip(weights(quiet), weights(run), strict=True):
        np.testing.assert_array_equal(a, b)
    assert summary(quiet)["history"] == summary(run)["history"]


def test_used_port_is_reported(iris):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        workers = [f"127.0.0.1:{port}" for port in (taken.getsockname()[1], *find_free_ports(1))]
        cluster = {"cluster": {"worker": workers}, "task": {"type": "worker", "index": 0}}
        done = subprocess.run(
            [sys.executable, "-m", "layercli", "train", iris, "--json"],
            cwd=iris.parent,
            env=os.environ | {"TF_CONFIG": json.dumps(cluster)},
            capture_output=True,
            text=True,
            timeout=HANG_SECONDS,
        )
    assert done.returncode == 1, done.stderr
    assert [problem["code"] for problem in json.loads(done.stdout)["problems"]] == ["bad-cluster"]
    assert not list(iris.parent.glob("runs/*/1"))


def netns(*arguments):
    return subprocess.run(["ip", *arguments], capture_output=True, text=True)


@pytest.fixture
def two_hosts():
    """Two network namespaces with a cable between them: their addresses, and how to cut it."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network namespaces need root and iproute2")
    names = [f"layercli{os.getpid()}{letter}" for letter in "ab"]
    if netns("netns", "add", names[0]).returncode != 0:
        pytest.skip("this system makes no network namespaces")
    netns("netns", "add", names[1])
    try:
        made = netns(
            "link",
            "add",
            "cable0",
            "netns",
            names[0],
            "type",
            "veth",
            "peer",
            "name",
            "cable0",
            "netns",
            names[1],
        )
        if made.returncode != 0:
            pytest.skip(f"this system makes no virtual cables: {made.stderr.strip()}")
        for index, name in enumerate(names):
            netns("-n", name, "addr", "add", f"10.231.7.{index + 1}/24", "dev", "cable0")
            netns("-n", name, "link", "set", "cable0", "up")
            netns("-n", name, "link", "set", "lo", "up")
        yield names
    finally:
        for name in names:
            netns("netns", "del", name)


RUN_IN_NAMESPACE = """
import ctypes, os, runpy, sys
namespace = os.open(f"/var/run/netns/{sys.argv.pop(1)}", os.O_RDONLY)
assert ctypes.CDLL(None).setns(namespace, 0) == 0
runpy.run_module("layercli", run_name="__main__", alter_sys=True)
"""
"""``ip netns exec`` as code, so that Keras is imported already."""


def test_network_failure_is_reported_within_30_seconds(two_hosts, tmp_path):
    config = document([64], 32, [], "Adam", epochs=100000)
    processes, places = [], []
    for rank, name in enumerate(two_hosts):
        place = tmp_path / name
        place.mkdir()
        (place / "config.yaml").write_text(yaml.safe_dump(config))
        addresses = ["10.231.7.1:2222", "10.231.7.2:2222"]
        cluster = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": rank}}
        processes.append(
            subprocess.Popen(
                [sys.executable, "-c", RUN_IN_NAMESPACE, name, "train", "config.yaml", "--json"],
                cwd=place,
                env=os.environ | {"TF_CONFIG": json.dumps(cluster)},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        places.append(place)
    try:
        until = time.monotonic() + HANG_SECONDS
        while not epochs(places[0] / "runs" / "config" / "1") and time.monotonic() < until:
            time.sleep(0.05)
        assert epochs(places[0] / "runs" / "config" / "1")
        time.sleep(6)
        netns("-n", two_hosts[1], "link", "set", "cable0", "down")
        cut = time.monotonic()
        outputs = [process.communicate(timeout=30 - (time.monotonic() - cut)) for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [1, 1], outputs
    for output, _ in outputs:
        assert [problem["code"] for problem in json.loads(output)["problems"]] == ["worker-lost"]
