"""Weights from a file by layer name, and frozen layers."""

import json
import shutil
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from layercli import api
from layercli.check import check_config
from layercli.errors import LayercliError
from tests.running import CONFIGS, invoke, problems, train, write_config

HIDDEN = {"type": "Dense", "name": "hidden", "units": 8, "activation": "relu"}
HEAD = {"type": "Dense", "name": "head", "units": 3, "activation": "softmax"}


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A run whose model has `scaled`, `hidden` and `head`."""
    place = tmp_path_factory.mktemp("source")
    config = write_config(
        place, [{"type": "Normalization", "name": "scaled"}, HIDDEN, {"type": "Dropout", "rate": 0.5}, HEAD]
    )
    return train(config, place / "run", "--set", "train.epochs=1").path


def target(place, weights, layers=None, **model):
    config = write_config(place, layers or [{"type": "Normalization", "name": "scaled"}, HIDDEN, HEAD])
    document = api.load(config).config.to_plain() | {"seed": 99}
    document["data"] = {"type": "sklearn", "dataset": "iris", "split": {"validation": 0.2, "test": 0.2}}
    document["model"] |= {"weights": None if weights is None else str(weights), **model}
    config.write_text(json.dumps(document))
    return config


def weights_of(model, name):
    return [np.asarray(weight) for weight in model.get_layer(name).weights]


def same(one, other, name):
    return all(
        np.array_equal(a, b) for a, b in zip(weights_of(one, name), weights_of(other, name), strict=True)
    )


@pytest.fixture(params=["run", "keras", "h5"])
def weights_file(request, source, tmp_path):
    """The source as a run, a Keras file and a file of weights."""
    if request.param == "run":
        return source
    model = keras.models.load_model(source / "model.keras")
    path = tmp_path / {"keras": "m.keras", "h5": "m.weights.h5"}[request.param]
    model.save(path) if request.param == "keras" else model.save_weights(path)
    return path


def test_layers_of_equal_name_and_shape_get_weights(weights_file, source, tmp_path):
    layers = [HIDDEN, {"type": "Dense", "name": "more", "units": 4}, HEAD]
    config = target(tmp_path, weights_file, layers)
    result = invoke("build", "--json", config)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["weights"] == {
        "taken": ["hidden"],
        "refused": {"head": "a weight has shape (4, 3), but (8, 3) in the file"},
        "new": ["more"],
        "left": ["scaled"],
    }
    built, before = api.build(config), keras.models.load_model(source / "model.keras")
    assert same(built, before, "hidden")
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    assert same(built, api.build(target(fresh, None, layers)), "head")
    shown = invoke("build", config).stdout.splitlines()[-4:]
    assert shown[0].endswith(": 1 of 3 layers with weights.")
    assert shown[1:] == [
        "  head starts from new weights: a weight has shape (4, 3), but (8, 3) in the file.",
        "  Not in the file, start from new weights: more.",
        "  In the file, but not in the model: scaled.",
    ]


def test_inner_layers_get_weights(tmp_path):
    layers = [
        {"type": "Reshape", "target_shape": [2, 2]},
        {"type": "Bidirectional", "name": "both", "layer": {"type": "LSTM", "units": 3}},
        HEAD,
    ]
    path = tmp_path / "m.weights.h5"
    before = api.build(target(tmp_path, None, layers))
    before.get_layer("both").set_weights([weight + 1 for weight in before.get_layer("both").get_weights()])
    before.save_weights(path)
    after = api.build(target(tmp_path, path, layers))
    assert same(before, after, "both")
    assert same(before, after, "head")


def test_frozen_layers_keep_transferred_weights(source, tmp_path):
    config = target(tmp_path, source, freeze=["hid*"])
    valid = api.load(config)
    assert [row.trainable for row in valid.shapes.rows] == [0, 0, 27]
    run = train(config, tmp_path / "new", "--set", "train.epochs=2")
    assert run.result.exit_code == 0, run.result.output
    assert "3 of 3 layers with weights." in run.result.stderr
    manifest = json.loads((run.path / "manifest.json").read_text())
    assert manifest["weights"] == {
        "taken": ["hidden", "head", "scaled"],
        "refused": {},
        "new": [],
        "left": [],
    }
    before, after = (keras.models.load_model(path / "model.keras") for path in (source, run.path))
    assert same(before, after, "hidden")
    assert not same(before, after, "head")
    assert same(before, after, "scaled")  # what it had learned of the other data goes with the weights
    again = api.load(run.path / "config.yaml").config.model
    assert (again.weights, again.freeze) == (str(source), ["hid*"])


def test_frozen_block_and_reused_layer(tmp_path):
    (tmp_path / "c.yaml").write_text("""
