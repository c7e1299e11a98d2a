"""Several processes train one model: to the weights of one process, and through the death of any of them."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml

from layercli.commands.members import _free_ports

GROUP = Path(__file__).with_name("group.py")
HEAD = {"type": "Dense", "units": 10, "activation": "softmax"}
SCALE = {"type": "Rescaling", "scale": 0.0625}
MODELS = {
    # 31 examples cannot be divided by two; with 1,256 in a batch, two of 1,258 are left, and with 1,257 one.
    "dense": ([64], 31, [{"type": "Dense", "units": 16, "activation": "relu", "kernel_regularizer": "L2"}],
              {"type": "Adam", "learning_rate": 0.003, "clipnorm": 0.5}),
    "rest": ([64], 1257, [{"type": "Dense", "units": 16, "activation": "relu"}],
             {"type": "AdamW", "learning_rate": 0.003, "use_ema": True}),
    "conv": ([8, 8, 1], 32, [{"type": "Conv2D", "filters": 4, "kernel_size": 3, "kernel_constraint": "MaxNorm"}, "Flatten"],
             {"type": "SGD", "learning_rate": 0.05, "momentum": 0.9, "gradient_accumulation_steps": 2}),
    "lstm": ([8, 8], 32, [{"type": "LSTM", "units": 8}], {"type": "RMSprop", "global_clipnorm": 1.0}),
}  # fmt: skip


def document(shape, batch_size, layers, optimizer, **train):
    return {
        "seed": 3,
        "data": {
            "type": "sklearn",
            "dataset": "digits",
            "shape": shape,
            "split": {"validation": 0.2, "test": 0.1},
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


def group(place, configs, size):
    """Have processes train these configs together."""
    addresses = [f"127.0.0.1:{port}" for port in _free_ports(size)]
    processes = []
    for rank in range(size):
        cluster = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": rank}}
        task = {"rank": rank, "size": size, "configs": configs, "place": str(place)}
        processes.append(
            subprocess.Popen(
                [sys.executable, GROUP, json.dumps(task)],
                env=os.environ | {"TF_CONFIG": json.dumps(cluster), "PYTHONPATH": str(GROUP.parents[2])},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
    outputs = [process.communicate(timeout=240)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * size, outputs


def weights(run):
    import keras

    return keras.models.load_model(run / "model.keras").get_weights()


@pytest.mark.slow
def test_two_processes_train_as_one_does_in_memory_and_streamed(tmp_path):
    configs = []
    for name, (shape, batch_size, layers, optimizer) in MODELS.items():
        for feed in ("memory", "stream") if name != "rest" else ("memory",):
            config = document(shape, batch_size, layers, optimizer)
            config["train"]["execution"]["feed"] = feed
            path = tmp_path / f"{name}_{feed}.yaml"
            path.write_text(yaml.safe_dump(config))
            configs.append(str(path))
    group(tmp_path / "two", configs, 2)
    group(tmp_path / "one", configs, 1)
    for config in configs:
        alone, first, second = (tmp_path / place / Path(config).stem for place in ("one/0", "two/0", "two/1"))
        one, two, other = (json.loads((run / "summary.json").read_text()) for run in (alone, first, second))
        assert two["history"] == other["history"]  # what callbacks look at is the same everywhere
        for key, values in one["history"].items():
            np.testing.assert_allclose(two["history"][key], values, rtol=0, atol=2e-6, err_msg=config)
        assert two["test"] == pytest.approx(one["test"], abs=2e-6)
        for a, b, c in zip(weights(alone), weights(first), weights(second), strict=True):
            np.testing.assert_allclose(b, a, rtol=0, atol=1e-5, err_msg=config)
            np.testing.assert_array_equal(b, c)


@pytest.fixture
def launched(tmp_path):
    """Starts ``layercli launch --workers 2`` on a training of two thousand steps, in a folder of its own."""
    started = []

    def launched(folder, *options):
        place = tmp_path / folder
        place.mkdir()
        layers = [{"type": "Dense", "units": 16, "activation": "relu"}, {"type": "Dropout", "rate": 0.1}]
        config = document([64], 32, layers, "Adam", epochs=50, checkpoints={"steps": 23})
        (place / "config.yaml").write_text(yaml.safe_dump(config))
        command = [
            sys.executable,
            "-m",
            "layercli",
            "launch",
            "--workers",
            "2",
            *options,
            "--",
            "train",
            "config.yaml",
        ]
        process = subprocess.Popen(
            command, cwd=place, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        started.append(process)
        return place, process

    yield launched
    for process in started:
        process.kill()
        process.communicate()


def members(launcher):
    """The processes of a launcher's group."""
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(launcher.pid)], capture_output=True, text=True)
    return [int(line) for line in listed.stdout.split()]


