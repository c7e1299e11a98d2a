"""Stages equal a Keras script that freezes and compiles again, and resume exactly inside a stage and between two."""

import json

import keras
import numpy as np
import pytest
import yaml
from sklearn.datasets import load_digits

from layercli import api
from layercli.engine.load_model import load_model
from layercli.engine.training.stages import compile_stage
from layercli.runs.checkpoints import CheckpointDirectory
from tests.interrupting import Killed, assert_same, at_block, kill, outcome
from tests.running import invoke, train

EXAMPLES, STEPS = 96, 3
BODY = ["body*"]


def write(directory, stages, **section):
    """Write a config with a batch normalization in its body, and return its path."""
    rows = load_digits()
    np.savez(directory / "d.npz", x=rows.data[:EXAMPLES].astype("float32") / 16, y=rows.target[:EXAMPLES])
    layers = [
        {"type": "Dense", "name": "body_1", "units": 8, "activation": "relu"},
        {"type": "BatchNormalization", "name": "body_2", "momentum": 0.5},
        {"type": "Dense", "name": "head", "units": 10, "activation": "softmax"},
    ]
    document = {
        "data": {"type": "npz", "path": "d.npz", "features": "x", "target": "y", "shuffle": False},
        "model": {"input": [64], "layers": layers},
        "train": {
            "batch_size": 32,
            "loss": "sparse_categorical_crossentropy",
            "metrics": ["accuracy"],
            "optimizer": {"type": "Adam", "learning_rate": 0.01},
            "execution": {"steps_per_execution": 2, "jit_compile": False},
            "stages": stages,
        }
        | section,
    }
    path = directory / "c.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return path


def weights(run):
    model = keras.models.load_model(run / "model.keras")
    assert model.optimizer.built
    return model, [np.asarray(weight) for weight in model.weights]


def fit_with_keras(config, *, is_optimizer_new):
    """Return the weights of a script in plain Keras that trains the two stages from the same initial weights."""
    rows = load_digits()
    x, y = rows.data[:EXAMPLES].astype("float32") / 16, rows.target[:EXAMPLES].astype("int32")
    model = api.build(config)
    optimizer = keras.optimizers.Adam(0.01)
    if not is_optimizer_new:
        optimizer.build(model.trainable_variables)
    body = [model.get_layer("body_1"), model.get_layer("body_2")]
    before = [np.asarray(weight) for layer in body for weight in layer.weights]
    for epochs, is_frozen in ((2, True), (1, False)):
        for layer in body:
            layer.trainable = not is_frozen
        if is_optimizer_new and not is_frozen:
            optimizer = keras.optimizers.SGD(0.1)
        model.compile(optimizer, "sparse_categorical_crossentropy", jit_compile=False)
        model.fit(x, y, batch_size=32, epochs=epochs, shuffle=False, verbose=0)
        if is_frozen:
            after = [np.asarray(weight) for layer in body for weight in layer.weights]
            assert all(map(np.array_equal, before, after))
    return [np.asarray(weight) for weight in model.weights]


@pytest.mark.parametrize("is_optimizer_new", [True, False])
def test_stages_equal_plain_keras(is_optimizer_new, tmp_path):
    second = {"epochs": 1} | (
        {"optimizer": {"type": "SGD", "learning_rate": 0.1}} if is_optimizer_new else {}
    )
    config = write(tmp_path, [{"epochs": 2, "freeze": BODY}, second])
    run = train(config, tmp_path / "run")
    assert run.result.exit_code == 0, run.result.output
    model, ours = weights(run.path)
    theirs = fit_with_keras(config, is_optimizer_new=is_optimizer_new)
    assert all(map(np.array_equal, ours, theirs))
    assert all(layer.trainable for layer in model.layers)
    records = [json.loads(line) for line in (run.path / "history.jsonl").read_text().splitlines()]
    assert [(record["epoch"], record["stage"]) for record in records] == [(1, 1), (2, 1), (3, 2)]


