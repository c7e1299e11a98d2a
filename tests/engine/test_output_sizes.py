"""Layers that learn the size of their output from the training set."""

import json

import keras
import pytest
import yaml

from layercli import api
from layercli.check import check_config, require_valid
from layercli.workflows.output_sizes import read_output_sizes
from tests.running import invoke, train

WORDS = ["cat", "dog", "cow", "hen"]


def write(place, layers, *, dtype="string", **train_keys):
    rows = [f"{WORDS[n % 4]} {n % 3},{n % 6},{n // 12 % 2}" for n in range(60)]
    (place / "t.csv").write_text("\n".join(["text,number,y", *rows]) + "\n")
    column = "text" if dtype == "string" else "number"
    document = {
        "seed": 1,
        "data": {
            "type": "csv",
            "path": str(place / "t.csv"),
            "target": "y",
            "inputs": {"x": column},
            "split": {"validation": 0.2},
        },
        "model": {"inputs": {"x": {"shape": [1], "dtype": dtype}}, "layers": layers},
        "train": {"loss": "sparse_categorical_crossentropy", "epochs": 1, **train_keys},
    }
    (place / "c.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    return place / "c.yaml"


HEAD = {"type": "Dense", "units": 2, "activation": "softmax", "name": "head"}
HOT = {"type": "StringLookup", "name": "hot", "output_mode": "one_hot"}


@pytest.mark.parametrize(
    ("layer", "dtype", "size"),
    [
        (HOT, "string", 13),  # 12 texts, and one index for others
        (HOT | {"num_oov_indices": 4, "output_mode": "tf_idf"}, "string", 16),
        (HOT | {"max_tokens": 5, "output_mode": "multi_hot"}, "string", 5),
        (HOT | {"max_tokens": 500, "mask_token": "", "output_mode": "count"}, "string", 13),
        ({"type": "IntegerLookup", "name": "hot", "output_mode": "multi_hot"}, "int64", 7),
        (
            {"type": "TextVectorization", "name": "hot", "output_mode": "count"},
            "string",
            8,
        ),  # 4 words, 3 digits
        ({"type": "TextVectorization", "name": "hot", "output_mode": "multi_hot", "ngrams": 2}, "string", 20),
        (
            {
                "type": "Pipeline",
                "name": "hot",
                "layers": [{"type": "StringLookup", "output_mode": "one_hot"}],
            },
            "string",
            13,
        ),
    ],
)
def test_size_is_that_of_the_training_vocabulary(tmp_path, layer, dtype, size):
    valid = api.load(write(tmp_path, [layer, HEAD], dtype=dtype))
    assert valid.shapes.by_name["hot"].outputs[0].shape == (None, None)
    completed = read_output_sizes(valid)
    assert completed.shapes.by_name["hot"].outputs[0].shape == (None, size)
    assert completed.shapes.by_name["head"].parameters == size * 2 + 2


def test_lookup_after_another_learned_size(tmp_path):
    layers = [
        HOT,
        {"type": "Dense", "units": 1, "kernel_initializer": "ones", "trainable": False},
        {"type": "Discretization", "bin_boundaries": [0.5]},
        {"type": "IntegerLookup", "name": "second", "output_mode": "count"},
        HEAD,
    ]
    completed = read_output_sizes(api.load(write(tmp_path, layers)))
    assert completed.shapes.by_name["second"].outputs[0].shape == (None, 2)  # every text gives 1


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    place = tmp_path_factory.mktemp("learned")
    config = write(place, [HOT, HEAD])
    done = train(config, place / "run")
    assert done.result.exit_code == 0, done.result.output
    return config, done.path


def test_run_records_the_size(run):
    _, path = run
    valid = require_valid(check_config(str(path / "config.yaml")))
    assert valid.shapes.size_learners == []
    assert valid.shapes.by_name["head"].parameters == 28
    lookup = keras.models.load_model(path / "model.keras").get_layer("hot")
    assert lookup.vocabulary_size() == 13


def test_commands_with_readable_data_know_the_size(run):
    config, _ = run
    document = json.loads(invoke("inspect-data", config, "--json").stdout)
    assert (document["ok"], document["learned_sizes"]) == (True, {"hot": 13})
    document = json.loads(invoke("inspect-shapes", config, "--json").stdout)
    assert "unknown_sizes" not in document
    assert [layer["output_shape"] for layer in document["layers"]] == [[None, 13], [None, 2]]
    assert all(layer["agrees"] for layer in document["layers"])


def test_shapes_without_readable_data_are_a_warning(run, tmp_path):
    config, _ = run
    text = config.read_text().replace("t.csv", "missing.csv")
    (tmp_path / "c.yaml").write_text(text)
    result = invoke("inspect-shapes", tmp_path / "c.yaml", "--json")
    document = json.loads(result.stdout)
    assert result.exit_code == 0
    (problem,) = document["problems"]
    assert (problem["code"], problem["severity"]) == ("unknown-size", "warning")
    assert document["unknown_sizes"] == ["hot"]


def test_layer_that_rejects_the_size_is_an_error(tmp_path):
    config = write(tmp_path, [HOT, {"type": "Reshape", "target_shape": [2, -1]}, "Flatten", HEAD])
    for command in ("inspect-data", "inspect-shapes", "train"):
        document = json.loads(invoke(command, config, "--json").stdout)
        (problem,) = document["problems"]
        assert (problem["code"], problem["path"]) == ("shape-mismatch", "model.layers[1].target_shape")
        assert "13" in problem["message"]


def test_single_token_is_an_error(tmp_path):
    config = write(tmp_path, [HOT | {"num_oov_indices": 0}, HEAD])
    text = "text,number,y\n" + "".join(f"a,1,{n % 2}\n" for n in range(20))
    (tmp_path / "t.csv").write_text(text)
    document = json.loads(invoke("inspect-data", config, "--json").stdout)
    assert "unknown-size" in [problem["code"] for problem in document["problems"]]


def test_imported_lookup_keeps_its_size(tmp_path):
    x = keras.Input((1,), dtype="string", name="s")
    lookup = keras.layers.StringLookup(output_mode="one_hot")
    lookup.adapt(["a", "b", "c"])
    keras.Model(x, keras.layers.Dense(1)(lookup(x))).save(tmp_path / "m.keras")
    result = invoke("import", tmp_path / "m.keras", "--output", tmp_path / "c.yaml", "--json")
    assert result.exit_code == 0, result.output
    assert "max_tokens: 4" in (tmp_path / "c.yaml").read_text()
