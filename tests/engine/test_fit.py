import json

import keras
import numpy as np
import pytest

from layercli import api
from layercli.data import examples
from layercli.engine.adapt import adapt_layers
from layercli.engine.assemble import assemble_model
from layercli.engine.training.compile import compile_model
from layercli.formats.registry import load_dataset
from layercli.graph.adaptable import ADAPTABLE_LAYERS
from tests.running import invoke, train, write_config

HEAD = {"type": "Dense", "units": 3, "activation": "softmax"}


def parts_of(valid):
    return load_dataset(valid.config.data).split(
        valid.config.data.split, seed=valid.config.seed, shuffle=True
    )


def adapted(tmp_path, layers, **changes):
    """A model whose layers have learned from the training part; and the examples."""
    valid = api.load(write_config(tmp_path, layers, **changes))
    assembled, parts = assemble_model(valid), parts_of(valid)
    adapt_layers(assembled, valid, parts.train)
    return assembled, parts


def test_normalization_learns_from_the_training_part_alone(tmp_path):
    assembled, parts = adapted(tmp_path, ["Normalization", HEAD])
    layer = assembled.layers["normalization"]
    np.testing.assert_allclose(np.asarray(layer.mean)[0], parts.train.x.mean(axis=0), rtol=1e-4)
    np.testing.assert_allclose(np.asarray(layer.variance)[0], parts.train.x.var(axis=0), rtol=1e-3)
    everything = np.concatenate([parts.train.x, parts.validation.x, parts.test.x])
    assert not np.allclose(np.asarray(layer.mean)[0], everything.mean(axis=0), rtol=1e-4)


def test_normalization_after_another_layer_learns_from_what_that_gives(tmp_path):
    layers = [
        "Normalization",
        {"type": "Rescaling", "scale": 3, "offset": 1},
        {"type": "Normalization", "name": "second"},
        HEAD,
    ]
    assembled, _ = adapted(tmp_path, layers)
    np.testing.assert_allclose(np.asarray(assembled.layers["second"].mean)[0], np.ones(4), atol=1e-4)
    np.testing.assert_allclose(np.asarray(assembled.layers["second"].variance)[0], np.full(4, 9.0), rtol=1e-3)


def test_normalization_with_a_given_mean_keeps_it(tmp_path):
    layers = [{"type": "Normalization", "mean": 2.0, "variance": 4.0}, HEAD]
    assembled, _ = adapted(tmp_path, layers)
    np.testing.assert_allclose(np.asarray(assembled.layers["normalization"].mean).ravel()[0], 2.0)


def test_discretization_and_lookups_learn_from_the_training_part(tmp_path):
    assembled, parts = adapted(tmp_path, [{"type": "Discretization", "num_bins": 4}, "Flatten"], train=None)
    boundaries = assembled.layers["discretization"].bin_boundaries
    np.testing.assert_allclose(boundaries, np.quantile(parts.train.x, [0.25, 0.5, 0.75]), atol=0.3)
    assembled, parts = adapted(tmp_path, [{"type": "IntegerLookup"}, "Flatten"], train=None)
    learned = set(assembled.layers["integer_lookup"].get_vocabulary(include_special_tokens=False))
    assert learned == set(parts.train.x.astype(int).ravel().tolist())


def test_every_keras_layer_that_adapts_is_known():
    adapting = {name for name, cls in vars(keras.layers).items() if hasattr(cls, "adapt")}
    assert adapting == set(ADAPTABLE_LAYERS)


def test_normalization_makes_raw_measurements_learnable(tmp_path):
    data = {"type": "sklearn", "dataset": "wine", "split": {"test": 0.2, "stratify": True}}
    config = write_config(tmp_path, ["Normalization", HEAD], data=data)
    summary = train(config, tmp_path / "run", "--set", "train.epochs=15").summary
    assert summary["test"]["accuracy"] > 0.9


def test_objects_of_the_train_section_reach_keras(tmp_path):
    section = {
        "epochs": 1,
        "loss": {"type": "SparseCategoricalCrossentropy", "from_logits": True},
        "metrics": ["accuracy", {"type": "SparseTopKCategoricalAccuracy", "k": 2, "name": "top2"}],
        "optimizer": {
            "type": "SGD", "momentum": 0.5, "clipnorm": 1.5,
            "learning_rate": {"type": "CosineDecay", "initial_learning_rate": 0.1, "decay_steps": 10},
        },
    }  # fmt: skip
    valid = api.load(write_config(tmp_path, [{"type": "Dense", "units": 3}], train=section))
    model = assemble_model(valid).model
    compile_model(model, valid.config.train)
    assert isinstance(model.optimizer, keras.optimizers.SGD)
    assert (model.optimizer.momentum, model.optimizer.clipnorm) == (0.5, 1.5)
    assert isinstance(model.optimizer._learning_rate, keras.optimizers.schedules.CosineDecay)
    assert model.loss.from_logits is True


def test_metrics_have_the_same_names_in_every_training_of_a_process(tmp_path):
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


def test_metrics_come_in_the_order_of_the_config(tmp_path):
    metrics = "train.metrics=[accuracy, {type: SparseTopKCategoricalAccuracy, k: 2, name: a_top}]"
    run = train(write_config(tmp_path, [HEAD]), tmp_path / "run", "--set", metrics)
    names = ["loss", "accuracy", "a_top"]
    assert list(run.summary["history"]) == names + [f"val_{name}" for name in names]
    assert list(run.summary["test"]) == names
    evaluated = invoke("evaluate", run.path, "--json")
    assert list(json.loads(evaluated.stdout)["metrics"]) == names


