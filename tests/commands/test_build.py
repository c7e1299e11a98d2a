import json
import zipfile

import keras
import numpy as np
import pytest
import yaml

from layercli import api
from layercli.workflows import preflight
from tests.running import CONFIGS, invoke, problems, run_python, write_config
from tests.stacks import document

PREDICT = """
import sys, numpy, keras
model = keras.models.load_model(sys.argv[1])
numpy.save(sys.argv[3], model.predict(numpy.load(sys.argv[2]), verbose=0))
print(model.name, model.count_params())
"""
HEAD = {"type": "Dense", "units": 3, "activation": "softmax"}
CNN = CONFIGS / "digits_cnn.yaml"


def test_json_contains_counts():
    result = invoke("build", CNN, "--json")
    assert result.exit_code == 0
    assert list(json.loads(result.stdout).items()) == [
        ("ok", True),
        ("model", "digits-cnn"),
        ("layers", 8),
        ("trainable", 29130),
        ("non_trainable", 64),
        ("flops", 2 * (8 * 8 * 9 * 32 + 8 * 8 * 9 * 32 * 64 + 1024 * 10)),
        ("problems", []),
        ("output", None),
    ]


def test_counts_match_keras():
    model = api.build(CNN)
    weights = [
        sum(int(np.prod(weight.shape)) for weight in part)
        for part in (model.trainable_weights, model.non_trainable_weights)
    ]
    assert weights == [29130, 64]


def test_summary_shows_connections_percentages_totals_and_memory():
    result = invoke("build", CONFIGS / "digits_dense.yaml")
    assert result.exit_code == 0
    lines = [" ".join(line.split()) for line in result.stdout.splitlines() if line.strip()]
    assert lines[0] == "digits-dense: 4 layers"
    assert lines[1] == "layer from output params share FLOPs"
    assert lines[5] == "dense above (None, 64) 4,160 86.5% 8.19 k"
    assert lines[-2:] == [
        "Parameters: 4,810 (4,810 trainable, 0 not); FLOPs for one example: 9,472.",
        "Memory: weights 18.8 KiB; outputs of all layers for a batch of 32 25.2 KiB.",
    ]


@pytest.mark.slow
@pytest.mark.usefixtures("warm_processes")
def test_saved_model_predicts_the_same_in_new_process(tmp_path):
    target = tmp_path / "model.keras"
    result = invoke("build", CNN, "--json", "--output", target)
    assert json.loads(result.stdout)["output"] == str(target)
    images = np.random.default_rng(0).uniform(0, 16, (5, 8, 8, 1)).astype("float32")
    np.save(tmp_path / "x.npy", images)
    message = run_python(PREDICT, target, tmp_path / "x.npy", tmp_path / "y.npy")
    assert message.split() == ["digits-cnn", "29194"]
    expected = api.build(CNN).predict(images, verbose=0)
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), expected, atol=1e-6)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_save_replaces_existing_model(tmp_path, iris):
    target = tmp_path / "model.keras"
    target.write_text("an older one")
    result = invoke("build", iris, "--output", target)
    assert result.stdout.endswith(f"Saved to {target}.\n")
    assert zipfile.is_zipfile(target)


def test_failed_save_keeps_existing_file(tmp_path, iris, monkeypatch):
    import keras

    def save(self, path):  # noqa: ARG001
        path.write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(keras.Model, "save", save)
    target = tmp_path / "out" / "model.keras"
    target.parent.mkdir()
    target.write_text("an older one")
    result = invoke("build", iris, "--json", "--output", target)
    assert problems(result) == [("cannot-write", None)]
    (problem,) = json.loads(result.stdout)["problems"]
    assert problem["message"] == "The model cannot be written: No space left on device."
    assert problem["file"] == str(target)
    assert [path.name for path in target.parent.iterdir()] == ["model.keras"]
    assert target.read_text() == "an older one"


def test_output_path_that_is_a_directory_is_a_problem(tmp_path, iris):
    target = tmp_path / "model.keras"
    target.mkdir()
    assert problems(invoke("build", iris, "--json", "--output", target)) == [("cannot-write", None)]


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("model.h5", "must end in .keras"),
        ("model", "must end in .keras"),
        ("nowhere/model.keras", "directory nowhere does not exist"),
    ],
)
def test_invalid_output_is_a_usage_error(iris, tmp_path, monkeypatch, output, message):
    monkeypatch.chdir(tmp_path)
    result = invoke("build", iris, "--output", output)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.replace("│", " ").split())
    assert result.stdout == ""


def test_seed_determines_weights():
    first, again, other = (
        api.build(api.load(CONFIGS / "digits_lstm.yaml", overrides=[f"seed={seed}"])).get_weights()
        for seed in (7, 7, 8)
    )
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])


def test_invalid_config_exits_with_1():
    text = "model: {input: [4], layers: [{type: Dense, units: 0}]}"
    assert problems(invoke("build", "-", "--json", stdin=text)) == [("out-of-range", 1)]
    shown = invoke("build", "-", stdin=text)
    assert (shown.exit_code, shown.stdout) == (1, "")
    assert "<stdin>:1:" in shown.stderr