blocks: {tower: {layers: [{type: Dense, name: a, units: 4}, {type: BatchNormalization, name: b}]}}
model:
  inputs: {left: [4], right: [4]}
  freeze: ["tower.*"]
  layers:
    - {block: tower, name: tower, inputs: left}
    - {reuse: tower, name: twin, inputs: right}
    - {type: Add, inputs: [tower, twin]}
    - {type: Dense, units: 1}
""")
    model = api.build(tmp_path / "c.yaml")
    assert {weight.path.split("/")[0] for weight in model.trainable_weights} == {"dense"}
    valid = api.load(tmp_path / "c.yaml")
    assert (valid.shapes.trainable, valid.shapes.non_trainable) == (5, 36)


def test_unmatched_pattern_suggests_closest_name(tmp_path):
    config = target(tmp_path, None)
    found = check_config(str(config), ["model.freeze=[heda, scaled]"]).problems
    assert [(problem.code, problem.path, problem.hint) for problem in found] == [
        ("unknown-name", "model.freeze[0]", "Did you mean `head`?")
    ]


def test_file_without_matching_layer_is_refused(source, tmp_path):
    config = target(
        tmp_path, source, [{"type": "Dense", "name": "other", "units": 3, "activation": "softmax"}]
    )
    result = invoke("build", "--json", config)
    assert problems(result)[0][0] == "no-weights"
    assert "the file has `hidden`, `head`, `scaled`" in json.loads(result.stdout)["problems"][0]["hint"]


@pytest.mark.parametrize(
    ("make", "code", "text"),
    [
        (Path.absolute, "unreadable-file", "does not exist"),
        (
            lambda path: path.with_suffix(".keras").write_bytes(b"PK\5\6"),
            "unreadable-file",
            "Cannot read weights from",
        ),
        (
            lambda path: path.with_suffix(".keras").write_bytes(b""),
            "unreadable-file",
            "Cannot read weights from",
        ),
        (lambda path: path.with_suffix(".txt").write_text("x"), "unreadable-file", "is not a weights file"),
        (lambda path: path.with_suffix(".h5").write_bytes(b"x"), "legacy-model", "is not a weights file"),
        (
            lambda path: path.with_suffix(".weights.h5").write_bytes(b"x" * 999),
            "unreadable-file",
            "Cannot read weights from",
        ),
        (lambda path: path.mkdir(), "run-directory", "is not a run directory"),
    ],
)
def test_file_without_weights_is_refused(tmp_path, make, code, text):
    make(tmp_path / "given")
    found = next(iter(tmp_path.glob("given*")), tmp_path / "given.keras")
    config = target(tmp_path, found)
    result = invoke("build", "--json", config)
    assert problems(result)[0][0] == code
    assert text in json.loads(result.stdout)["problems"][0]["message"]


def test_modified_run_is_refused(source, tmp_path):
    copy = shutil.copytree(source, tmp_path / "copy")
    with (copy / "model.keras").open("ab") as file:
        file.write(b"\n")
    with pytest.raises(LayercliError, match="was modified after training"):
        api.build(target(tmp_path, copy))


def test_external_weights_are_refused(source, tmp_path):
    keras.models.load_model(source / "model.keras").save_weights(tmp_path / "whole.weights.h5")
    for make in (
        lambda group: group.__setitem__(
            "0", h5py.ExternalLink(str(tmp_path / "whole.weights.h5"), "/layers")
        ),
        lambda group: group.create_dataset("0", (4, 8), "f4", external=[("/etc/hostname", 0, 128)]),
    ):
        path = tmp_path / "m.weights.h5"
        shutil.copy(tmp_path / "whole.weights.h5", path)
        with h5py.File(path, "r+") as file:
            group = file["layers/dense/vars"]
            del group["0"]
            make(group)
        with pytest.raises(LayercliError, match="it refers to a different file"):
            api.build(target(tmp_path, path))


def test_weights_path_is_relative_to_config(source, tmp_path, monkeypatch):
    shutil.copytree(source, tmp_path / "runs" / "mine")
    config = target(tmp_path, "runs/mine")
    monkeypatch.chdir(CONFIGS)
    assert invoke("build", config).exit_code == 0


TEXTS = [
    "one two three",
    "two three four",
    "five six",
    "one six seven",
    "two nine",
    "ten one",
    "six ten",
    "four ten",
]
WORDS = {"type": "TextVectorization", "name": "words", "max_tokens": 20, "output_sequence_length": 4}
READ = [
    {"type": "Embedding", "name": "vectors", "input_dim": 20, "output_dim": 3},
    "Flatten",
    {"type": "Dense", "name": "head", "units": 1, "activation": "sigmoid"},
]


def texts(place, name, layers, texts=TEXTS, **model):
    """Write a text dataset and a config for it."""
    rows = "".join(f"{text},{'ab'[number % 2]}\n" for number, text in enumerate(texts))
    (place / f"{name}.csv").write_text(f"text,kind\n{rows}")
    document = {
        "data": {"type": "text", "path": f"{name}.csv", "column": "text", "target": "kind"},
        "model": {"input": {"shape": [1], "dtype": "string"}, "layers": layers, **model},
        "train": {"loss": "binary_crossentropy"},
    }
    (place / f"{name}.yaml").write_text(json.dumps(document))
    return place / f"{name}.yaml"


def test_vocabulary_is_transferred_with_weights(tmp_path):
    first = train(texts(tmp_path, "first", [WORDS, *READ]), tmp_path / "first").path
    others = [text.replace("one", "eleven twelve") for text in TEXTS]
    run = train(texts(tmp_path, "second", [WORDS, *READ], others, weights=str(first)), tmp_path / "second")
    assert run.result.exit_code == 0, run.result.output
    assert json.loads((run.path / "manifest.json").read_text())["weights"]["taken"] == [
        "head",
        "vectors",
        "words",
    ]
    models = [keras.models.load_model(path / "model.keras") for path in (first, run.path)]
    one, other = (model.get_layer("words").get_vocabulary() for model in models)
    assert "one" in one
    assert one == other


def test_oversized_vocabulary_is_learned_from_the_data(tmp_path):
    first = train(texts(tmp_path, "first", [WORDS, *READ]), tmp_path / "first").path
    smaller = texts(tmp_path, "second", [WORDS | {"max_tokens": 5}, *READ], weights=str(first))
    run = train(smaller, tmp_path / "second")
    assert run.result.exit_code == 0, run.result.output
    assert "words starts from new weights: Attempted to set a vocabulary larger" in run.result.stderr
    assert len(keras.models.load_model(run.path / "model.keras").get_layer("words").get_vocabulary()) == 5


def test_unloadable_vocabulary_is_reported_before_training(tmp_path):
    counted = {
        "type": "TextVectorization",
        "name": "words",
        "output_mode": "tf_idf",
        "pad_to_max_tokens": True,
    }
    layers = [counted | {"max_tokens": 20}, "Flatten", READ[2]]
    result = train(texts(tmp_path, "c", layers), tmp_path / "run").result
    assert [code for code, _ in problems(result)] == ["not-savable"]
    assert "Write `max_tokens: 10`." in result.stdout
    layers[0] = counted | {"max_tokens": 10}
    run = train(texts(tmp_path, "c", layers), tmp_path / "again")
    assert run.result.exit_code == 0, run.result.output
    assert keras.models.load_model(run.path / "model.keras").get_layer("words").vocabulary_size() == 10
    config = texts(tmp_path, "d", layers, weights=str(run.path))
    assert [code for code, _ in problems(train(config, tmp_path / "third").result)] == ["no-weights"]
