"""A resumed training ends with the same weights and history as an uninterrupted one, bit for bit."""

import errno
import json
import os
import random
import shutil
from functools import partial

import keras
import numpy as np
import pytest

from layercli.check import check_config, require_valid
from layercli.config.training.registry import CALLBACKS
from layercli.engine.training import snapshot
from layercli.engine.training.callback_state import CALLBACK_STATE_ATTRIBUTES
from layercli.workflows import resume as resume_workflow
from tests.interrupting import STACKS, Killed, assert_same, at_block, kill, outcome, write
from tests.running import invoke, line_of, problems, train

RANDOM = {kind: random.Random(kind) for kind in STACKS}
KILLS = {kind: (moments.randrange(2, 30), moments.randrange(1, 6)) for kind, moments in RANDOM.items()}
"""The blocks at which a training is killed, and then the resumed one, soon after."""
COPIED_BLOCKS = {kind: {first} for kind, (first, _) in KILLS.items()}
COPIED_BLOCKS["dense"] |= {0, 15}
"""The blocks at which the directory of an uninterrupted run is copied: a kill there leaves the same files."""


@pytest.fixture(scope="session")
def alone(tmp_path_factory):
    """Configs, and the results of their uninterrupted trainings."""
    found = {}

    def alone(kind):
        if kind not in found:
            directory = tmp_path_factory.mktemp(kind)
            config = write(kind, directory)
            with pytest.MonkeyPatch.context() as patch:
                for block in COPIED_BLOCKS[kind]:
                    copy = partial(shutil.copytree, directory / "run", directory / f"block-{block}")
                    at_block(patch, block, copy)
                run = train(config, directory / "run")
            assert run.result.exit_code == 0, run.result.output
            found[kind] = (config, outcome(run.path))
        return found[kind]

    return alone


@pytest.fixture(scope="module")
def one_epoch(alone, tmp_path_factory):
    """A run that finished its only epoch."""
    config, _ = alone("dense")
    run = train(config, tmp_path_factory.mktemp("one_epoch") / "run", "--set", "train.epochs=1")
    assert run.result.exit_code == 0, run.result.output
    return run.path


@pytest.fixture
def start_killed(alone, tmp_path):
    """Return a function that makes the run of a training that was killed at a block."""

    def start_killed(kind, block):
        config, _ = alone(kind)
        run = shutil.copytree(config.parent / f"block-{block}", tmp_path / "run")
        assert not (run / "model.keras").exists()
        return run

    return start_killed


def resume(run, *args):
    """``layercli train --resume --json``."""
    return invoke("train", "--resume", run, "--json", *args)


def position(result):
    """Return the finished epochs and steps from which a training that succeeded was resumed."""
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)["resumed_from"]


@pytest.fixture
def kill_at(monkeypatch):
    """End the training in the n-th block of steps from now (from 0), after Keras has run it."""

    def kill_at(block):
        at_block(monkeypatch, block, kill)

    yield kill_at
    monkeypatch.undo()


@pytest.mark.parametrize("kind", STACKS)
def test_resumed_training_matches_uninterrupted(kind, alone, tmp_path, start_killed, kill_at, monkeypatch):
    _, expected = alone(kind)
    first, second = KILLS[kind]
    start_killed(kind, first)
    kill_at(second)
    with pytest.raises(Killed):
        resume(tmp_path / "run")
    monkeypatch.undo()
    result = resume(tmp_path / "run")
    assert result.exit_code == 0, result.output
    assert_same(outcome(tmp_path / "run"), expected)
    resumed = position(result)
    assert resumed["epoch"] * 10 + resumed["step"] > 0
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert len(manifest["resumed"]) == 2


def test_finished_run_resumes_only_with_more_epochs(tmp_path):
    config = write("dense", tmp_path, callbacks=[])
    whole = train(config, tmp_path / "whole")
    run = train(config, tmp_path / "run", "--set", "train.epochs=2")
    result = resume(run.path)
    assert (result.exit_code, json.loads(result.stdout)) == (0, run.summary)
    assert f"Run {run.path} is finished" in result.stderr
    more = resume(run.path, "--set", "train.epochs=4")
    assert position(more) == {"epoch": 2, "step": 0}
    assert_same(outcome(run.path), outcome(whole.path))
    assert "epochs: 4" in (run.path / "config.yaml").read_text()


def test_run_killed_before_first_checkpoint_restarts(alone, tmp_path, start_killed):
    _, expected = alone("dense")
    assert position(resume(start_killed("dense", 0))) == {"epoch": 0, "step": 0}
    assert_same(outcome(tmp_path / "run"), expected)


