"""A training that goes on under another config, where that is allowed: what is kept, and what the config says now."""

import json

import numpy as np
import pytest

from layercli.config.training.resume_changes import ResumeChanges
from layercli.runs.checkpoints import CheckpointDirectory
from tests.interrupting import at_block, interrupt
from tests.running import IRIS, invoke, train

CALLBACKS = (
    "train.callbacks=[{type: ReduceLROnPlateau, monitor: loss, patience: 1, min_delta: 9, factor: 0.5}]"
)


@pytest.fixture
def begun(iris, tmp_path):
    """Four epochs; a callback halves the rate of 0.02 after each but the first."""
    return train(
        iris,
        tmp_path / "run",
        "--set",
        CALLBACKS,
        "--set",
        "train.epochs=4",
        "--set",
        "train.checkpoints.epochs=1",
    ).path


def go_on(run, *changes):
    """The messages and the checkpoint of one epoch more."""
    options = [word for change in ("train.epochs=5", *changes) for word in ("--set", change)]
    result = invoke("train", "--resume", run, "--allow-changes", "--json", *options)
    assert result.exit_code == 0, result.output
    kept, _ = CheckpointDirectory(run).read_latest()
    names = {name: kept.arrays[f"optimizer/{index}"] for index, name in enumerate(kept.state["optimizer"])}
    return result.stderr, names, json.loads(result.stdout)


def rates(summary):
    return [round(rate, 6) for rate in summary["history"]["learning_rate"]]


def test_a_rate_that_a_callback_reached_is_kept_where_the_config_says_no_other(begun):
    said, names, summary = go_on(begun, "train.optimizer.beta_1=0.8")
    assert rates(summary) == [0.02, 0.02, 0.01, 0.005, 0.0025]
    assert names["iteration#0"] == 15
    assert "Changed: `train.optimizer.beta_1` is 0.8; the run was begun with 0.9." in said
    assert (
        "Kept: weights, random numbers, the optimizer's state, the learning rate, ReduceLROnPlateau." in said
    )


def test_another_rate_of_the_config_is_the_new_rate_and_the_rest_of_the_optimizer_is_kept(begun):
    said, names, summary = go_on(begun, "train.optimizer.learning_rate=0.3")
    assert rates(summary)[-1] == 0.3
    assert names["iteration#0"] == 15
    kept = "Kept: weights, random numbers, the optimizer's state, ReduceLROnPlateau. Reset: the learning rate 0.3."
    assert kept in said
    again = json.loads((begun / "manifest.json").read_text())["resumed"][-1]
    assert again["changes"] == ["`train.optimizer.learning_rate` is 0.3; the run was begun with 0.02."]


def test_a_schedule_instead_of_a_number_goes_on_at_the_step_that_was_reached(begun):
    schedule = "{type: PiecewiseConstantDecay, boundaries: [11], values: [0.5, 0.001]}"
    said, names, _ = go_on(begun, f"train.optimizer.learning_rate={schedule}", "train.callbacks=[]")
    assert "Reset: the learning rate PiecewiseConstantDecay." in said
    assert names["iteration#0"] == 15
    assert "learning_rate#0" not in names


def test_another_optimizer_begins_anew(begun):
    said, names, _ = go_on(begun, "train.optimizer={type: SGD, learning_rate: 0.1}")
    assert names["iteration#0"] == 3
    assert "Reset: the optimizer SGD, the learning rate 0.1." in said


def test_a_callback_that_was_added_begins_anew_and_another_keeps_its_memory(begun):
    stop = "{type: EarlyStopping, monitor: loss, patience: 9}"
    plateau = CALLBACKS.partition("[")[2][:-1].replace("factor: 0.5", "factor: 0.1")
    said, _, summary = go_on(begun, f"train.callbacks=[{stop}, {plateau}]")
    assert "the learning rate, ReduceLROnPlateau. Reset: EarlyStopping." in said
    assert rates(summary)[-1] == 0.0025
    kept, _ = CheckpointDirectory(begun).read_latest()
    assert kept.state["callbacks"][0]["wait"] == 0


def test_metrics_may_be_others(begun):
    said, _, summary = go_on(begun, "train.metrics=[]")
    assert "Reset: metrics of the current epoch." in said
    assert list(summary["test"]) == ["loss"]


@pytest.mark.parametrize(("batch_size", "step"), [(8, 8), (64, 1), (100, 0)])
def test_inside_an_epoch_another_batch_size_goes_on_at_the_examples_that_are_not_done(
    tmp_path, batch_size, step, monkeypatch
):
    config = tmp_path / "c.yaml"
    config.write_text(IRIS)
    at_block(monkeypatch, 2, interrupt)
    sets = ("train.execution.steps_per_execution=1", "train.checkpoints.steps=1")
    train(config, tmp_path / "run", *(word for one in sets for word in ("--set", one)))
    monkeypatch.undo()
    assert CheckpointDirectory(tmp_path / "run").read_latest()[0].step == 2
    _, _, summary = go_on(tmp_path / "run", f"train.batch_size={batch_size}")
    assert summary["resumed_from"] == {"epoch": 0, "step": step}
    assert np.isfinite(summary["history"]["loss"]).all()


def test_callbacks_hand_their_memory_on_once_to_one_of_their_type_that_watches_the_same():
    section = {"optimizer": {"type": "SGD", "learning_rate": 1}, "batch_size": 1}
    section |= dict.fromkeys(("loss", "loss_weights", "metrics", "weighted_metrics"))

    def stopping(monitor, patience=0):
        return {"type": "EarlyStopping", "monitor": monitor, "mode": "auto", "patience": patience}

    before = {**section, "callbacks": [stopping("loss"), stopping("val_loss")]}
    after = {**section, "callbacks": [stopping("val_loss", 5), stopping("val_loss"), stopping("loss", 2)]}
    assert [place for _, place in ResumeChanges.between(before, after).callback_sources] == [1, None, 0]