def test_custom_code_requires_trust():
    config = CONFIGS / "custom_layer.yaml"
    assert problems(invoke("build", config, "--json")) == [("trust-required", 14)]
    assert invoke("build", config, "--json", "--trust").exit_code == 0


def test_wrong_declared_shape_is_reported_at_its_layer(tmp_path, layer_file):
    mine = layer_file("def call(self, inputs):\n    return inputs[:, :2]")
    config = write_config(tmp_path, [{"type": mine, "output_shape": [3]}, HEAD])
    result = invoke("build", config, "--json", "--trust")
    assert problems(result) == [("shape-disagrees", 11)], result.stdout
    (problem,) = json.loads(result.stdout)["problems"]
    assert problem["message"].endswith("must have output shape (None, 3), got (None, 2).")


def test_unloadable_layer_cannot_be_saved(tmp_path, layer_file):
    mine = layer_file(
        "def __init__(self, units, **kwargs):\n"
        "    super().__init__(**kwargs)\n"
        "    self.dense = keras.layers.Dense(units)\n"
        "def call(self, inputs):\n"
        "    return self.dense(inputs)\n"
        "def get_config(self):\n"
        "    return {**super().get_config(), 'unit': 4}"
    )
    config = write_config(tmp_path, [{"type": mine, "units": 4}, HEAD])
    assert invoke("build", config, "--json", "--trust").exit_code == 0
    target = tmp_path / "model.keras"
    assert problems(invoke("build", config, "--json", "--trust", "--output", target)) == [("not-savable", 11)]
    assert not target.exists()


def test_too_large_model_is_rejected_before_keras_loads():
    code = """
import io, json, sys
from layercli.cli import make_app
from typer.testing import CliRunner
text = '''
data: {type: sklearn, dataset: digits}
model: {layers: [{type: Dense, units: 1000000000, name: huge}, {type: Dense, units: 10, activation: softmax}]}
train: {loss: sparse_categorical_crossentropy}
'''
for command in ("build", "train", "inspect-shapes"):
    result = CliRunner().invoke(make_app(), [command, "-", "--json"], input=text)
    (problem,) = json.loads(result.stdout)["problems"]
    print(result.exit_code, problem["code"], problem["line"], "The largest layer is `huge`," in problem["message"])
print(sorted({"keras", "tensorflow", "sklearn", "numpy"} & set(sys.modules)))
"""
    assert run_python(code).splitlines() == ["1 too-large 3 True"] * 3 + ["[]"]


def test_training_requires_more_memory_than_building(iris, monkeypatch):
    valid = api.load(iris)
    weights = (4 * 8 + 8 + 8 * 3 + 3) * 4
    outputs = (8 + 3) * 4
    monkeypatch.setattr(preflight, "read_memory_limit", lambda: weights + outputs)
    assert preflight.check_memory(valid, copies=1) is None
    problem = preflight.check_memory(valid, copies=4)
    assert problem.message == (
        "The model needs about 2.4 KiB of memory, but this machine has 312 B. "
        "The largest layer is `dense`, with 192 B of weights and outputs."
    )
    monkeypatch.setattr(preflight, "read_memory_limit", lambda: None)
    assert preflight.check_memory(valid, copies=4) is None


@pytest.mark.parametrize(
    "layer",
    [{"type": "RandomShear", "x_factor": 0.2}, {"type": "RandomCrop", "height": 4, "width": 4, "seed": 1}],
    ids=lambda layer: layer["type"],
)
def test_augmentation_is_loaded_by_keras_and_imported(layer, tmp_path):
    # Keras writes the factor 0.2 as (-0.2, 0.2), which RandomShear refuses.
    config, saved, back = (tmp_path / name for name in ("config.yaml", "m.keras", "back.yaml"))
    config.write_text(document([8, 8, 1], [layer]))
    assert invoke("build", config, "--output", saved).exit_code == 0
    assert type(keras.saving.load_model(saved).layers[1]).__name__ == layer["type"]
    assert invoke("import", saved, "--output", back).exit_code == 0
    assert yaml.safe_load(back.read_text())["model"]["layers"] == [layer]


def test_model_without_vocabulary_is_not_saved(tmp_path):
    # Keras raises "keys and values cannot be empty tensors" when it loads such a file.
    config, saved = tmp_path / "config.yaml", tmp_path / "m.keras"
    config.write_text(document([1], ["StringLookup"], dtype="string"))
    result = invoke("build", config, "--output", saved, "--json")
    assert [problem["code"] for problem in json.loads(result.stdout)["problems"]] == ["not-savable"]
    assert not saved.exists()
    config.write_text(document([1], [{"type": "StringLookup", "vocabulary": ["a"]}], dtype="string"))
    assert invoke("build", config, "--output", saved).exit_code == 0


def test_layer_that_returns_its_input_is_refused(tmp_path):
    (tmp_path / "own.py").write_text(
        "import keras\n\n\nclass Own(keras.layers.Layer):\n"
        "    def compute_output_spec(self, inputs):\n        return inputs\n"
    )
    (tmp_path / "config.yaml").write_text(document([4], [{"type": "own.py:Own"}]))
    result = invoke("build", tmp_path / "config.yaml", "--trust", "--json")
    assert [problem["message"] for problem in json.loads(result.stdout)["problems"]] == [
        "`own` must return a new tensor from `compute_output_spec`, got its input."
    ]