def test_run_killed_after_last_step_is_completed(alone, tmp_path, monkeypatch):
    config, expected = alone("dense")

    def save(self, path):  # noqa: ARG001
        raise Killed

    monkeypatch.setattr(keras.Model, "save", save)
    with pytest.raises(Killed):
        train(config, tmp_path / "run")
    monkeypatch.undo()
    assert position(resume(tmp_path / "run")) == {"epoch": 4, "step": 0}
    assert_same(outcome(tmp_path / "run"), expected)


def test_full_disk_stops_training_and_keeps_checkpoint(alone, tmp_path, monkeypatch):
    config, expected = alone("dense")
    save, left = np.savez, [4]

    def savez(file, **arrays):
        left[0] -= 1
        if left[0] < 0:
            file.write(b"half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(file.name))
        save(file, **arrays)

    monkeypatch.setattr(np, "savez", savez)
    run = train(config, tmp_path / "run")
    assert problems(run.result) == [("cannot-write", None)]
    (problem,) = json.loads(run.result.stdout)["problems"]
    assert problem["message"].startswith("The disk is full (")
    assert problem["hint"] == f"Free disk space; then resume with `layercli train --resume {run.path}`."
    monkeypatch.undo()
    kept = sorted(path.name for path in (run.path / "checkpoints").iterdir())
    assert kept == [".lock", "000000-000000006", "000000-000000009", "000001-000000002"]
    assert position(resume(run.path)) == {"epoch": 1, "step": 2}
    assert_same(outcome(run.path), expected)


def test_damaged_checkpoint_falls_back_to_previous_with_warning(alone, tmp_path, start_killed):
    _, expected = alone("dense")
    start_killed("dense", 15)
    *_, before, last = sorted((tmp_path / "run" / "checkpoints").glob("0*"))
    arrays = last / "arrays.npz"
    content = bytearray(arrays.read_bytes())
    content[len(content) // 2] ^= 1
    arrays.write_bytes(content)
    result = resume(tmp_path / "run")
    epoch, step = (int(part) for part in before.name.split("-"))
    assert position(result) == {"epoch": epoch, "step": step}
    warning = (
        f"The checkpoint {last.name} is damaged (arrays.npz changed since); the previous checkpoint is used."
    )
    assert warning in result.stderr
    assert_same(outcome(tmp_path / "run"), expected)


def test_resume_lists_changed_config_files_and_versions(one_epoch, tmp_path):
    run = shutil.copytree(one_epoch, tmp_path / "run")
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["versions"]["keras"] = "3.0.0"
    (run / "manifest.json").write_text(json.dumps(manifest))
    with (run / "config.yaml").open("a") as file:
        file.write("# a note\n")
    changes = ("--set", "train.epochs=2", "--set", "train.batch_size=16", "--set", "model.layers[1].units=8")
    result = resume(run, *changes)
    assert problems(result) == [("resume-differs", None)] * 4
    messages = [problem["message"] for problem in json.loads(result.stdout)["problems"]]
    assert messages == [
        "config.yaml changed since the run started.",
        f"The run started with keras 3.0.0, but keras {keras.__version__} is installed.",
        "`model.layers[1].units` is 8, but the run started with 16.",
        "`train.batch_size` is 16, but the run started with 32.",
    ]
    result = resume(run, "--allow-changes", *changes)
    assert problems(result) == [("resume-differs", line_of(run / "config.yaml", "model:"))]
    (problem,) = json.loads(result.stdout)["problems"]
    assert problem["message"] == (
        "The checkpoint is from a different model: dense/kernel has shape (64, 8), but (64, 16) in the checkpoint."
    )
    assert resume(run, "--allow-changes", *changes[:4]).exit_code == 0


def test_resume_accepts_identical_config(alone, one_epoch, tmp_path):
    config, _ = alone("dense")
    assert invoke("train", config, "--resume", one_epoch, "--set", "train.epochs=1").exit_code == 0
    other = write("lstm", tmp_path)
    assert invoke("train", other, "--resume", one_epoch).exit_code == 1


def test_changed_data_is_rejected(tmp_path):
    np.savez(tmp_path / "d.npz", x=np.arange(80.0).reshape(40, 2), y=np.arange(40) % 10)
    config = write("dense", tmp_path)
    data = f"data={{type: npz, path: {tmp_path}/d.npz, features: x, target: y}}"
    flat = (
        "--set",
        data,
        "--set",
        "model.input=[2]",
        "--set",
        "train.callbacks=[]",
        "--set",
        "train.epochs=1",
    )
    started = train(config, tmp_path / "run", *flat)
    assert started.result.exit_code == 0, started.result.output
    run = started.path
    np.savez(tmp_path / "d.npz", x=np.arange(80.0).reshape(40, 2) + 1, y=np.arange(40) % 10)
    result = resume(run, "--set", "train.epochs=2")
    assert [code for code, _ in problems(result)] == ["resume-differs"]
    assert "The data changed since the run started" in result.stdout
    assert resume(run, "--set", "train.epochs=2", "--allow-changes").exit_code == 0


def test_non_run_cannot_be_resumed(tmp_path):
    assert problems(resume(tmp_path)) == [("run-directory", None)]
    assert invoke("train").exit_code == 2
    assert invoke("train", "--resume", tmp_path, "--run-dir", tmp_path).exit_code == 2


def test_run_directory_is_locked(one_epoch, tmp_path):
    from layercli.runs.lock import lock_run

    run = shutil.copytree(one_epoch, tmp_path / "run")
    with lock_run(run):
        assert problems(resume(run, "--set", "train.epochs=2")) == [("run-in-use", None)]
    assert resume(run, "--set", "train.epochs=2").exit_code == 0


def test_callback_state_is_kept_or_known_to_be_absent():
    assert set(CALLBACK_STATE_ATTRIBUTES) >= {CALLBACKS.load(name).type_name() for name in CALLBACKS.names}


@pytest.mark.parametrize(
    "layer",
    [
        keras.layers.TextVectorization(output_mode="tf_idf"),
        keras.layers.TextVectorization(output_mode="tf_idf", max_tokens=9, pad_to_max_tokens=True),
        keras.layers.TextVectorization(max_tokens=4),
        keras.layers.StringLookup(output_mode="one_hot"),
        keras.layers.StringLookup(mask_token=""),
    ],
    ids=lambda layer: f"{layer.name}",
)
def test_vocabulary_is_restored(layer):
    words = np.array(["one two", "two", "three", "é\u2028x"], dtype=object)
    layer.adapt(keras.ops.convert_to_tensor(words, dtype="string"))
    again = type(layer).from_config(layer.get_config() | {"vocabulary": None})
    learned = json.loads(json.dumps(snapshot._layer_state(layer)))
    snapshot.restore_layers([again], snapshot.Snapshot({}, {"layers": [learned]}))
    inputs = keras.ops.convert_to_tensor(words, dtype="string")
    np.testing.assert_array_equal(np.asarray(layer(inputs)), np.asarray(again(inputs)))
    assert again.get_vocabulary() == layer.get_vocabulary()


def test_adapted_values_are_restored():
    numbers = np.random.default_rng(0).normal(3, 2, (50, 2)).astype("float32")
    for layer in (keras.layers.Normalization(), keras.layers.Discretization(num_bins=4)):
        again = type(layer).from_config(layer.get_config())
        layer.adapt(numbers)
        again.build(numbers.shape)
        learned = json.loads(json.dumps(snapshot._layer_state(layer)))
        snapshot.restore_layers([again], snapshot.Snapshot({}, {"layers": [learned]}))
        np.testing.assert_array_equal(np.asarray(layer(numbers)), np.asarray(again(numbers)))


LOOKUP_MODEL = """
model:
  input: {{shape: [3, 1], dtype: string}}
  layers:
    - {{type: {layer}}}
    - Flatten
    - {{type: Dense, units: 1}}
"""


@pytest.mark.parametrize(
    ("layer", "learned", "is_adopted"),
    [
        ("StringLookup, output_mode: one_hot", ", max_tokens: 4, pad_to_max_tokens: true", True),
        ("StringLookup, output_mode: one_hot", ", max_tokens: 4", False),
        (
            "TimeDistributed, layer: {type: StringLookup, output_mode: one_hot",
            ", max_tokens: 4, pad_to_max_tokens: true",
            True,
        ),
    ],
)
def test_resume_adopts_sizes_of_vocabularies_that_the_run_learned(layer, learned, is_adopted):
    end = "}" * layer.count("{")
    given, own = (
        require_valid(check_config("c.yaml", text=LOOKUP_MODEL.format(layer=f"{layer}{each}{end}")))
        for each in ("", learned)
    )
    adopted = resume_workflow._adopt_output_sizes(own, given).to_resolved_dict()
    assert (adopted == own.to_resolved_dict()) is is_adopted
    assert (adopted == given.to_resolved_dict()) is not is_adopted
