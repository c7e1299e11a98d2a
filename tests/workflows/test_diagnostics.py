"""Diagnostics of a training: they do not change it, survive kills, and name planted faults at their line."""

import json

import pytest

from tests.interrupting import Killed, assert_same, at_block, kill, outcome, write
from tests.running import invoke, line_of, train, write_config


def read_lines(run):
    return (run / "diagnostics.jsonl").read_text().splitlines()


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """The outcome of a training with dropout, batch statistics and a schedule, without diagnostics."""
    directory = tmp_path_factory.mktemp("plain")
    return outcome(train(write("dense", directory), directory / "run").path)


@pytest.fixture(scope="module")
def diagnosed(tmp_path_factory):
    """The config and run of the same training with diagnostics."""
    directory = tmp_path_factory.mktemp("diagnosed")
    config = write("dense", directory, diagnostics=True)
    run = train(config, directory / "run")
    assert run.result.exit_code == 0, run.result.output
    return config, run.path


def test_weights_are_bit_equal_with_and_without_diagnostics(plain, diagnosed):
    assert_same(outcome(diagnosed[1]), plain)


def test_file_has_the_initial_state_and_each_epoch(diagnosed):
    records = [json.loads(line) for line in read_lines(diagnosed[1])]
    assert [record["epoch"] for record in records] == [0, 1, 2, 3, 4]
    names = ["normalization", "dense", "batch_normalization", "dropout", "dense_1"]
    assert [[layer["layer"] for layer in record["layers"]] for record in records] == [names] * 5
    manifest = json.loads((diagnosed[1] / "manifest.json").read_text())
    assert "diagnostics.jsonl" in manifest["files"]


@pytest.mark.parametrize("blocks", [(1, 0), (8, 3)], ids=["first epoch", "later"])
def test_killed_and_resumed_training_has_the_same_records(diagnosed, tmp_path, monkeypatch, blocks):
    config, uninterrupted = diagnosed
    run = tmp_path / "run"
    for number in blocks:
        at_block(monkeypatch, number, kill)
        start = ["--resume", run] if run.exists() else [config, "--run-dir", run]
        with pytest.raises(Killed):
            invoke("train", *start, "--json")
        monkeypatch.undo()
    assert invoke("train", "--resume", run, "--json").exit_code == 0
    assert read_lines(run) == read_lines(uninterrupted)


def test_diverged_training_names_the_rate_and_the_first_nan(tmp_path):
    optimizer = {"type": "SGD", "learning_rate": 1e6}
    section = {"epochs": 2, "loss": "mse", "optimizer": optimizer, "diagnostics": True}
    data = {"type": "sklearn", "dataset": "diabetes"}
    layers = [{"type": "Dense", "units": 4, "name": "first"}, {"type": "Dense", "units": 1}]
    config = write_config(tmp_path, layers, data=data, train=section)
    run = train(config, tmp_path / "run")
    found = [(one["code"], one["line"]) for one in json.loads(run.result.stdout)["problems"]]
    assert found == [
        ("loss-not-finite", line_of(config, "loss: mse")),
        ("exploding-gradient", line_of(config, "learning_rate: 1000000.0")),
    ]
    assert json.loads(read_lines(run.path)[-1])["first_non_finite"] == "first"


def test_frozen_random_layer_is_named_at_its_line(tmp_path):
    layers = [
        {"type": "Dense", "units": 8, "activation": "relu", "trainable": False},
        {"type": "Dense", "units": 3, "activation": "softmax"},
    ]
    section = {"loss": "sparse_categorical_crossentropy", "diagnostics": True}
    config = write_config(tmp_path, layers, train=section)
    problems = train(config, tmp_path / "run").summary["problems"]
    assert [(one["code"], one["line"]) for one in problems] == [
        ("not-learning", line_of(config, "trainable"))
    ]


def test_error_that_ends_a_training_is_recorded_until_it_is_resumed(tmp_path):
    optimizer = {"type": "SGD", "learning_rate": 1e6}
    section = {"epochs": 1, "loss": "mse", "optimizer": optimizer}
    data = {"type": "sklearn", "dataset": "diabetes"}
    config = write_config(tmp_path, [{"type": "Dense", "units": 1}], data=data, train=section)
    run = train(config, tmp_path / "run").path
    ended = json.loads((run / "manifest.json").read_text())["ended"]
    assert ended["code"] == "loss-not-finite"
    assert ended["message"].startswith("Training stopped: the loss became ")
    rate = ("--allow-changes", "--set", "train.optimizer.learning_rate=0.001")
    assert invoke("train", "--resume", run, "--json", *rate).exit_code == 0
    assert "ended" not in json.loads((run / "manifest.json").read_text())
