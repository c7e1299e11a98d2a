"""`train.until` ends a training at a checkpoint, from which it continues bit for bit; `train --smoke` keeps nothing."""

import json
import tempfile
import time
from pathlib import Path

import pytest

from layercli.runs.checkpoints import CheckpointDirectory
from tests.interrupting import Killed, assert_same, at_block, kill, outcome, write
from tests.running import invoke, problems, train

STEPS = 10
"""Steps in an epoch: 297 examples in batches of 32."""


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """A config, and the result of its training without a limit."""
    directory = tmp_path_factory.mktemp("uninterrupted")
    config = write("dense", directory, epochs=3)
    run = train(config, directory / "run")
    assert run.result.exit_code == 0, run.result.output
    return config, outcome(run.path)


def resume(run, *args):
    result = invoke("train", "--resume", run, "--json", *args)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def saved_position(run):
    checkpoint, _ = CheckpointDirectory(run).read_latest()
    return checkpoint.epoch, checkpoint.step


def test_training_in_parts_equals_one_without_a_limit(uninterrupted, tmp_path):
    config, expected = uninterrupted
    run = train(config, tmp_path / "run", "--set", "train.until.steps=13")
    assert run.result.exit_code == 0, run.result.output
    reason = "`until` ended the training in epoch 2 of 3, after step 3 of 10 (13 steps in total)."
    assert (run.summary["stop_reason"], run.summary["notes"]) == (reason, [reason])
    assert (run.summary["epochs"], len(run.summary["history"]["val_loss"])) == (2, 2)
    assert saved_position(run.path) == (1, 3)
    # The same limit counts from there; a killed training keeps its part of it.
    with pytest.MonkeyPatch.context() as patch:
        at_block(patch, 4, kill)
        with pytest.raises(Killed):
            resume(run.path)
    assert saved_position(run.path) == (1, 8)
    summary = resume(run.path)
    assert summary["resumed_from"] == {"epoch": 1, "step": 8}
    assert "epoch 3 of 3, after step 6 of 10 (26 steps in total)" in summary["stop_reason"]
    assert resume(run.path, "--set", "train.until=null")["resumed_from"] == {"epoch": 2, "step": 6}
    assert_same(outcome(run.path), expected)
    assert "is finished" in invoke("train", "--resume", run.path).output


def test_limit_at_the_end_of_an_epoch_and_after_all_epochs(uninterrupted, tmp_path):
    config, expected = uninterrupted
    run = train(config, tmp_path / "run", "--set", "train.until.steps=20")
    assert run.summary["stop_reason"] == "`until` ended the training after epoch 2 of 3 (20 steps in total)."
    assert saved_position(run.path) == (2, 0)
    summary = resume(run.path, "--set", "train.until.steps=10")
    assert summary["stop_reason"] == "The training ended because all 3 epochs are done."
    assert_same(outcome(run.path), expected)


@pytest.mark.parametrize("steps", [13, 20])
def test_training_that_is_killed_after_its_last_checkpoint_ends_there(
    steps, uninterrupted, tmp_path, monkeypatch
):
    config, _ = uninterrupted
    limit = f"train.until.steps={steps}"
    expected = train(config, tmp_path / "whole", "--set", limit)
    with monkeypatch.context() as patch:
        patch.setattr("layercli.workflows.training_run.save_model", lambda *_: kill())
        with pytest.raises(Killed):
            train(config, tmp_path / "run", "--set", limit)
    summary = resume(tmp_path / "run")
    assert summary["stop_reason"] == expected.summary["stop_reason"]
    assert_same(outcome(tmp_path / "run"), outcome(expected.path))


def test_minutes_shorter_than_a_step_end_after_the_first_call(uninterrupted, tmp_path):
    config, _ = uninterrupted
    run = train(config, tmp_path / "run", "--set", "train.until.minutes=1e-9")
    assert "in epoch 1 of 3, after step 2 of 10 (2 steps in total)" in run.summary["stop_reason"]
    assert saved_position(run.path) == (0, 2)
    assert resume(run.path)["resumed_from"] == {"epoch": 0, "step": 2}
    assert saved_position(run.path) == (0, 3)  # a checkpoint is due every 3 steps


