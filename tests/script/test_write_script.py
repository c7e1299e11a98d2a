"""Scripts contain the config's model, data and training in formatted code."""

import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, Phase, assume, given, settings

from layercli import api
from layercli.check import check_config, require_valid
from layercli.config.training.registry import LOSSES, METRICS, OPTIMIZERS
from layercli.data.examples import load_examples
from layercli.engine.custom_layers import load_layer_class
from layercli.engine.training.compile import compile_model
from layercli.formats.registry import make_data_script
from layercli.graph.target_meaning import TargetMeaning
from layercli.script.facts import ScriptFacts, ScriptTarget
from layercli.script.keras_calls import SNAKE_CASE_CLASSES, name_or_call
from layercli.script.python_source import render_inline
from layercli.script.write_script import ScriptFiles, find_inexpressible, write_script
from layercli.workflows.dataset import load_splits
from layercli.workflows.script_facts import collect_script_facts
from tests.running import CONFIGS
from tests.script.running import assert_formatted, defined, script_of
from tests.stacks import checked, document
from tests.test_stacks import stacks
from tests.warm_processes import start_processes_warm

ALL = sorted(CONFIGS.glob("*.yaml"))
each_config = pytest.mark.parametrize("name", [path.name for path in ALL])


def problems_of(valid, facts):
    """What the script of a config cannot express."""
    return find_inexpressible(valid, facts, make_data_script(valid, facts))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Return a copy of the configs with the data that their script writes."""
    place = tmp_path_factory.mktemp("place") / "configs"
    shutil.copytree(CONFIGS, place)
    subprocess.run([sys.executable, place / "make_data.py"], check=True)
    return place


def like(model):
    """Return the types and settings of a model's layers in order, without names, and their number."""
    numbers = {layer.name: index for index, layer in enumerate(model.layers)}
    described = []
    for layer in model.layers:
        settings = {key: value for key, value in layer.get_config().items() if key != "name"}
        if not isinstance(layer, keras.layers.InputLayer):
            described.append((type(layer).__name__, _plain(settings)))
    return described, len(numbers)


def _plain(value):
    """Return settings without the names of inner layers, which Keras numbers."""
    if isinstance(value, dict):
        return {
            key: _plain(item)
            for key, item in value.items()
            if key not in ("name", "module", "shared_object_id")
        }
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def assert_same_model(valid, text, tmp_path, original=None):
    """Check that the script's model has the same layers and weight shapes, and equal outputs for equal weights."""
    original = original or api.build(valid, trust=True)
    made = defined(text, tmp_path / "script.py")["build_model"]()
    assert [layer for layer in like(made)[0] if layer[0] != "InputLayer"] == like(original)[0]
    assert [weight.shape for weight in made.weights] == [weight.shape for weight in original.weights]
    assert [tensor.shape for tensor in made.outputs] == [tensor.shape for tensor in original.outputs]
    trained = [weight.shape for weight in original.trainable_weights]
    assert [weight.shape for weight in made.trainable_weights] == trained
    made.set_weights(original.get_weights())
    if any(tensor.dtype == "string" for tensor in original.inputs):
        return
    rng = np.random.default_rng(0)
    x = [
        rng.integers(
            0,
            1 if "int" in tensor.dtype else 3,
            (2, *(4 if dim is None else dim for dim in tensor.shape[1:])),
        ).astype(tensor.dtype)
        for tensor in original.inputs
    ]
    x = x if len(x) > 1 else x[0]
    try:
        one = original(x, training=False)
    except Exception:  # such as a convolution of channels first on a CPU
        return
    other = made(x, training=False)
    for left, right in zip(keras.tree.flatten(one), keras.tree.flatten(other), strict=True):
        np.testing.assert_array_equal(np.asarray(left), np.asarray(right))


