"""Trainings with NaN values, full disks and damaged files: a clear error and no data loss."""

import json
import math
import os
import resource
import signal
import subprocess

import keras
import numpy as np
import pytest

from layercli.engine.training import snapshot
from layercli.engine.training.checkpointing import DivergenceGuard
from layercli.engine.training.loop import TrainingLoop
from layercli.runs.checkpoints import CheckpointDirectory
from tests.interrupting import assert_same, outcome, write
from tests.running import invoke, line_of, problems, train, write_config

HEAD = {"type": "Dense", "units": 3, "activation": "softmax"}
HUGE = "train.optimizer={type: SGD, learning_rate: {type: PiecewiseConstantDecay, boundaries: [6], values: [0.02, 1e38]}}"
"""Learns for two epochs and diverges in the third."""


def read_problem(result):
    (problem,) = json.loads(result.stdout)["problems"]
    return problem


@pytest.fixture
def diverged(iris, tmp_path):
    """A run whose loss became NaN in its third epoch."""
    run = train(
        iris,
        tmp_path / "run",
        "--set",
        HUGE,
        "--set",
        "train.epochs=5",
        "--set",
        "train.checkpoints.epochs=1",
    )
    assert problems(run.result) == [("loss-not-finite", line_of(iris, "loss:"))]
    return run


def test_last_checkpoint_before_nan_loss_is_kept_and_named(diverged):
    problem = read_problem(diverged.result)
    assert problem["message"] == (
        "Training stopped: the loss became nan in epoch 3. The last valid checkpoint is from the end of epoch 2."
    )
    assert f"`layercli train --resume {diverged.path} --allow-changes --set" in problem["hint"]
    assert not (diverged.path / "model.keras").exists()
    kept, damaged = CheckpointDirectory(diverged.path).read_latest()
    assert (kept.epoch, kept.step, damaged) == (2, 0, [])
    assert all(np.isfinite(array).all() for array in kept.arrays.values())


def test_resume_after_nan_with_lower_learning_rate(diverged):
    rate = "train.optimizer.learning_rate=0.01"
    result = invoke("train", "--resume", diverged.path, "--json", "--allow-changes", "--set", rate)
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)
    assert (summary["epochs"], summary["resumed_from"]) == (5, {"epoch": 2, "step": 0})
    assert all(map(math.isfinite, summary["history"]["loss"]))


def test_nan_loss_without_checkpoint_names_none(iris, tmp_path):
    run = train(iris, tmp_path / "run", "--set", HUGE.replace("[6]", "[0]"))
    assert read_problem(run.result)["message"] == "Training stopped: the loss became inf in epoch 1."


def test_infinite_weights_are_not_saved_as_model(tmp_path):
    data = {"type": "sklearn", "dataset": "diabetes"}
    section = {
        "batch_size": 442,
        "loss": "mean_squared_error",
        "optimizer": {
            "type": "SGD",
            "learning_rate": {"type": "PiecewiseConstantDecay", "boundaries": [9], "values": [1e38, 1e38]},
        },
    }
    config = write_config(tmp_path, [{"type": "Dense", "units": 1}], data=data, train=section)
    run = train(config, tmp_path / "run")
    assert problems(run.result) == [("loss-not-finite", line_of(config, "loss:"))]
    assert read_problem(run.result)["message"] == "Weights became NaN or infinite in the last steps."
    assert not (run.path / "model.keras").exists()


def test_accumulated_gradients_must_be_finite():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(gradient_accumulation_steps=4), "mse")
    model.optimizer.build(model.trainable_variables)
    assert snapshot.is_finite(model)
    summed = next(one for one in model.optimizer.variables if "accumulator" in one.path)
    summed.assign(np.full(summed.shape, np.nan))
    assert not snapshot.is_finite(model)


CAREFUL = "def call(self, inputs):\n    return inputs"


def test_custom_layer_hides_neither_nan_nor_signal(tmp_path, layer_file, monkeypatch):
    config = write_config(tmp_path, [{"type": layer_file(CAREFUL)}, HEAD])
    args = ("--trust", "--set", HUGE.replace("[6]", "[1]"), "--set", "train.epochs=4")
    assert problems(train(config, tmp_path / "nan", *args).result) == [
        ("loss-not-finite", line_of(config, "loss:"))
    ]
    before = DivergenceGuard.on_train_batch_end

    def on_train_batch_end(self, batch, logs=None):
        os.kill(os.getpid(), signal.SIGTERM)
        before(self, batch, logs)

    monkeypatch.setattr(DivergenceGuard, "on_train_batch_end", on_train_batch_end)
    result = train(config, tmp_path / "run", "--trust").result
    assert (result.exit_code, read_problem(result)["code"]) == (143, "interrupted")


@pytest.fixture
def validated(monkeypatch):
    """Make each validation return the next of these losses, and the last one after that."""

    def validated(*losses):
        left = list(losses)

        def evaluate(self, feed, callbacks=None):  # noqa: ARG001
            return {"loss": left.pop(0) if len(left) > 1 else left[0]}

        monkeypatch.setattr(TrainingLoop, "evaluate", evaluate)

    return validated


STOPPING = (
    "train.callbacks=[{type: EarlyStopping, patience: 3, restore_best_weights: true}, ReduceLROnPlateau]"
)


