"""Resume with a changed config: which state is kept, and which values are new."""

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
def started_run(iris, tmp_path):
    """Four epochs; a callback halves the learning rate of 0.02 after each epoch except the first."""
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


def resume_with(run, *changes):
    """Train one more epoch. Return the messages and the checkpoint."""
    options = [word for change in ("train.epochs=5", *changes) for word in ("--set", change)]
    result = invoke("train", "--resume", run, "--allow-changes", "--json", *options)
    assert result.exit_code == 0, result.output
    kept, _ = CheckpointDirectory(run).read_latest()
    names = {name: kept.arrays[f"optimizer/{index}"] for index, name in enumerate(kept.state["optimizer"])}
    return result.stderr, names, json.loads(result.stdout)


def rates(summary):
    return [round(rate, 6) for rate in summary["history"]["learning_rate"]]


def test_learning_rate_of_callback_is_kept_if_config_is_unchanged(started_run):
    messages, names, summary = resume_with(started_run, "train.optimizer.beta_1=0.8")
    assert rates(summary) == [0.02, 0.02, 0.01, 0.005, 0.0025]
    assert names["iteration#0"] == 15
    assert "Changed: `train.optimizer.beta_1` is 0.8, but the run started with 0.9." in messages
    assert (
        "Kept: weights, random numbers, the optimizer's state, the learning rate, ReduceLROnPlateau."
        in messages
    )


def test_changed_learning_rate_keeps_optimizer_state(started_run):
    messages, names, summary = resume_with(started_run, "train.optimizer.learning_rate=0.3")
    assert rates(summary)[-1] == 0.3
    assert names["iteration#0"] == 15
    kept = "Kept: weights, random numbers, the optimizer's state, ReduceLROnPlateau. Reset: the learning rate 0.3."
    assert kept in messages
    again = json.loads((started_run / "manifest.json").read_text())["resumed"][-1]
    assert again["changes"] == ["`train.optimizer.learning_rate` is 0.3, but the run started with 0.02."]


def test_new_schedule_starts_at_current_step(started_run):
    schedule = "{type: PiecewiseConstantDecay, boundaries: [11], values: [0.5, 0.001]}"
    messages, names, _ = resume_with(
        started_run, f"train.optimizer.learning_rate={schedule}", "train.callbacks=[]"
    )
    assert "Reset: the learning rate PiecewiseConstantDecay." in messages
    assert names["iteration#0"] == 15
    assert "learning_rate#0" not in names


def test_changed_optimizer_starts_from_scratch(started_run):
    messages, names, _ = resume_with(started_run, "train.optimizer={type: SGD, learning_rate: 0.1}")
    assert names["iteration#0"] == 3
    assert "Reset: the optimizer SGD, the learning rate 0.1." in messages


def test_added_callback_starts_fresh_and_existing_keeps_state(started_run):
    stop = "{type: EarlyStopping, monitor: loss, patience: 9}"
    plateau = CALLBACKS.partition("[")[2][:-1].replace("factor: 0.5", "factor: 0.1")
    messages, _, summary = resume_with(started_run, f"train.callbacks=[{stop}, {plateau}]")
    assert "the learning rate, ReduceLROnPlateau. Reset: EarlyStopping." in messages
    assert rates(summary)[-1] == 0.0025
    kept, _ = CheckpointDirectory(started_run).read_latest()
    assert kept.state["callbacks"][0]["wait"] == 0


def test_metrics_can_change(started_run):
    messages, _, summary = resume_with(started_run, "train.metrics=[]")
    assert "Reset: metrics of the current epoch." in messages
    assert list(summary["test"]) == ["loss"]


@pytest.mark.parametrize(("batch_size", "step"), [(8, 8), (64, 1), (100, 0)])
def test_changed_batch_size_continues_at_remaining_examples(tmp_path, batch_size, step, monkeypatch):
    config = tmp_path / "c.yaml"
    config.write_text(IRIS)
    at_block(monkeypatch, 2, interrupt)
    sets = ("train.execution.steps_per_execution=1", "train.checkpoints.steps=1")
    train(config, tmp_path / "run", *(word for one in sets for word in ("--set", one)))
    monkeypatch.undo()
    assert CheckpointDirectory(tmp_path / "run").read_latest()[0].step == 2
    _, _, summary = resume_with(tmp_path / "run", f"train.batch_size={batch_size}")
    assert summary["resumed_from"] == {"epoch": 0, "step": step}
    assert np.isfinite(summary["history"]["loss"]).all()


def test_resumed_callback_inherits_state_by_type_and_monitor():
    section = {"optimizer": {"type": "SGD", "learning_rate": 1}, "batch_size": 1}
    section |= dict.fromkeys(("loss", "loss_weights", "metrics", "weighted_metrics"))

    def stopping(monitor, patience=0):
        return {"type": "EarlyStopping", "monitor": monitor, "mode": "auto", "patience": patience}

    before = {**section, "callbacks": [stopping("loss"), stopping("val_loss")]}
    after = {**section, "callbacks": [stopping("val_loss", 5), stopping("val_loss"), stopping("loss", 2)]}
    assert [place for _, place in ResumeChanges.from_sections(before, after).callback_sources] == [1, None, 0]
