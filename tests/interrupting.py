"""Interrupt trainings, and compare their results with uninterrupted ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from sklearn.datasets import load_digits

from layercli.runs.checkpoints import CheckpointDirectory
from layercli.runs.manifest import is_finished, require_manifest

EXAMPLES = 497
"""297 for training, 100 for validation and 100 for the test."""
HEAD = {"type": "Dense", "units": 10, "activation": "softmax"}
STACKS: dict[str, dict[str, Any]] = {
    "dense": {
        "shape": [64],
        "layers": [
            "Normalization",
            {"type": "Dense", "units": 16, "activation": "relu"},
            "BatchNormalization",
            {"type": "Dropout", "rate": 0.3},
        ],
        "optimizer": {
            "type": "Adam",
            "clipnorm": 1.0,
            "learning_rate": {"type": "CosineDecay", "initial_learning_rate": 0.02, "decay_steps": 60},
        },
        "callbacks": [
            {"type": "EarlyStopping", "monitor": "val_loss", "patience": 9, "restore_best_weights": True},
            {"type": "CSVLogger", "filename": "log.csv"},
        ],
    },
    "lstm": {
        "shape": [8, 8],
        "layers": [{"type": "LSTM", "units": 8, "dropout": 0.2}, {"type": "Dropout", "rate": 0.3}],
        "optimizer": {"type": "RMSprop", "learning_rate": 0.01},
        "callbacks": [
            {"type": "ReduceLROnPlateau", "monitor": "val_accuracy", "patience": 1, "min_delta": 0.1},
        ],
    },
    "conv": {
        "shape": [8, 8, 1],
        "layers": [
            {"type": "RandomTranslation", "height_factor": 0.1, "width_factor": 0.1},
            {"type": "Conv2D", "filters": 8, "kernel_size": 3, "activation": "relu"},
            "BatchNormalization",
            "Flatten",
            {"type": "Dropout", "rate": 0.3},
        ],
        "optimizer": {"type": "AdamW", "learning_rate": 0.005, "use_ema": True, "ema_momentum": 0.9},
        "callbacks": ["SwapEMAWeights"],
    },
}
"""Configs with state that a resume must restore: seeds, statistics, schedules, averages and callbacks."""


def write(kind: str, directory: Path, **section: Any) -> Path:
    """Write a config of one of the stacks on a subset of digits, with frequent checkpoints."""
    stack = STACKS[kind]
    x, y = load_digits(return_X_y=True)
    x = x[:EXAMPLES].astype("float32").reshape(-1, *stack["shape"])
    np.savez(directory / "digits.npz", x=x, y=y[:EXAMPLES])
    split = {"validation": 100, "test": 100}
    data = {"type": "npz", "path": "digits.npz", "features": "x", "target": "y", "split": split}
    document = {
        "name": kind,
        "seed": 11,
        "data": data,
        "model": {"input": stack["shape"], "layers": [*stack["layers"], HEAD]},
        "train": {
            "epochs": 4,
            "batch_size": 32,
            "loss": "sparse_categorical_crossentropy",
            "metrics": ["accuracy"],
            "optimizer": stack["optimizer"],
            "callbacks": stack["callbacks"],
            "execution": {"steps_per_execution": 2},
            "checkpoints": {"steps": 3},
        }
        | section,
    }
    path = directory / f"{kind}.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    return path


def at_block(monkeypatch: pytest.MonkeyPatch, number: int, act: Callable[[], None]) -> None:
    """Call ``act`` in the n-th block of steps from now (from 0), after Keras has run it."""
    from layercli.engine.training.checkpointing import DivergenceGuard

    left, before = [number], DivergenceGuard.on_train_batch_end

    def on_train_batch_end(self: DivergenceGuard, batch: int, logs: Any = None) -> None:
        left[0] -= 1
        if left[0] == -1:
            act()
        before(self, batch, logs)

    monkeypatch.setattr(DivergenceGuard, "on_train_batch_end", on_train_batch_end)


class Killed(BaseException):
    """A simulated end of the process: nothing catches it, and nothing is written after it."""


def kill() -> None:
    """End the training immediately."""
    raise Killed


def interrupt() -> None:
    """Raise the exception of Ctrl-C."""
    raise KeyboardInterrupt


VARYING_KEYS = ("seconds", "examples_per_second")
"""Keys that differ between equal runs."""


def outcome(run: Path) -> dict[str, Any]:
    """Return the results of a finished run, without measured times."""
    assert is_finished(require_manifest(run))
    checkpoint, damaged = CheckpointDirectory(run).read_latest()
    assert checkpoint is not None
    assert damaged == []
    summary = json.loads((run / "summary.json").read_text())
    lines = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    log = run / "log.csv"
    return {
        "history": [{key: line[key] for key in line if key not in VARYING_KEYS} for line in lines],
        "summary": {key: summary.get(key) for key in ("epochs", "history", "best", "test", "restored_epoch")},
        "arrays": dict(checkpoint.arrays),
        "callbacks": [
            {key: value for key, value in callback.items() if key != "events"}  # names of event files
            for callback in checkpoint.state["callbacks"]
        ],
        "model": weights(run / "model.keras"),
        "log": log.read_text() if log.exists() else None,
    }


def weights(model: Path) -> list[Any]:
    """Return the weights of a saved model."""
    import keras

    return [np.asarray(weight) for weight in keras.models.load_model(model, compile=False).weights]


def assert_same(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    """Check that two results are equal, including every bit of the weights."""
    for key in ("history", "summary", "callbacks", "log"):
        assert ours[key] == theirs[key]
    assert ours["arrays"].keys() == theirs["arrays"].keys()
    unlike = [key for key in ours["arrays"] if not np.array_equal(ours["arrays"][key], theirs["arrays"][key])]
    assert unlike == []
    assert all(np.array_equal(a, b) for a, b in zip(ours["model"], theirs["model"], strict=True))