def test_nan_is_never_the_best_epoch(iris, tmp_path, validated):
    validated(math.nan, 3.0, math.nan, 2.0, 2.5)
    args = ("--set", STOPPING, "--set", "train.epochs=9", "--set", "data.split={validation: 0.2}")
    run = train(iris, tmp_path / "run", *args)
    assert run.summary["epochs"] == 7
    assert (run.summary["best"]["epoch"], run.summary["best"]["val_loss"]) == (4, 2.0)
    assert run.summary["history"]["val_loss"][:5] == [None, 3.0, None, 2.0, 2.5]


def test_all_nan_metric_stops_after_patience(iris, tmp_path, validated):
    validated(math.nan)
    args = ("--set", STOPPING, "--set", "train.epochs=9", "--set", "data.split={validation: 0.2}")
    run = train(iris, tmp_path / "run", *args)
    assert run.result.exit_code == 0, run.result.output
    assert run.summary["epochs"] == 3
    shown = invoke("train", iris, "--run-dir", tmp_path / "shown", *args)
    assert shown.exit_code == 0, shown.output


def test_training_restarts_if_all_checkpoints_are_damaged(iris, tmp_path):
    whole = train(iris, tmp_path / "whole", "--set", "train.epochs=3")
    run = train(iris, tmp_path / "run")
    for kept in (run.path / "checkpoints").glob("0*"):
        (kept / "arrays.npz").unlink()
    result = invoke("train", "--resume", run.path, "--json", "--set", "train.epochs=3")
    assert (
        result.stderr.count(
            "there is no previous checkpoint, so training restarts from scratch. [damaged-checkpoint]"
        )
        >= 1
    )
    assert json.loads(result.stdout)["history"] == whole.summary["history"]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """The outcome of an uninterrupted training of the dense stack."""
    directory = tmp_path_factory.mktemp("uninterrupted")
    run = train(write("dense", directory), directory / "run")
    assert run.result.exit_code == 0, run.result.output
    return outcome(run.path)


@pytest.fixture
def disk(tmp_path):
    """Mount a disk of this size in KiB if permitted; call ``disk(size)`` again to enlarge it."""
    place = tmp_path / "disk"
    place.mkdir()

    def mount(*options):
        command = ["mount", "-t", "tmpfs", "-o", ",".join(options), "none", str(place)]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("nothing may be mounted here")

    mounted = []

    def disk(kibibytes):
        mount(*mounted, f"size={kibibytes}k")
        mounted[:] = ["remount"]
        return place

    try:
        yield disk
    finally:
        if mounted:
            subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("kibibytes", [8, 60, 140, 200])
def test_full_file_system_stops_training_without_data_loss(kibibytes, disk, uninterrupted, tmp_path):
    config = write("dense", tmp_path, checkpoints={"steps": 3, "keep": 50})
    run = disk(kibibytes) / "run"
    result = train(config, run).result
    assert problems(result) == [("cannot-write", None)]
    assert read_problem(result)["message"].startswith("The disk is full")
    disk(64_000)
    if run.exists():
        assert (
            read_problem(result)["hint"]
            == f"Free disk space; then resume with `layercli train --resume {run}`."
        )
        again = invoke("train", "--resume", run, "--json")
        assert again.exit_code == 0, again.output
    else:
        assert read_problem(result)["hint"] == "Free disk space; then train again."
        assert train(config, run).result.exit_code == 0
    assert_same(outcome(run), uninterrupted)


@pytest.fixture
def read_only():
    """Make a directory read-only if mounting is permitted."""
    places = []

    def read_only(place):
        for options in (["--bind", place, place], ["-o", "remount,bind,ro", place]):
            if subprocess.run(["mount", *options], capture_output=True, check=False).returncode:
                pytest.skip("nothing may be mounted here")
        places.append(place)

    yield read_only
    for place in places:
        subprocess.run(["umount", place], capture_output=True, check=False)


def spoiled(monkeypatch, spoil):
    """Damage the disk when the third checkpoint is written."""
    save, left = np.savez, [2]

    def savez(file, **arrays):
        left[0] -= 1
        if left[0] < 0:
            spoil()
        save(file, **arrays)

    monkeypatch.setattr(np, "savez", savez)


def test_read_only_run_directory_keeps_checkpoints(read_only, uninterrupted, tmp_path, monkeypatch):
    config = write("dense", tmp_path)
    run = tmp_path / "run"
    before = CheckpointDirectory.save

    def save(self, *args):
        if len(list(run.glob("checkpoints/0*"))) == 3:
            read_only(run)
        return before(self, *args)

    monkeypatch.setattr(CheckpointDirectory, "save", save)
    result = train(config, run).result
    assert problems(result) == [("cannot-write", None)]
    assert "Read-only file system" in read_problem(result)["message"]
    assert len(list(run.glob("checkpoints/0*"))) == 3
    monkeypatch.undo()
    result = invoke("train", "--resume", run, "--json")
    assert problems(result) == [("run-in-use", None)]
    assert read_problem(result)["message"] == "The run directory cannot be written: Read-only file system."
    subprocess.run(["umount", run], check=True)
    assert invoke("train", "--resume", run).exit_code == 0
    assert_same(outcome(run), uninterrupted)


def test_file_size_limit_acts_like_full_disk(uninterrupted, tmp_path, monkeypatch):
    config = write("dense", tmp_path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    spoiled(monkeypatch, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1])))
    try:
        run = train(config, tmp_path / "run")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert problems(run.result) == [("cannot-write", None)]
    monkeypatch.undo()
    assert invoke("train", "--resume", run.path).exit_code == 0
    assert_same(outcome(run.path), uninterrupted)