@each_config
def test_script_of_an_example_config(name, place, tmp_path, monkeypatch):
    valid = require_valid(check_config(str(place / name)))
    known, _, _, valid = collect_script_facts(valid, trust=True)
    assert [problem.path for problem in problems_of(valid, known)] == []
    text = script_of(valid, known, tmp_path)
    monkeypatch.syspath_prepend(place)
    if name == "custom_layer.yaml":
        load_layer_class(valid.custom_layers[0], valid)
    assert_formatted(text)
    assert "layercli" not in text
    assert_same_model(valid, text, tmp_path)
    names = defined(text, tmp_path / "script.py")
    parts, _ = load_splits(valid, valid.config.data, trust=True)
    sets = names["split"](*names["load_data"]())
    if "make_windows" in names:
        sets = [names["make_windows"](*rows) for rows in sets]
    for (x, y, *_), subset in zip(sets, parts.subsets, strict=True):
        part = load_examples(subset)
        ours = x if isinstance(x, dict) else {name: x for name, _ in part.inputs}
        theirs = dict(part.inputs)
        for key, array in theirs.items():
            written = np.asarray(ours[key]).astype(array.dtype)
            if array.dtype.kind == "f":  # missing numbers are filled after the split
                written = np.where(np.isnan(written), array, written)
            if name == "orders_stream.yaml":  # its sets are in the order of the file
                assert np.array_equal(np.sort(written[:, -1]), np.sort(array[:, -1]))
                continue
            assert np.array_equal(written, array)
        ours, theirs = np.asarray(y).astype(part.y.dtype), part.y
        assert np.array_equal(
            *(np.sort(ours), np.sort(theirs)) if name == "orders_stream.yaml" else (ours, theirs)
        )


@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(stacks())
def test_random_stack_becomes_the_same_model(tmp_path, stack):
    found = checked(document(*stack))
    assume(found.ok)
    valid = require_valid(found)
    text = script_of(valid)
    try:
        original = api.build(valid)
    except Exception:
        assume(False)
    assert_same_model(valid, text, tmp_path, original)


def model_of(tmp_path, model, **sections):
    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump({"model": model, **sections}, sort_keys=False))
    return require_valid(check_config(str(path)))


WIRED = {
    "shared layers": {
        "inputs": {"a": [4], "b": [4]},
        "layers": [
            {"type": "Dense", "name": "enc", "units": 3, "inputs": "a"},
            {"reuse": "enc", "name": "again", "inputs": "b"},
            {"type": "Subtract", "inputs": ["enc", "again"]},
        ],
    },
    "several outputs of a layer": {
        "input": [5, 3],
        "layers": [
            {"type": "LSTM", "name": "rnn", "units": 4, "return_state": True, "return_sequences": True},
            {"type": "Dense", "name": "states", "units": 2, "inputs": "rnn:1"},
            {"type": "Add", "name": "both", "inputs": ["rnn:1", "rnn:2"]},
            {"type": "Concatenate", "inputs": ["states", "both"]},
        ],
    },
    "all outputs of a layer": {
        "input": [5, 3],
        "layers": [
            {"type": "LSTM", "name": "rnn", "units": 4, "return_state": True},
            {"type": "Dense", "name": "more", "units": 2, "inputs": "rnn:0"},
            {"type": "Concatenate", "inputs": ["rnn", "more"]},
        ],
    },
    "several outputs": {
        "input": [4],
        "layers": [
            {"type": "Dense", "name": "trunk", "units": 3},
            {"type": "Dense", "name": "left", "units": 2},
            {"type": "Dense", "name": "right", "units": 1, "inputs": "trunk"},
        ],
        "outputs": ["right", "left", "trunk"],
    },
    "frozen layers": {
        "input": [5, 4],
        "layers": [
            {"type": "Dense", "units": 3, "trainable": False},
            {
                "type": "Bidirectional",
                "layer": {"type": "LSTM", "units": 2, "return_sequences": True},
                "trainable": False,
            },
            {
                "type": "MultiHeadAttention",
                "num_heads": 2,
                "key_dim": 2,
                "inputs": ["previous", "previous"],
                "trainable": False,
            },
            {"type": "BatchNormalization", "trainable": False},
        ],
    },
    "names of Python keywords and variables": {
        "input": [4],
        "layers": [
            {"type": "Dense", "name": "class", "units": 3},
            {"type": "Dense", "name": "keras", "units": 3},
            {"type": "Dense", "name": "x", "units": 3},
            {"type": "Add", "name": "3-d", "inputs": ["class", "keras", "x"]},
            {"type": "Add", "name": "layers", "inputs": ["class", "3-d"]},
        ],
    },
    "initializers, regularizers and constraints": {
        "input": [4],
        "layers": [
            {
                "type": "Dense",
                "units": 3,
                "kernel_initializer": {"type": "HeNormal", "seed": 3},
                "bias_initializer": "ones",
                "kernel_regularizer": {"type": "L1L2", "l1": 0.1, "l2": 0.0},
                "kernel_constraint": {"type": "MaxNorm", "max_value": 2.0},
                "activity_regularizer": "l2",
            },
        ],
    },
    "an attention over another source": {
        "inputs": {"q": [3, 4], "v": [5, 4]},
        "layers": [
            {
                "type": "MultiHeadAttention",
                "num_heads": 2,
                "key_dim": 2,
                "inputs": {"query": "q", "value": "v"},
            },
            {"type": "Attention", "inputs": ["previous", "v"]},
        ],
    },
    "integers and half precision": {
        "input": {"shape": [6], "dtype": "int32"},
        "layers": [
            {"type": "Embedding", "input_dim": 9, "output_dim": 4},
            {"type": "Dense", "units": 3, "dtype": "mixed_float16"},
        ],
    },
    "cells in a layer": {
        "input": [5, 3],
        "layers": [
            {"type": "RNN", "cell": [{"type": "LSTMCell", "units": 2}, {"type": "GRUCell", "units": 3}]}
        ],
    },
}