def test_statistics_of_a_frozen_batch_normalization_stay(tmp_path):
    config = write(tmp_path, [{"epochs": 1, "freeze": BODY}])
    _, ours = weights(train(config, tmp_path / "run").path)
    assert np.array_equal(ours[4], np.zeros(8))  # the moving mean
    assert np.array_equal(ours[5], np.ones(8))


STAGES = [
    {
        "epochs": 3,
        "freeze": BODY,
        "callbacks": [{"type": "EarlyStopping", "monitor": "loss", "min_delta": 9}],
    },
    {"epochs": 1, "callbacks": [{"type": "CSVLogger", "filename": "log.csv"}]},
    {"epochs": 2, "freeze": ["body_1"], "optimizer": {"type": "SGD", "momentum": 0.9}},
]
STOP = {"type": "EarlyStopping", "monitor": "loss", "patience": 9, "restore_best_weights": True}


@pytest.fixture(scope="module")
def staged(tmp_path_factory):
    """A config with three stages, of which EarlyStopping ends the first after two epochs, and its result."""
    directory = tmp_path_factory.mktemp("staged")
    config = write(directory, STAGES, callbacks=[STOP], checkpoints={"steps": 2})
    run = train(config, directory / "run")
    assert run.result.exit_code == 0, run.result.output
    return config, run, outcome(run.path)


def test_stopped_stage_continues_with_the_next_one(staged):
    _, run, expected = staged
    assert [record["stage"] for record in expected["history"]] == [1, 1, 2, 3, 3]
    assert expected["callbacks"][0]["best_epoch"] == 4  # over the whole training
    assert run.summary["stop_reason"] == "The training ended because all 3 stages are done, after 5 epochs."
    assert "Stage 1 ended after 2 of its 3 epochs." in run.summary["notes"]


@pytest.mark.parametrize("block", [3, 8])
def test_resume_in_and_between_stages_is_exact(block, staged, tmp_path, monkeypatch):
    config, _, expected = staged
    with monkeypatch.context() as patch:
        at_block(patch, block, kill)
        with pytest.raises(Killed):
            train(config, tmp_path / "run")
    result = invoke("train", "--resume", tmp_path / "run")
    assert result.exit_code == 0, result.output
    assert_same(outcome(tmp_path / "run"), expected)


def test_kill_after_the_last_epoch_of_a_stage_is_exact(staged, tmp_path, monkeypatch):
    config, _, expected = staged
    with monkeypatch.context() as patch:
        patch.setattr("layercli.engine.training.fit.compile_stage", _kill_at_second_call())
        with pytest.raises(Killed):
            train(config, tmp_path / "run")
    checkpoint, _ = CheckpointDirectory(tmp_path / "run").read_latest()
    assert (checkpoint.epoch, checkpoint.step) == (3, 0)
    result = invoke("train", "--resume", tmp_path / "run")
    assert result.exit_code == 0, result.output
    assert_same(outcome(tmp_path / "run"), expected)


def _kill_at_second_call():
    calls = []

    def compile_or_kill(*args):
        calls.append(args)
        return kill() if len(calls) == 2 else compile_stage(*args)

    return compile_or_kill


def test_export_has_the_optimizer_of_the_stage_that_was_last(tmp_path):
    stages = [{"epochs": 2, "freeze": BODY}, {"epochs": 1, "optimizer": "SGD"}]
    run = train(write(tmp_path, stages, until={"steps": STEPS}), tmp_path / "run")
    assert run.result.exit_code == 0, run.result.output
    valid = api.load(run.path / "config.yaml")
    model = load_model(run.path, valid, train=valid.config.train)
    assert type(model.optimizer).__name__ == "Adam"
    assert int(model.optimizer.iterations) == STEPS
    assert len(model.optimizer.variables) == 2 + 2 * 2  # the moments of the head
