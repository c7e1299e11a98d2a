"""Training: callbacks, metrics, the best epoch."""

import json

import keras
import numpy as np
import pytest

from layercli import api
from layercli.engine.assemble import assemble_model
from layercli.engine.training.compile import compile_model
from layercli.formats.registry import load_dataset
from tests.running import invoke, train, write_config

HEAD = {"type": "Dense", "units": 3, "activation": "softmax"}


def test_train_section_objects_reach_keras(tmp_path):
    section = {
        "epochs": 1,
        "loss": {"type": "SparseCategoricalCrossentropy", "from_logits": True},
        "metrics": ["accuracy", {"type": "SparseTopKCategoricalAccuracy", "k": 2, "name": "top2"}],
        "optimizer": {
            "type": "SGD",
            "momentum": 0.5,
            "clipnorm": 1.5,
            "learning_rate": {"type": "CosineDecay", "initial_learning_rate": 0.1, "decay_steps": 10},
        },
    }
    valid = api.load(write_config(tmp_path, [{"type": "Dense", "units": 3}], train=section))
    model = assemble_model(valid).model
    compile_model(model, valid.config.train, valid)
    assert isinstance(model.optimizer, keras.optimizers.SGD)
    assert (model.optimizer.momentum, model.optimizer.clipnorm) == (0.5, 1.5)
    assert isinstance(model.optimizer._learning_rate, keras.optimizers.schedules.CosineDecay)
    assert model.loss.from_logits is True


def test_metric_names_are_equal_in_repeated_trainings(tmp_path):
    config = write_config(tmp_path, [HEAD])
    names = [
        list(
            train(
                config, tmp_path / run, "--set", "train.metrics=[{type: SparseCategoricalAccuracy}]"
            ).summary["test"]
        )
        for run in ("one", "two")
    ]
    assert names == [["loss", "sparse_categorical_accuracy"]] * 2


def test_metric_order_is_that_of_the_config(tmp_path):
    metrics = "train.metrics=[accuracy, {type: SparseTopKCategoricalAccuracy, k: 2, name: a_top}]"
    run = train(write_config(tmp_path, [HEAD]), tmp_path / "run", "--set", metrics)
    names = ["loss", "accuracy", "a_top"]
    assert list(run.summary["history"]) == names + [f"val_{name}" for name in names]
    assert list(run.summary["test"]) == names
    evaluated = invoke("evaluate", run.path, "--json")
    assert list(json.loads(evaluated.stdout)["metrics"]) == names


def test_early_stopping_saves_best_epoch(tmp_path):
    config = write_config(
        tmp_path,
        [{"type": "Dense", "units": 32, "activation": "relu"}, HEAD],
        train={
            "epochs": 60,
            "loss": "sparse_categorical_crossentropy",
            "metrics": ["accuracy"],
            "optimizer": {"type": "Adam", "learning_rate": 0.3},
            "callbacks": [
                {"type": "ReduceLROnPlateau", "monitor": "loss", "patience": 50},
                {
                    "type": "EarlyStopping",
                    "monitor": "val_accuracy",
                    "patience": 3,
                    "restore_best_weights": True,
                },
            ],
        },
    )
    run = train(config, tmp_path / "run")
    summary = run.summary
    watched = summary["history"]["val_accuracy"]
    best = watched.index(max(watched))
    assert summary["epochs"] == len(watched) == best + 1 + 3 < 60
    assert summary["notes"][0] == (
        f"EarlyStopping stopped the training after epoch {best + 4}: `val_accuracy` had not improved for 3 epochs, "
        f"since epoch {best + 1} ({watched[best]:.4g})."
    )
    assert summary["best"]["monitor"] == "val_accuracy"
    assert summary["best"]["epoch"] == summary["restored_epoch"] == best + 1
    data = api.load(config).config.data
    splits = load_dataset(data).split(data.split, seed=api.load(config).config.seed, shuffle=True)
    model = keras.models.load_model(run.path / "model.keras")
    loss, accuracy = model.evaluate(splits.validation.x, splits.validation.y, verbose=0)
    assert accuracy == pytest.approx(watched[best])
    assert loss == pytest.approx(summary["best"]["val_loss"], rel=1e-4)
    again = json.loads(invoke("train", "--resume", run.path, "--json", "--set", "train.epochs=70").stdout)
    model = keras.models.load_model(run.path / "model.keras")
    loss, _ = model.evaluate(splits.validation.x, splits.validation.y, verbose=0)
    assert again["best"]["epoch"] == again["restored_epoch"]
    stops = [note for note in again["notes"] if note.startswith("EarlyStopping")]
    assert all(f"after epoch {again['epochs']}:" in note for note in stops)
    assert loss == pytest.approx(again["best"]["val_loss"], rel=1e-4)


def test_best_epoch_without_validation_uses_loss(tmp_path):
    config = write_config(tmp_path, [HEAD], data={"type": "sklearn", "dataset": "iris"})
    summary = train(config, tmp_path / "run").summary
    assert summary["test"] == {}
    assert summary["notes"][-1].startswith("No examples are held out")
    assert list(summary["history"]) == ["loss", "accuracy"]
    assert summary["best"]["monitor"] == "loss"


def test_callback_files_are_in_run_directory(tmp_path):
    config = write_config(tmp_path, [HEAD])
    run = train(
        config, tmp_path / "run", "--set", "train.callbacks=[{type: CSVLogger, filename: logs/epochs.csv}]"
    )
    assert (run.path / "logs" / "epochs.csv").read_text().splitlines()[
        0
    ] == "epoch,accuracy,loss,val_accuracy,val_loss"
    files = json.loads((run.path / "manifest.json").read_text())["files"]
    assert "logs/epochs.csv" in files


def test_frozen_layer_does_not_learn(tmp_path):
    frozen = {"type": "Dense", "units": 8, "name": "frozen", "trainable": False}
    config = write_config(tmp_path, [frozen, HEAD])
    run = train(config, tmp_path / "run", "--set", "train.epochs=1")
    before, after = api.build(config), keras.models.load_model(run.path / "model.keras")
    for name, same in (("frozen", True), ("dense", False)):
        kernels = [np.asarray(model.get_layer(name).kernel) for model in (before, after)]
        assert np.array_equal(*kernels) is same