def test_early_stopping_stops_and_the_saved_model_is_the_best_epoch(tmp_path):
    config = write_config(
        tmp_path,
        [{"type": "Dense", "units": 32, "activation": "relu"}, HEAD],
        train={
            "epochs": 60, "loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"],
            "optimizer": {"type": "Adam", "learning_rate": 0.3},
            "callbacks": [
                {"type": "ReduceLROnPlateau", "monitor": "loss", "patience": 50},
                {
                    "type": "EarlyStopping", "monitor": "val_accuracy", "patience": 3,
                    "restore_best_weights": True,
                },
            ],
        },
    )  # fmt: skip
    run = train(config, tmp_path / "run")
    summary = run.summary
    watched = summary["history"]["val_accuracy"]
    best = watched.index(max(watched))
    assert summary["epochs"] == len(watched) == best + 1 + 3 < 60
    assert summary["best"]["monitor"] == "val_accuracy"
    assert summary["best"]["epoch"] == summary["restored_epoch"] == best + 1
    parts = parts_of(api.load(config))
    model = keras.models.load_model(run.path / "model.keras")
    loss, accuracy = model.evaluate(parts.validation.x, parts.validation.y, verbose=0)
    assert accuracy == pytest.approx(watched[best])
    assert loss == pytest.approx(summary["best"]["val_loss"], rel=1e-4)
    again = json.loads(invoke("train", "--resume", run.path, "--json", "--set", "train.epochs=70").stdout)
    model = keras.models.load_model(run.path / "model.keras")
    loss, _ = model.evaluate(parts.validation.x, parts.validation.y, verbose=0)
    assert again["best"]["epoch"] == again["restored_epoch"]
    assert loss == pytest.approx(again["best"]["val_loss"], rel=1e-4)


def test_without_validation_the_best_epoch_is_judged_by_the_loss(tmp_path):
    config = write_config(tmp_path, [HEAD], data={"type": "sklearn", "dataset": "iris"})
    summary = train(config, tmp_path / "run").summary
    assert summary["test"] == {}
    assert list(summary["history"]) == ["loss", "accuracy"]
    assert summary["best"]["monitor"] == "loss"


def test_a_callback_writes_its_files_into_the_run_directory(tmp_path):
    config = write_config(tmp_path, [HEAD])
    run = train(
        config, tmp_path / "run", "--set", "train.callbacks=[{type: CSVLogger, filename: logs/epochs.csv}]"
    )
    assert (run.path / "logs" / "epochs.csv").read_text().splitlines()[
        0
    ] == "epoch,accuracy,loss,val_accuracy,val_loss"
    files = json.loads((run.path / "manifest.json").read_text())["files"]
    assert "logs/epochs.csv" in files


def test_a_layer_frozen_in_the_config_does_not_learn(tmp_path):
    frozen = {"type": "Dense", "units": 8, "name": "frozen", "trainable": False}
    config = write_config(tmp_path, [frozen, HEAD])
    run = train(config, tmp_path / "run", "--set", "train.epochs=1")
    before, after = api.build(config), keras.models.load_model(run.path / "model.keras")
    for name, same in (("frozen", True), ("dense", False)):
        kernels = [np.asarray(model.get_layer(name).kernel) for model in (before, after)]
        assert np.array_equal(*kernels) is same


class Streamed:
    """A part that is not in memory."""

    def __init__(self, examples):
        self.examples = examples

    def __len__(self):
        return len(self.examples)

    def __getattr__(self, name):
        return getattr(self.examples, name)


@pytest.mark.parametrize("layers", [
    ["Normalization", {"type": "Normalization", "name": "second"}, HEAD],
    [{"type": "IntegerLookup", "output_mode": "tf_idf"}, "Flatten"],
    [{"type": "Reshape", "target_shape": [2, 2]}, {"type": "TimeDistributed", "layer": "Normalization"}, "Flatten"],
    [{"type": "Pipeline", "layers": [{"type": "Rescaling", "scale": 2}, "Normalization"]}, "Flatten"],
])  # fmt: skip
def test_layers_learn_batch_by_batch_what_they_learn_from_all_at_once(tmp_path, monkeypatch, layers):
    valid = api.load(write_config(tmp_path, layers, train=None))
    part = parts_of(valid).train
    seen = []
    for size in (1 << 24, 200):
        monkeypatch.setattr(examples, "_BATCH_BYTES", size)
        assembled = assemble_model(valid)
        adapt_layers(assembled, valid, Streamed(part))
        seen.append(np.asarray(assembled.model(part.x[:20])))
    assert len(list(examples.iterate_batches(part))) > 5
    np.testing.assert_allclose(*seen, rtol=1e-4, atol=1e-4)


def test_layers_inside_others_learn_what_those_give_them(tmp_path):
    data = {"type": "sklearn", "dataset": "digits", "shape": [8, 8], "split": {"test": 0.2}}
    layers = [{"type": "TimeDistributed", "layer": "Normalization"}, "Flatten"]
    assembled, parts = adapted(tmp_path, layers, data=data, train=None)
    inner = assembled.layers["time_distributed"].layer
    np.testing.assert_allclose(np.asarray(inner.mean)[0], parts.train.x.mean(axis=(0, 1)), rtol=1e-4)
    layers = [{"type": "Pipeline", "layers": [{"type": "Rescaling", "scale": 2}, "Normalization"]}, "Flatten"]
    assembled, parts = adapted(tmp_path, layers, data=data, train=None)
    inner = assembled.layers["pipeline"].layers[1]
    np.testing.assert_allclose(np.asarray(inner.mean).ravel(), parts.train.x.mean(axis=(0, 1)) * 2, rtol=1e-4)
    path = tmp_path / "model.keras"
    assembled.model.save(path)
    again = keras.models.load_model(path)
    np.testing.assert_array_equal(again(parts.test.x), assembled.model(parts.test.x))