def epochs(place):
    history = place / "runs" / "config" / "1" / "history.jsonl"
    return len(history.read_text().splitlines()) if history.exists() else 0


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("ps") is None, reason="ps is not installed")
def test_a_group_of_which_members_are_killed_ends_with_the_weights_of_an_undisturbed_one(launched):
    kills = int(os.environ.get("LAYERCLI_TEST_KILLS", "2"))
    quiet, undisturbed = launched("undisturbed")
    assert undisturbed.wait(timeout=120) == 0, undisturbed.stdout.read()
    place, launcher = launched("disturbed", "--restarts", str(kills))
    for _ in range(kills):
        before, until = epochs(place), time.monotonic() + 60
        while launcher.poll() is None and epochs(place) == before and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(random.uniform(0, 0.3))
        if launcher.poll() is None:
            os.kill(random.choice(members(launcher)), signal.SIGKILL)
            time.sleep(1)
    output, _ = launcher.communicate(timeout=120)
    assert launcher.returncode == 0, output
    assert (
        output.count("A worker was ended by SIGKILL; the group begins again from the last checkpoint")
        == kills
    )
    runs = [folder / "runs" / "config" / "1" for folder in (quiet, place)]
    for a, b in zip(weights(runs[0]), weights(runs[1]), strict=True):
        np.testing.assert_array_equal(a, b)
    histories = [
        [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()] for run in runs
    ]
    losses = [[record["loss"] for record in history] for history in histories]
    assert losses[0] == losses[1]
    assert len(losses[0]) == 50


@pytest.mark.slow
def test_sigterm_ends_a_group_between_two_steps_with_a_checkpoint(launched):
    place, launcher = launched("stopped")
    until = time.monotonic() + 60
    while not epochs(place) and launcher.poll() is None and time.monotonic() < until:
        time.sleep(0.05)
    launcher.send_signal(signal.SIGTERM)
    output, _ = launcher.communicate(timeout=60)
    assert launcher.returncode == 143, output
    assert "Traceback" not in output
    assert "Go on with" in output
    run = place / "runs" / "config" / "1"
    assert not (run / "model.keras").exists()
    assert [entry for entry in (run / "checkpoints").iterdir() if not entry.name.startswith(".")]


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


@pytest.mark.slow
def test_a_network_that_is_cut_is_reported_within_thirty_seconds(two_hosts, tmp_path):
    config = document([64], 32, [], "Adam", epochs=100000)
    processes, places = [], []
    for rank, name in enumerate(two_hosts):
        place = tmp_path / name
        place.mkdir()
        (place / "config.yaml").write_text(yaml.safe_dump(config))
        addresses = ["10.231.7.1:2222", "10.231.7.2:2222"]
        cluster = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": rank}}
        command = [
            "ip",
            "netns",
            "exec",
            name,
            sys.executable,
            "-m",
            "layercli",
            "train",
            "config.yaml",
            "--json",
        ]
        processes.append(
            subprocess.Popen(
                command,
                cwd=place,
                env=os.environ | {"TF_CONFIG": json.dumps(cluster)},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        places.append(place)
    try:
        until = time.monotonic() + 60
        while not epochs(places[0]) and time.monotonic() < until:
            time.sleep(0.05)
        assert epochs(places[0])
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
