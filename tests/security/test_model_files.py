"""Model files whose architecture names code: it is never deserialized from a run, and refused by ``import``."""

import hashlib
import json
import shutil
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf

from layercli.engine.load_model import load_model
from layercli.errors import LayercliError
from layercli.runs.open_run import open_run
from tests.running import invoke


@pytest.fixture
def saved_model(tmp_path):
    """A SavedModel that writes a file when it is called, and that file."""
    written = tmp_path / "written.txt"

    class Writer(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((None, None))])
        def serve(self, x):
            tf.io.write_file(str(written), "code ran")
            return x

    tf.saved_model.save(Writer(), str(tmp_path / "saved"))
    return tmp_path / "saved", written


def rewrite(path, change):
    """Change the architecture in a .keras file."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    document = json.loads(members["config.json"])
    members["config.json"] = json.dumps(change(document) or document).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def rehash(run):
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["files"]["model.keras"] = hashlib.sha256((run / "model.keras").read_bytes()).hexdigest()
    (run / "manifest.json").write_text(json.dumps(manifest))


def lambda_record(folder):
    """A Lambda whose function is a class of Keras that loads and runs a SavedModel."""
    function = {
        "module": "keras.layers",
        "class_name": "function",
        "config": "TFSMLayer",
        "registered_name": "TFSMLayer",
    }
    config = {
        "name": "evil",
        "function": function,
        "arguments": {"call_endpoint": "serve", "filepath": str(folder)},
    }
    return {"module": "keras.layers", "class_name": "Lambda", "config": config, "registered_name": None}


def insert_attack(folder):
    def change(document):
        layers = document["config"]["layers"]
        attack = lambda_record(folder) | {"name": "evil", "inbound_nodes": layers[-1]["inbound_nodes"]}
        layers.append(attack)

    return change


@pytest.mark.parametrize("command", ["evaluate", "export", "predict"])
def test_architecture_of_a_run_is_not_deserialized(digits_run, saved_model, tmp_path, command):
    folder, written = saved_model
    run = shutil.copytree(digits_run.path, tmp_path / "run")
    rewrite(run / "model.keras", insert_attack(folder))
    rehash(run)
    given = tmp_path / "given.npy"
    np.save(given, np.zeros((2, 64), "f4"))
    options = {
        "evaluate": ("evaluate", run, "--json"),
        "export": ("export", run, "--format", "keras", "--output", tmp_path / "out.keras", "--json"),
        "predict": ("predict", run, "--input", given, "--output", tmp_path / "out.csv", "--json"),
    }[command]
    result = invoke(*options)
    assert "Traceback" not in result.output
    assert result.exit_code == 0, result.output
    assert not written.exists()
    if command == "export":
        with zipfile.ZipFile(tmp_path / "out.keras") as archive:
            assert b"Lambda" not in archive.read("config.json")


def test_import_of_the_attack_is_refused(saved_model, tmp_path):
    folder, written = saved_model
    inputs = keras.Input((3,))
    keras.Model(inputs, keras.layers.Dense(2)(inputs)).save(tmp_path / "m.keras")
    rewrite(tmp_path / "m.keras", insert_attack(folder))
    result = invoke("import", tmp_path / "m.keras", "--output", tmp_path / "m.yaml", "--json")
    assert result.exit_code == 1
    assert not written.exists()
    assert not (tmp_path / "m.yaml").exists()
    assert {problem["code"] for problem in json.loads(result.stdout)["problems"]} <= {
        "unsafe-model",
        "not-expressible",
    }


def test_model_whose_name_is_a_number_is_refused(tmp_path):
    inputs = keras.Input((3,))
    document = json.loads(keras.Model(inputs, keras.layers.Dense(2)(inputs)).to_json())
    document["config"]["name"] = 10**400
    (tmp_path / "m.json").write_text(json.dumps(document))
    result = invoke("import", tmp_path / "m.json", "--output", tmp_path / "m.yaml", "--json")
    assert result.exit_code == 1, result.output
    assert [problem["code"] for problem in json.loads(result.stdout)["problems"]] == ["unreadable-model"]


def test_layer_that_leads_nowhere_is_refused(tmp_path):
    """Keras would build it, at any size, although no memory was reserved for it."""
    inputs = keras.Input((3,))
    keras.Model(inputs, keras.layers.Dense(2, name="used")(inputs)).save(tmp_path / "m.keras")

    def change(document):
        layers = document["config"]["layers"]
        extra = json.loads(json.dumps(layers[-1]).replace('"used"', '"extra"'))
        extra["config"]["units"] = 2**31 - 1
        layers.append(extra)

    rewrite(tmp_path / "m.keras", change)
    result = invoke("import", tmp_path / "m.keras", "--output", tmp_path / "m.yaml", "--json")
    assert result.exit_code == 1
    (problem,) = json.loads(result.stdout)["problems"]
    assert "its layer extra does not lead to an output" in problem["message"]


def test_weights_of_a_run_equal_those_that_keras_loads(digits_run):
    run, valid = open_run(str(digits_run.path))
    ours, theirs = load_model(run, valid), keras.models.load_model(run / "model.keras")
    assert [weight.shape for weight in ours.weights] == [weight.shape for weight in theirs.weights]
    for mine, other in zip(ours.weights, theirs.weights, strict=True):
        np.testing.assert_array_equal(mine, other)
    x = np.random.default_rng(0).uniform(size=(8, *ours.inputs[0].shape[1:])).astype("f4")
    np.testing.assert_array_equal(ours(x, training=False), theirs(x, training=False))


@pytest.mark.parametrize("make", ["numbers", "nested", "text"])
def test_learned_state_equals_that_which_keras_loads(tmp_path, make):
    rows = {"text": "word\na b\nb c\nc c a\nd\na\nb\n", "numbers": "x\n1\n2\n3.5\n4\n8\n9\n"}
    layers = {
        "text": "{type: TextVectorization, inputs: word, max_tokens: 20, output_sequence_length: 4}, "
        "{type: Embedding, input_dim: 20, output_dim: 2}, Flatten",
        "numbers": "{type: Discretization, num_bins: 3}",
        "nested": "Normalization",
    }[make]
    text = rows["text" if make == "text" else "numbers"].splitlines()
    lines = [f"{text[0]},y"] + [f"{line},{number % 2}" for number, line in enumerate(text[1:])]
    (tmp_path / "d.csv").write_text("\n".join(lines) + "\n")
    model_input = "inputs: {word: {shape: [1], dtype: string}}" if make == "text" else "input: [1]"
    data_input = "inputs: {word: word}, " if make == "text" else ""
    head = "{type: Dense, units: 2, activation: softmax}"
    (tmp_path / "c.yaml").write_text(
        f"data: {{type: csv, path: d.csv, target: y, {data_input}split: {{validation: 0}}}}\n"
        f"model: {{{model_input}, layers: [{layers}, {head}]}}\n"
        "train: {epochs: 1, loss: sparse_categorical_crossentropy}\n"
    )
    result = invoke("train", tmp_path / "c.yaml", "--run-dir", tmp_path / "run", "--json")
    assert result.exit_code == 0, result.output
    run, valid = open_run(str(tmp_path / "run"))
    ours, theirs = load_model(run, valid), keras.models.load_model(run / "model.keras")
    x = tf.constant([["a b"], ["zzz c"], ["d"]]) if make == "text" else np.array([[1.0], [3.7], [9.0]], "f4")
    np.testing.assert_array_equal(ours(x, training=False), theirs(x, training=False))


def test_damaged_boundaries_are_a_problem(tmp_path):
    (tmp_path / "d.csv").write_text("x,y\n1,a\n2,b\n3,a\n4,b\n5,a\n")
    (tmp_path / "c.yaml").write_text(
        "data: {type: csv, path: d.csv, target: y, split: {validation: 0}}\n"
        "model: {input: [1], layers: [{type: Discretization, num_bins: 3}, {type: Dense, units: 2, activation: softmax}]}\n"
        "train: {epochs: 1, loss: sparse_categorical_crossentropy}\n"
    )
    assert invoke("train", tmp_path / "c.yaml", "--run-dir", tmp_path / "run", "--json").exit_code == 0

    def change(document):
        document["config"]["layers"][1]["config"]["bin_boundaries"] = ["a"]

    rewrite(tmp_path / "run" / "model.keras", change)
    rehash(tmp_path / "run")
    run, valid = open_run(str(tmp_path / "run"))
    with pytest.raises(LayercliError, match="boundaries of a Discretization are missing or invalid"):
        load_model(run, valid)