@pytest.mark.parametrize("name", WIRED)
def test_wiring_and_settings_are_kept(name, tmp_path):
    valid = model_of(tmp_path, WIRED[name])
    text = script_of(valid)
    assert_formatted(text)
    assert_same_model(valid, text, tmp_path)


def functions(tmp_path, model, **sections):
    """Return the functions of a script as text, by their names."""
    valid = model_of(tmp_path, model, **sections)
    text = script_of(valid)
    assert_formatted(text)
    assert_same_model(valid, text, tmp_path)
    parts = text.split("\n\n\n")
    return {part.split("(")[0].removeprefix("def "): part for part in parts if part.startswith("def ")}


def test_reused_block_is_a_function_and_repeats_are_loops(tmp_path):
    blocks = {
        "unit": {
            "params": ["width", "rate"],
            "layers": [
                {"type": "Dense", "units": "${width}", "activation": "relu"},
                {"type": "Dropout", "rate": "${rate}"},
                {"type": "Concatenate", "inputs": ["input", "previous"]},
            ],
        }
    }
    layers = [
        {"block": "unit", "with": {"width": 8, "rate": 0.5}, "repeat": 3},
        {"block": "unit", "with": {"width": 4, "rate": 0.5}},
        {"type": "Dense", "units": 1},
    ]
    found = functions(tmp_path, {"input": [4], "layers": layers}, blocks=blocks)
    assert found["unit"] == (
        "def unit(inputs, units):\n"
        '    x = layers.Dense(units, activation="relu")(inputs)\n'
        "    x = layers.Dropout(0.5)(x)\n"
        "    return layers.Concatenate()([inputs, x])"
    )
    assert found["build_model"] == (
        "def build_model():\n"
        "    inputs = keras.Input(shape=(4,))\n"
        "    x = unit(inputs, units=8)\n"
        "    for _ in range(2):\n"
        "        x = unit(x, units=8)\n"
        "    x = unit(x, units=4)\n"
        "    outputs = layers.Dense(1)(x)\n"
        '    return keras.Model(inputs, outputs, name="c")'
    )


def test_stack_is_sequential_without_default_arguments(tmp_path):
    layers = [
        {"type": "Conv2D", "filters": 8, "kernel_size": [3, 5], "strides": [1, 1], "padding": "same"},
        {"type": "MaxPooling2D", "pool_size": 2},
        {"type": "ZeroPadding2D", "padding": [[1, 1], [1, 1]]},
        {"type": "ZeroPadding2D", "padding": [[1, 2], [0, 1]]},
        {"type": "Reshape", "target_shape": [-1]},
        {"type": "Dense", "name": "head", "units": 3, "kernel_initializer": "he_normal", "use_bias": True},
    ]
    assert functions(tmp_path, {"input": [8, 8, 3], "layers": layers}, name="small")["build_model"] == (
        "def build_model():\n"
        "    return keras.Sequential(\n"
        "        [\n"
        "            keras.Input(shape=(8, 8, 3)),\n"
        '            layers.Conv2D(8, kernel_size=(3, 5), padding="same"),\n'
        "            layers.MaxPooling2D(),\n"
        "            layers.ZeroPadding2D(),\n"
        "            layers.ZeroPadding2D(padding=((1, 2), (0, 1))),\n"
        "            layers.Reshape((-1,)),\n"
        '            layers.Dense(3, kernel_initializer="he_normal", name="head"),\n'
        "        ],\n"
        '        name="small",\n'
        "    )"
    )


def assert_same_parts(valid, folder, monkeypatch):
    """Check that the script splits the examples as layercli; return the splits, the script's names and its text."""
    facts, _, warnings, _ = collect_script_facts(valid, trust=True)
    assert not warnings
    assert problems_of(valid, facts) == []
    text = script_of(valid, facts, folder)
    assert_formatted(text)
    monkeypatch.syspath_prepend(folder)
    names = defined(text, folder / "script.py")
    parts, _ = load_splits(valid, valid.config.data, trust=True)
    for ours, part in zip(names["split"](*names["load_data"]()), parts.subsets, strict=True):
        theirs = (part.x, part.y, *([] if part.weights is None else [part.weights]))
        keras.tree.assert_same_structure(ours, theirs)
        for one, other in zip(keras.tree.flatten(ours), keras.tree.flatten(theirs), strict=True):
            np.testing.assert_array_equal(np.asarray(one).astype(other.dtype), other)
    return parts, names, text