def test_minutes_count_over_interruptions(uninterrupted, tmp_path, monkeypatch):
    config, _ = uninterrupted
    clock, read = [0.0], time.monotonic

    def one_minute_later():
        clock[0] += 60

    monkeypatch.setattr("layercli.engine.training.training_limit.time.monotonic", lambda: read() + clock[0])
    with monkeypatch.context() as patch:
        at_block(patch, 1, one_minute_later)
        at_block(patch, 3, kill)
        with pytest.raises(Killed):
            train(config, tmp_path / "run", "--set", "train.until.minutes=1.99")
    with monkeypatch.context() as patch:
        at_block(patch, 1, one_minute_later)
        assert "in epoch 1 of 3" in resume(tmp_path / "run")["stop_reason"]


def test_text_names_the_command_that_continues(uninterrupted, tmp_path):
    config, _ = uninterrupted
    run = tmp_path / "run"
    result = invoke("train", config, "--run-dir", run, "--set", "train.until.steps=1")
    lines = result.stdout.splitlines()
    assert (
        lines.count("`until` ended the training in epoch 1 of 3, after step 1 of 10 (1 step in total).") == 1
    )
    assert lines[lines.index("Next:") + 1] == f"  layercli train --resume {run}"


def test_malformed_state_of_the_limit_is_refused():
    from layercli.runs.training_state import check_training_state

    state = {"epochs": 1, "stopped": False, "elapsed": 1.0, "watch": {"seconds": 0.0, "before": 0.0}}
    state |= {"records": []}
    check_training_state(state, 0)
    good = {"seconds": 1.0, "steps": 3, "is_reached": False}
    check_training_state(state | {"until": good}, 0)
    for wrong in ({"seconds": -1}, {"steps": 1.5}, {"steps": -1}, {"steps": 10**30}, {"is_reached": 1}):
        with pytest.raises(ValueError, match="until"):
            check_training_state(state | {"until": good | wrong}, 0)


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """Use an empty folder for temporary files, and another one as the current folder."""
    folder, current = tmp_path / "temporary", tmp_path / "current"
    folder.mkdir()
    current.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.chdir(current)
    return folder


def test_smoke_test_keeps_nothing(uninterrupted, temporary):
    config, _ = uninterrupted
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("layercli.engine.training.checkpointing.is_finite", lambda _: saved.append(1) or True)
        saved = []
        result = invoke("train", config, "--smoke", "--json")
    assert result.exit_code == 0, result.output
    assert len(saved) == 1
    summary = json.loads(result.stdout)
    assert (summary["ok"], summary["run"], summary["epochs"], summary["notes"]) == (True, None, 1, [])
    assert len(summary["history"]["val_loss"]) == 1
    assert list(temporary.iterdir()) == list(Path().iterdir()) == []


def test_smoke_test_reports_errors_and_keeps_nothing(uninterrupted, temporary, monkeypatch):
    config, _ = uninterrupted
    monkeypatch.setattr("layercli.engine.training.fit.is_finite", lambda _: False)
    monkeypatch.setattr("layercli.engine.training.checkpointing.is_finite", lambda _: False)
    result = invoke("train", config, "--smoke", "--json")
    assert [code for code, _ in problems(result)] == ["loss-not-finite"]
    assert "--resume" not in result.output
    assert list(temporary.iterdir()) == list(Path().iterdir()) == []


@pytest.mark.parametrize("option", [("--run-dir", "x"), ("--resume", "x")])
def test_smoke_test_has_no_run(option, uninterrupted):
    config, _ = uninterrupted
    result = invoke("train", config, "--smoke", *option)
    assert result.exit_code == 2
    assert f"{option[0]} cannot be used with --smoke" in " ".join(result.output.split())
