"""Preprocessing layers that adapt to the training set."""

import json

import keras
import numpy as np
import pytest

from layercli import api
from layercli.data import examples
from layercli.engine.adapt import adapt_layers
from layercli.engine.assemble import assemble_model
from layercli.errors import LayercliError
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


def test_normalization_adapts_to_training_set_only(tmp_path):
    assembled, parts = adapted(tmp_path, ["Normalization", HEAD])
    layer = assembled.layers["normalization"]
    np.testing.assert_allclose(np.asarray(layer.mean)[0], parts.train.x.mean(axis=0), rtol=1e-4)
    np.testing.assert_allclose(np.asarray(layer.variance)[0], parts.train.x.var(axis=0), rtol=1e-3)
    everything = np.concatenate([parts.train.x, parts.validation.x, parts.test.x])
    assert not np.allclose(np.asarray(layer.mean)[0], everything.mean(axis=0), rtol=1e-4)


def test_normalization_adapts_to_output_of_previous_layer(tmp_path):
    layers = [
        "Normalization",
        {"type": "Rescaling", "scale": 3, "offset": 1},
        {"type": "Normalization", "name": "second"},
        HEAD,
    ]
    assembled, _ = adapted(tmp_path, layers)
    np.testing.assert_allclose(np.asarray(assembled.layers["second"].mean)[0], np.ones(4), atol=1e-4)
    np.testing.assert_allclose(np.asarray(assembled.layers["second"].variance)[0], np.full(4, 9.0), rtol=1e-3)


def test_normalization_keeps_declared_mean(tmp_path):
    layers = [{"type": "Normalization", "mean": 2.0, "variance": 4.0}, HEAD]
    assembled, _ = adapted(tmp_path, layers)
    np.testing.assert_allclose(np.asarray(assembled.layers["normalization"].mean).ravel()[0], 2.0)


def test_discretization_and_lookups_adapt_to_training_set(tmp_path):
    assembled, parts = adapted(tmp_path, [{"type": "Discretization", "num_bins": 4}, "Flatten"], train=None)
    boundaries = assembled.layers["discretization"].bin_boundaries
    np.testing.assert_allclose(boundaries, np.quantile(parts.train.x, [0.25, 0.5, 0.75]), atol=0.3)
    assembled, parts = adapted(tmp_path, [{"type": "IntegerLookup"}, "Flatten"], train=None)
    learned = set(assembled.layers["integer_lookup"].get_vocabulary(include_special_tokens=False))
    assert learned == set(parts.train.x.astype(int).ravel().tolist())


def test_all_adaptable_keras_layers_are_known():
    adapting = {name for name, cls in vars(keras.layers).items() if hasattr(cls, "adapt")}
    assert adapting == set(ADAPTABLE_LAYERS)


def test_normalization_lowers_the_loss_on_raw_measurements(tmp_path):
    data = {"type": "sklearn", "dataset": "wine", "split": {"test": 0.2, "stratify": True}}
    config = write_config(tmp_path, ["Normalization", HEAD], data=data)
    summary = train(config, tmp_path / "run", "--set", "train.epochs=15").summary
    assert summary["test"]["accuracy"] > 0.9


class Streamed:
    """A subset that is not in memory."""

    def __init__(self, examples):
        self.examples = examples

    def __len__(self):
        return len(self.examples)

    def __getattr__(self, name):
        return getattr(self.examples, name)


@pytest.mark.parametrize(
    "layers",
    [
        ["Normalization", {"type": "Normalization", "name": "second"}, HEAD],
        [{"type": "IntegerLookup", "output_mode": "tf_idf"}, "Flatten"],
        [
            {"type": "Reshape", "target_shape": [2, 2]},
            {"type": "TimeDistributed", "layer": "Normalization"},
            "Flatten",
        ],
        [{"type": "Pipeline", "layers": [{"type": "Rescaling", "scale": 2}, "Normalization"]}, "Flatten"],
    ],
)
def test_adapting_by_batches_equals_adapting_at_once(tmp_path, monkeypatch, layers):
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


def test_inner_layers_adapt_to_their_inputs(tmp_path):
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


def test_learned_vocabulary_larger_than_the_embedding_is_an_error(tmp_path):
    (tmp_path / "words.csv").write_text("word,y\n" + "".join(f"w{n % 20},{n % 2}\n" for n in range(40)))
    data = {"type": "csv", "path": str(tmp_path / "words.csv"), "target": "y", "inputs": {"word": ["word"]}}
    layers = ["StringLookup", {"type": "Embedding", "input_dim": 10, "output_dim": 2}, "Flatten"]
    model = {"inputs": {"word": {"shape": [1], "dtype": "string"}}, "layers": layers}
    valid = api.load(write_config(tmp_path, layers, data=data, model=model, train=None))
    with pytest.raises(LayercliError) as caught:
        adapt_layers(assemble_model(valid), valid, parts_of(valid).train)
    (problem,) = caught.value.problems
    assert (problem.code, problem.path) == ("bad-id", "model.layers[1].input_dim")
    assert problem.hint == "Write `input_dim: 21`."


def test_vocabulary_with_a_line_break_is_refused_before_training(tmp_path):
    config = tmp_path / "c.yaml"
    rows = "".join(f'"{value}",{n % 2}\n' for n, value in enumerate(["red", "new\nline", "blue"] * 20))
    (tmp_path / "t.csv").write_text(f"c,y\n{rows}")
    config.write_text(
        "data: {type: csv, path: t.csv, target: y, inputs: {color: c}}\n"
        "model:\n  inputs: {color: {shape: [1], dtype: string}}\n  layers:\n"
        "    - {type: StringLookup, output_mode: one_hot, name: colors}\n    - {type: Dense, units: 1}\n"
        "train: {loss: mse}\n"
    )
    result = invoke("train", config, "--run-dir", tmp_path / "run", "--json")
    [problem] = json.loads(result.stdout)["problems"]
    assert (problem["code"], problem["line"]) == ("not-savable", 5)
    assert problem["message"].startswith("The vocabulary of `colors` must have no line breaks")