TWO = {
    "inputs": {"a": [3], "b": [2]},
    "layers": [
        {"type": "Concatenate", "inputs": ["a", "b"]},
        {"type": "Dense", "name": "label", "units": 3, "activation": "softmax"},
        {"type": "Dense", "name": "score", "units": 1, "inputs": "concatenate"},
    ],
    "outputs": ["label", "score"],
}


@pytest.mark.parametrize(
    ("kind", "loss"), [("npz", "sparse_categorical_crossentropy"), ("npy", "categorical_crossentropy")]
)
def test_several_targets_are_split_alike_and_trained(kind, loss, tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    arrays = {
        "a": rng.random((60, 3)),
        "b": rng.random((60, 2)),
        "s": rng.random((60, 1)),
        "y": np.array(["red", "green", "blue"])[rng.integers(0, 3, 60)],
    }
    np.savez(tmp_path / "d.npz", **arrays)
    for name, array in arrays.items():
        np.save(tmp_path / f"{name}.npy", array)
    end = ".npy" if kind == "npy" else ""
    data = {"inputs": {"a": f"a{end}", "b": f"b{end}"}, "target": {"label": f"y{end}", "score": f"s{end}"}}
    data |= {"type": "npz", "path": "d.npz"} if kind == "npz" else {"type": "npy"}
    split = {"validation": 0.2, "test": 0.2, "stratify": True}
    losses = {
        "loss": {"label": loss, "score": "mse"},
        "loss_weights": {"label": 1.0, "score": 0.5},
        "metrics": {"label": ["accuracy"], "score": ["mae"]},
    }
    valid = model_of(tmp_path, TWO, data=data | {"split": split}, train=losses)
    _, names, text = assert_same_parts(valid, tmp_path, monkeypatch)
    assert 'loss_weights={"label": 1.0, "score": 0.5}' in text
    monkeypatch.chdir(tmp_path)
    names["main"]()


def test_example_weights_are_read_and_used(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    lines = [
        f"{a:.3f},{b:.3f},{w:.2f},{'ab'[c]}"
        for a, b, w, c in zip(*rng.random((3, 50)), rng.integers(0, 2, 50), strict=True)
    ]
    (tmp_path / "d.csv").write_text("\n".join(["first,second,weight,kind", *lines]))
    data = {
        "type": "csv",
        "path": "d.csv",
        "target": "kind",
        "weights": "weight",
        "missing": {"numbers": "mean"},
        "split": {"validation": 0.2, "test": 0.2},
    }
    head = {"type": "Dense", "units": 1, "activation": "sigmoid"}
    valid = model_of(
        tmp_path, {"input": [2], "layers": [head]}, data=data, train={"loss": "binary_crossentropy"}
    )
    _, names, text = assert_same_parts(valid, tmp_path, monkeypatch)
    assert "sample_weight=weights_train" in text
    monkeypatch.chdir(tmp_path)
    names["main"]()
    balanced = {"loss": "binary_crossentropy", "class_weight": "balanced"}  # Keras takes one or the other
    valid = model_of(tmp_path, {"input": [2], "layers": [head]}, data=data, train=balanced)
    found = problems_of(valid, collect_script_facts(valid)[0])
    assert [problem.path for problem in found] == ["train.class_weight"]


def test_table_in_another_form_is_read_as_in_training(tmp_path):
    rows = [f"{n},5;{['Yes', 'no'][n % 2]};0{n};{'ab'[n % 2]}" for n in range(30)]
    (tmp_path / "d.csv").write_bytes("\n".join(["Größen", "size;flag;zip;kind", *rows]).encode("cp1252"))
    data = {
        "type": "csv",
        "path": "d.csv",
        "target": "kind",
        "inputs": {"n": ["size", "flag"], "zip": "zip"},
        **{"separator": ";", "decimal": ",", "encoding": "cp1252", "skip_lines": 1},
        "split": {"test": 0.2},
    }
    model = {
        "inputs": {"n": [2], "zip": {"shape": [1], "dtype": "string"}},
        "layers": [
            {
                "type": "StringLookup",
                "inputs": "zip",
                "output_mode": "multi_hot",
                "max_tokens": 40,
                "pad_to_max_tokens": True,
            },
            {"type": "Concatenate", "inputs": ["previous", "n"]},
            {"type": "Dense", "units": 1, "activation": "sigmoid"},
        ],
    }
    valid = model_of(tmp_path, model, data=data, train={"loss": "binary_crossentropy"})
    facts = collect_script_facts(valid)[0]
    names = defined(script_of(valid, facts, tmp_path), tmp_path / "script.py")
    x, y = names["load_data"]()
    assert x["n"][:3].tolist() == [[0.5, 1], [1.5, 0], [2.5, 1]]
    assert x["zip"][:2].tolist() == [["00"], ["01"]]
    assert y[:3].tolist() == [0, 1, 0]


def test_unnamed_and_repeated_columns_are_read_as_in_training(tmp_path):
    rows = "".join(f"{n},{n + 1},{n + 2},{n % 2}\n" for n in range(20))
    (tmp_path / "d.csv").write_text(f"Title\n,a,a,y\n{rows}")
    data = {
        "type": "csv",
        "path": "d.csv",
        "target": "y",
        "skip_lines": 1,
        "inputs": {"n": ["column_1", "a.1"]},
    }
    head = {"type": "Dense", "units": 1, "activation": "sigmoid"}
    train = {"loss": "binary_crossentropy"}
    valid = model_of(tmp_path, {"inputs": {"n": [2]}, "layers": [head]}, data=data, train=train)
    names = defined(script_of(valid, collect_script_facts(valid)[0], tmp_path), tmp_path / "script.py")
    x, _ = names["load_data"]()
    assert x[:2].tolist() == [[0, 2], [1, 3]]


def test_table_texts_with_missing_values(tmp_path, monkeypatch):
    rows = ['"one\ntwo",,1,x', "NULL,c,2,y", "?,d,,x", "e,f,4,y"]
    (tmp_path / "d.csv").write_text("\n".join(["left,right,size,kind", *(rows * 5)]))
    data = {
        "type": "csv",
        "path": "d.csv",
        "target": "kind",
        "inputs": {"words": ["left", "right"], "n": "size"},
        "missing": {"texts": "none", "numbers": "zero"},
        "types": {"size": "number"},
        "split": {"test": 0.2},
    }
    model = {
        "inputs": {"words": {"shape": [2], "dtype": "string"}, "n": [1]},
        "layers": [
            {"type": "StringLookup", "inputs": "words"},
            {"type": "Embedding", "input_dim": 20, "output_dim": 2},
            "Flatten",
            {"type": "Concatenate", "inputs": ["previous", "n"]},
            {"type": "Dense", "units": 1, "activation": "sigmoid"},
        ],
    }
    valid = model_of(tmp_path, model, data=data, train={"loss": "binary_crossentropy"})
    facts = collect_script_facts(valid)[0]
    text = script_of(valid, facts, tmp_path)
    assert_formatted(text)
    names = defined(text, tmp_path / "script.py")
    x, _ = names["load_data"]()
    assert '"""Read columns of a table: numbers and their target."""' in text  # not only texts
    assert x["words"][:4].tolist() == [["one\ntwo", "none"], ["none", "c"], ["none", "d"], ["e", "f"]]
    monkeypatch.chdir(tmp_path)
    names["main"]()


def test_empty_folders_and_other_files_are_skipped(tmp_path, monkeypatch):
    from PIL import Image

    for folder, names in {
        "a": ["1.png", "Thumbs.db"],
        "b": [],
        "c": ["1.PNG", ".2.png"],
        ".d": ["1.png"],
    }.items():
        (tmp_path / "images" / folder).mkdir(parents=True)
        for name in names:
            Image.fromarray(np.full((4, 4), 7, np.uint8)).save(tmp_path / "images" / folder / name, "png")
    data = {"type": "images", "path": "images", "channels": 1}
    layers = ["Flatten", {"type": "Dense", "units": 2, "activation": "softmax"}]
    train = {"loss": "sparse_categorical_crossentropy"}
    valid = model_of(tmp_path, {"input": [4, 4, 1], "layers": layers}, data=data, train=train)
    parts, _, _ = assert_same_parts(valid, tmp_path, monkeypatch)
    assert sorted(parts.train.y.tolist()) == [0, 1]


def test_script_decodes_and_turns_images_as_the_reader(tmp_path, monkeypatch):
    from PIL import Image

    random = np.random.default_rng(0)
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    for name in ("a/x/1.jpg", "a/2.jpg", "b/.hidden/1.jpg", "b/1.webp"):
        file = tmp_path / "images" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 256, (60, 40, 3), np.uint8)
        Image.fromarray(pixels).resize((400, 600)).save(file, exif=exif)
    data = {"type": "images", "path": "images", "size": [30, 20]}
    layers = ["Flatten", {"type": "Dense", "units": 2, "activation": "softmax"}]
    train = {"loss": "sparse_categorical_crossentropy"}
    valid = model_of(tmp_path, {"input": [30, 20, 3], "layers": layers}, data=data, train=train)
    parts, _, _ = assert_same_parts(valid, tmp_path, monkeypatch)
    assert sorted(parts.train.y.tolist()) == [0, 0, 1]


def test_many_examples_are_split_by_class_as_in_a_training(tmp_path, monkeypatch):
    np.savez(tmp_path / "d.npz", x=np.arange(65_540.0)[:, None], y=np.arange(65_540) % 3 // 2)
    data = {"type": "npz", "path": "d.npz", "features": "x", "target": "y"}
    data["split"] = {"validation": 0.1, "test": 0.1, "stratify": True}
    model = {"input": [1], "layers": [{"type": "Dense", "units": 1, "activation": "sigmoid"}]}
    valid = model_of(tmp_path, model, data=data, train={"loss": "binary_crossentropy"})
    parts, _, _ = assert_same_parts(valid, tmp_path, monkeypatch)
    assert [len(part) for part in parts.subsets] == [52_432, 6_554, 6_554]


@pytest.fixture
def _float32():
    """Restore Keras's default dtype policy."""
    yield
    keras.config.set_dtype_policy("float32")


@pytest.mark.usefixtures("_float32")
def test_dtype_policy_and_frozen_layers(tmp_path):
    layers = [
        {"type": "Dense", "name": "base", "units": 4},
        {"type": "BatchNormalization", "name": "norm"},
        {"type": "Dense", "units": 2, "dtype": "float32"},
    ]
    valid = model_of(
        tmp_path, {"input": [3], "layers": layers, "dtype": "mixed_float16", "freeze": ["base", "norm"]}
    )
    text = script_of(valid)
    assert_formatted(text)
    assert_same_model(valid, text, tmp_path, api.build(valid))
    made = defined(text, tmp_path / "script.py")["build_model"]()
    assert [layer.compute_dtype for layer in made.layers] == ["float16", "float16", "float32"]
    assert [layer.trainable for layer in made.layers] == [False, False, True]


@pytest.mark.parametrize(
    ("section", "path"),
    [
        ({"model": {"weights": "runs/a/1"}}, "model.weights"),
        ({"train": {"distribution": "mirrored"}}, "train.distribution"),
        ({"train": {"callbacks": [{"type": "MLflow"}]}}, "train.callbacks[0]"),
        (
            {"data": {"type": "csv", "path": "x.csv", "target": "y", "split": {"group": "a", "test": 0.2}}},
            "data.split.group",
        ),
    ],
)
def test_inexpressible_setting_is_reported(section, path, tmp_path):
    model = {"input": [3], "layers": [{"type": "Dense", "units": 1}]} | section.get("model", {})
    rest = {"data": section["data"]} if "data" in section else {}
    valid = model_of(tmp_path, model, **rest, train={"loss": "mse"} | section.get("train", {}))
    assert [problem.path for problem in problems_of(valid, collect_script_facts(valid)[0])] == [path]


def test_refusal_says_what_a_script_would_train_differently(tmp_path):
    layers = [
        {"type": "MobileNet", "weights": "x.h5", "include_top": False, "pooling": "avg"},
        {"type": "Dense", "name": "top", "units": 2, "lora_rank": 1},
    ]
    model = {"input": [32, 32, 3], "layers": layers, "weights": "runs/a/1"}
    stages = [{"epochs": 1, "freeze": ["top"]}, {"epochs": 1}]
    train = {"loss": "mse", "callbacks": ["EarlyStopping"], "stages": stages}
    valid = model_of(tmp_path, model, train=train)
    found = {
        problem.path: problem.message.partition(" script")[2]
        for problem in problems_of(valid, ScriptFacts({None: ScriptTarget(TargetMeaning("numbers"))}))
    }
    assert found == {
        "model.weights": ": layercli matches the layers of the other model, and copies their weights.",
        "model.layers[0].weights": ": the script would start from random weights, and differ from this training.",
        "train.callbacks": " with `stages`: each stage calls `fit`, which would begin and end them.",
        "train.stages[0].freeze": (
            ": `trainable = True` in a later stage would also unfreeze weights that stay fixed."
        ),
    }


OPTIMIZER_CONFIGS = {
    "accumulation and averages": {
        "type": "AdamW",
        "gradient_accumulation_steps": 4,
        "use_ema": True,
        "ema_momentum": 0.9,
        "global_clipnorm": 1.0,
    },
    "a schedule that warms up": {
        "type": "SGD",
        "learning_rate": {
            "type": "CosineDecay",
            "initial_learning_rate": 0.0,
            "warmup_target": 0.1,
            "warmup_steps": 5,
            "decay_steps": 50,
        },
    },
}


@pytest.mark.parametrize("name", OPTIMIZER_CONFIGS)
def test_optimizer_with_schedule_accumulation_and_averages(name, tmp_path):
    train = {
        "loss": "mse",
        "optimizer": OPTIMIZER_CONFIGS[name],
        "checkpoints": {"steps": 5},
        "execution": {"jit_compile": False},
    }
    valid = model_of(tmp_path, {"input": [3], "layers": [{"type": "Dense", "units": 2}]}, train=train)
    assert problems_of(valid, collect_script_facts(valid)[0]) == []
    made, theirs = eval(render_inline(name_or_call(valid.config.train.optimizer))), api.build(valid)
    compile_model(theirs, valid.config.train, valid)
    assert made.get_config() == theirs.optimizer.get_config() | {"name": made.name}


TRAINED = {
    "loss": "mse",
    "metrics": ["mae", {"type": "AUC", "curve": "PR"}, "accuracy"],
    "epochs": 3,
    "optimizer": {
        "type": "SGD",
        "momentum": 0.9,
        "learning_rate": {"type": "CosineDecay", "initial_learning_rate": 0.1, "decay_steps": 10},
    },
}


def test_training_matches_the_config(tmp_path):
    data = {"type": "sklearn", "dataset": "breast_cancer", "split": {"test": 0.2}}
    valid = model_of(
        tmp_path,
        {"layers": [{"type": "Dense", "units": 1, "activation": "sigmoid"}]},
        data=data,
        train=TRAINED | {"class_weight": {"1": 2.0}},
    )
    text = script_of(valid, collect_script_facts(valid)[0])
    assert_formatted(text)
    names = defined(text, tmp_path / "script.py")
    kept = {}

    class Watched:
        def __init__(self, model):
            self._model = model

        def __getattr__(self, name):
            if name in ("fit", "evaluate", "save", "summary"):
                return lambda *args, **kwargs: kept.setdefault(name, (args, kwargs))
            return getattr(self._model, name)

    build = names["build_model"]
    names["build_model"] = lambda: kept.setdefault("model", Watched(build()))
    names["main"]()
    ours, theirs = kept["model"]._model, build()
    compile_model(theirs, valid.config.train, valid)
    made, wanted = (model.optimizer.get_config() | {"name": "same"} for model in (ours, theirs))
    assert made == wanted
    assert keras.losses.get(ours.loss)([[1.0]], [[3.0]]) == theirs.loss([[1.0]], [[3.0]])
    args, options = kept["fit"]
    assert options == {"batch_size": 32, "epochs": 3, "class_weight": {1: 2.0}}
    assert len(args[0]) == 455
    assert kept["evaluate"][1] == {"batch_size": 32}


@pytest.mark.parametrize(
    ("weights", "expected"),
    [({"-1": 3.0, "1": 0.5}, {-1: 3, 1: 0.5}), ("balanced", {-1: 8 / (2 * 6), 1: 8 / (2 * 2)})],
)
def test_class_weights_of_labels_minus_1_and_1(tmp_path, monkeypatch, weights, expected):
    np.savez(tmp_path / "d.npz", x=np.zeros((8, 2)), y=np.array([-1, 1, -1, -1, -1, 1, -1, -1]))
    data = {"type": "npz", "path": str(tmp_path / "d.npz"), "features": "x", "target": "y"}
    layers = [{"type": "Dense", "units": 1, "activation": "tanh"}]
    section = {"epochs": 1, "loss": "hinge", "class_weight": weights}
    valid = model_of(tmp_path, {"input": [2], "layers": layers}, data=data, train=section)
    facts = collect_script_facts(valid)[0]
    assert problems_of(valid, facts) == []
    text = script_of(valid, facts, tmp_path)
    assert_formatted(text)
    options = {}
    monkeypatch.setattr(keras.Model, "fit", lambda *_, **arguments: options.update(arguments))
    monkeypatch.setattr(keras.Model, "save", lambda *_: None)
    defined(text, tmp_path / "script.py")["main"]()
    assert options["class_weight"] == expected


def test_nested_adaptable_layer_is_reported_at_its_path(tmp_path):
    inner = {"type": "TimeDistributed", "layer": {"type": "Normalization"}}
    valid = model_of(tmp_path, {"input": [3, 4], "layers": [inner]})
    [problem] = problems_of(valid, ScriptFacts({None: ScriptTarget(TargetMeaning("labels"))}))
    assert (problem.code, problem.path) == ("not-expressible", "model.layers[0]")
    assert problem.message == "`model.layers[0]` cannot be expressed in a Python script."


@pytest.mark.parametrize("vocabularies_name", [None, "v.json"])
def test_vocabularies_are_loaded_if_there_are_any(vocabularies_name, tmp_path):
    valid = model_of(tmp_path, {"input": [3], "layers": [{"type": "Dense", "units": 2}]})
    files = ScriptFiles(tmp_path, "w.weights.h5", vocabularies_name)
    text = write_script(valid, ScriptFacts({None: ScriptTarget(TargetMeaning("labels"))}), files, None)
    assert_formatted(text)
    vocabulary_lines = (
        '    for name, vocabulary in json.loads(LEARNED.read_text("utf-8")).items():\n'
        "        model.get_layer(name).set_vocabulary(vocabulary)\n"
    )
    assert (
        "def load_trained():\n"
        '    """Build the model and load its trained weights."""\n'
        "    model = build_model()\n"
        f"{vocabulary_lines if vocabularies_name else ''}"
        "    model.load_weights(WEIGHTS)\n"
        "    return model\n"
    ) in text
    assert ('LEARNED = Path(__file__).parent / "v.json"\n' in text) is (vocabularies_name is not None)


def test_vocabularies_with_weights_are_loaded_with_both(tmp_path):
    layers = [
        {"type": "StringLookup", "output_mode": "tf_idf", "max_tokens": 9, "pad_to_max_tokens": True},
        {"type": "Dense", "units": 2},
    ]
    valid = model_of(tmp_path, {"input": {"shape": [1], "dtype": "string"}, "layers": layers})
    files = ScriptFiles(tmp_path, "w.weights.h5", "v.json")
    text = write_script(valid, ScriptFacts({None: ScriptTarget(TargetMeaning("labels"))}), files, None)
    assert_formatted(text)
    assert (
        '    for name, vocabulary in json.loads(LEARNED.read_text("utf-8")).items():\n'
        "        if isinstance(vocabulary, dict):\n"
        "            model.get_layer(name).set_vocabulary(**vocabulary)\n"
        "        else:\n"
        "            model.get_layer(name).set_vocabulary(vocabulary)\n"
        "    model.load_weights(WEIGHTS)\n"
    ) in text


@pytest.mark.parametrize("name", sorted(SNAKE_CASE_CLASSES))
def test_short_name_is_that_class_in_keras(name):
    homes = [(OPTIMIZERS, keras.optimizers), (LOSSES, keras.losses), (METRICS, keras.metrics)]
    for catalogue, home in homes:
        if name not in catalogue.modules:
            continue
        component = catalogue.load(name).model_validate({})
        found = home.get(eval(name_or_call(component)))
        same = getattr(home, name)
        if isinstance(found, same):
            continue
        # For losses and metrics Keras returns the function that the class wraps.
        y, p = [[0.0, 1.0], [1.0, 0.0]], [[0.1, 0.8], [0.7, 0.3]]
        y = [1, 0] if name.startswith("Sparse") else y
        values = np.asarray(found(np.array(y), np.array(p)))
        assert float(values.mean()) == pytest.approx(float(same()(np.array(y), np.array(p))), rel=1e-5)


TRAINED_CONFIGS = ["iris_csv.yaml", "topics_text.yaml", "digits_two_inputs.yaml", "wine_parquet.yaml"]


@pytest.fixture(scope="module")
def trained(place, tmp_path_factory):
    """Run scripts of several configs in one new process, and return the folder of each."""
    folders = {name: tmp_path_factory.mktemp("trained") for name in TRAINED_CONFIGS}
    for name, folder in folders.items():
        valid = require_valid(check_config(str(place / name), ["train.epochs=1"]))
        text = script_of(valid, collect_script_facts(valid)[0], folder)
        (folder / "script.py").write_text(text)
    code = (
        "import os, runpy, sys\n"
        "for folder in sys.argv[1:]:\n"
        "    os.chdir(folder)\n"
        "    runpy.run_path('script.py', run_name='__main__')\n"
        "assert 'layercli' not in sys.modules\n"
    )
    command = [sys.executable, "-I", "-c", code, *folders.values()]
    with start_processes_warm():
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return folders


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINED_CONFIGS)
def test_script_trains_in_a_separate_process(name, trained):
    assert (trained[name] / f"{check_config(str(CONFIGS / name)).name}.keras").exists()
