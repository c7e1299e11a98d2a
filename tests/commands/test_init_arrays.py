"""``layercli init`` on npz and npy files."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from layercli.check import check_config
from tests.running import invoke, train

pytestmark = pytest.mark.usefixtures("place")

X, LABELS = np.random.default_rng(0).normal(size=(12, 4)), np.arange(12) % 3
PIXELS = np.arange(12 * 8 * 8).reshape(12, 8, 8) % 3


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def init(*arguments):
    """Return the config that ``init`` writes, which has no problems, and the notes."""
    result = invoke("init", *arguments, "--json", "--force")
    assert result.exit_code == 0, result.output
    assert check_config("config.yaml").problems == []
    return yaml.safe_load(Path("config.yaml").read_text()), json.loads(result.stdout)["note"]


def refusal(*arguments):
    result = invoke("init", *arguments, "--json", "--force")
    assert result.exit_code == 1, result.output
    [problem] = json.loads(result.stdout)["problems"]
    return problem["message"]


def last_layer(config):
    layer = config["model"]["layers"][-1]
    return layer["type"], layer.get("units", layer.get("filters")), layer["activation"]


@pytest.mark.parametrize(
    ("x", "y", "last", "loss"),
    [
        (X, np.eye(3)[LABELS], ("Dense", 3, "softmax"), "categorical_crossentropy"),
        (X, 1 - np.eye(3)[LABELS], ("Dense", 3, "sigmoid"), "binary_crossentropy"),
        (X, LABELS > 0, ("Dense", 1, "sigmoid"), "binary_crossentropy"),
        (PIXELS[..., None], PIXELS, ("Conv2D", 3, "softmax"), "sparse_categorical_crossentropy"),
        (PIXELS[..., None], PIXELS * 100, ("Conv2D", 3, "softmax"), "sparse_categorical_crossentropy"),
        (np.zeros((12, 8, 2)), PIXELS[:, 0], ("Dense", 3, "softmax"), "sparse_categorical_crossentropy"),
    ],
)
def test_target_determines_the_output(x, y, last, loss):
    np.savez("a.npz", x=x, y=y)
    config, _ = init("a.npz")
    assert last_layer(config) == last
    assert config["train"]["loss"] == loss
    assert config["data"].get("target_type") == ("labels" if y.max() > 2 or y.dtype == bool else None)


def test_several_numbers_are_one_target():
    np.savez("a.npz", x=X, y=X[:, :2])
    config, note = init("a.npz")
    assert config["model"]["layers"][-2]["units"] == 2
    assert note == "Found 12 examples of shape [4] in `x`. Target: `y`, 2 numbers."


def test_images_with_channels_first_are_permuted():
    np.savez("a.npz", x=np.zeros((12, 3, 16, 20)), y=LABELS)
    config, _ = init("a.npz")
    assert config["model"]["input"] == [3, 16, 20]
    assert {"type": "Permute", "dims": [2, 3, 1]} in config["model"]["layers"]


def test_notes_name_weights_and_unused_arrays():
    np.savez("a.npz", x=X, y=LABELS, sample_weight=np.ones(12), more=X)
    config, note = init("a.npz")
    assert config["data"]["weights"] == "sample_weight"
    assert "Not used: `more` of shape [12, 4]." in note


def test_note_on_another_set_works_literally():
    np.savez("a.npz", x_train=X, y_train=LABELS, x_test=X[:4], y_test=LABELS[:4])
    _, note = init("a.npz")
    code = note.partition("needs a separate file: ")[2].partition("; then write `split: {")
    assert code[2].startswith("test: a_test.npz}`.")
    exec(code[0], {"numpy": np})
    with np.load("a_test.npz") as saved:
        assert {name: array.shape for name, array in saved.items()} == {"x_train": (4, 4), "y_train": (4,)}


@pytest.mark.parametrize(
    ("arrays", "arguments", "message"),
    [
        ({"x": X[:, 0], "y": LABELS}, [], "`x` has one number for each example, but it must have an axis"),
        (
            {"x": X, "y": LABELS * 0},
            [],
            "All examples have the same target in `y`, 0, so a model has nothing",
        ),
        ({"x": X, "y": np.ones((12, 3))}, [], "All examples have the same target in `y`, so a model has"),
        ({"x": X, "y": np.full(12, "cat")}, [], "All examples have the same target in `y`, cat, so a model"),
        ({"x": np.full((12, 2), np.nan), "y": LABELS}, [], "`x` has 24 values that are NaN or infinite."),
        (
            {"x": X, "y": LABELS, "z": LABELS},
            ["--target", "y", "--target", "z"],
            "Arrays have one target, got y, z.",
        ),
    ],
)
def test_arrays_that_training_refuses_are_refused(arrays, arguments, message):
    np.savez("a.npz", **arrays)
    assert refusal("a.npz", *arguments).startswith(message)


def test_texts_have_the_shape_of_the_array():
    np.savez("a.npz", x=np.array(["a b", "c"] * 20), y=np.array(["p", "n"] * 20))
    config, _ = init("a.npz")
    assert config["model"]["input"] == {"shape": [], "dtype": "string"}
    result = invoke("inspect-data", "config.yaml")
    assert result.exit_code == 0, result.output


def test_second_file_is_the_target():
    np.save("a.npy", X)
    np.save("b.npy", LABELS)
    config, _ = init("a.npy", "b.npy")
    assert (config["data"]["features"], config["data"]["target"]) == ("a.npy", "b.npy")
    assert "Expected one .npz file or two .npy files, got a.npy, b.npy, b.npy." in " ".join(
        refusal("a.npy", "b.npy", "b.npy").split()
    )


@pytest.mark.tensorflow
def test_files_of_sets_train_and_evaluate():
    for name, array in {"X_train": X, "y_train": LABELS, "X_test": X, "y_test": LABELS}.items():
        Path("d").mkdir(exist_ok=True)
        np.save(f"d/{name}.npy", array)
    config, _ = init("d")
    assert config["data"]["split"]["test"] == ["d/X_test.npy", "d/y_test.npy"]
    run = train("config.yaml", Path("run"), "--set", "train.epochs=1")
    assert run.result.exit_code == 0, run.result.output
    assert "12 test examples" in invoke("evaluate", "run").stdout
