"""Targets in every encoding train as in plain Keras, with the same loss and metrics."""

import json

import keras
import numpy as np
import pytest

from tests.running import invoke, train

SPARSE, CATEGORICAL, BINARY = (
    "sparse_categorical_crossentropy",
    "categorical_crossentropy",
    "binary_crossentropy",
)
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(24, 4)).astype(np.float32)
IMAGES = RANDOM.normal(size=(24, 4, 4, 2)).astype(np.float32)
LABELS = np.arange(24) % 3
BITS = np.arange(24) % 2
PIXELS = RANDOM.integers(0, 3, (24, 4, 4))
SOFTMAX = "{type: Dense, units: 3, activation: softmax}"
SIGMOID = "{type: Dense, units: 1, activation: sigmoid}"


def write(place, x, y, layer, loss, metrics="[]", **keys):
    np.savez(place / "d.npz", x=x, y=y)
    data = {"type": "npz", "path": "d.npz", "features": "x", "target": "y"} | keys
    (place / "c.yaml").write_text(
        f"seed: 3\ndata: {json.dumps(data)}\nmodel:\n  input: {list(x.shape[1:])}\n  layers: [{layer}]\n"
        f"train: {{batch_size: 24, optimizer: {{type: SGD, learning_rate: 0}}, loss: {loss}, metrics: {metrics}}}\n"
    )
    return place / "c.yaml"


@pytest.mark.parametrize(
    ("x", "y", "layer", "loss", "metrics", "keras_y"),
    [
        (IMAGES, PIXELS, SOFTMAX, SPARSE, "[accuracy]", PIXELS),
        (IMAGES, PIXELS[..., None].astype(np.uint8), SOFTMAX, SPARSE, "[accuracy]", PIXELS),
        (IMAGES, PIXELS, SOFTMAX, CATEGORICAL, "[accuracy]", np.eye(3)[PIXELS]),
        (X, LABELS[:, None], SOFTMAX, SPARSE, "[accuracy]", LABELS),
        (X, LABELS[:, None] * 1.0, SOFTMAX, CATEGORICAL, "[accuracy]", np.eye(3)[LABELS]),
        (X, np.eye(3)[LABELS], SOFTMAX, CATEGORICAL, "[accuracy]", np.eye(3)[LABELS]),
        (X, BITS * 1.0, SIGMOID, BINARY, "[accuracy]", BITS),
        (X, BITS * 2 - 1, "{type: Dense, units: 1, activation: tanh}", "hinge", "[mae]", BITS * 2 - 1),
        (X, LABELS * 10**10 - 5, "{type: Dense, units: 1}", "mae", "[mae]", LABELS * 1e10 - 5),
        (X, np.eye(3)[LABELS], SOFTMAX, "mse", "[accuracy]", np.eye(3)[LABELS]),
        (IMAGES, PIXELS > 0, SIGMOID, BINARY, "[binary_accuracy]", (PIXELS > 0).astype(int)),
    ],
)
def test_logged_loss_and_metrics_equal_those_of_keras(tmp_path, x, y, layer, loss, metrics, keras_y):
    run = train(write(tmp_path, x, y, layer, loss, metrics), tmp_path / "run")
    assert run.result.exit_code == 0, run.result.output
    model = keras.models.load_model(run.path / "model.keras")  # the learning rate of 0 kept its first weights
    expected = model.evaluate(x, keras_y, batch_size=24, verbose=0, return_dict=True)
    found = {name: run.summary["history"][name][0] for name in expected}
    assert found == pytest.approx(expected, rel=1e-5)


@pytest.fixture(scope="module")
def mapped_run(tmp_path_factory):
    place = tmp_path_factory.mktemp("mapped")
    config = write(place, X, LABELS * 10 + 10, SOFTMAX, SPARSE, "[accuracy]", target_type="labels")
    return train(config, place / "run")


def test_mapped_labels_train_as_class_numbers(mapped_run):
    model = keras.models.load_model(mapped_run.path / "model.keras")
    expected = model.evaluate(X, LABELS, batch_size=24, verbose=0, return_dict=True)
    assert mapped_run.summary["history"]["loss"][0] == pytest.approx(expected["loss"], rel=1e-5)


def test_new_data_is_evaluated_with_the_mapping_of_training(mapped_run, tmp_path):
    np.savez(tmp_path / "new.npz", x=X[:4], y=np.array([30.0, 30, 10, 30]))
    result = invoke("evaluate", mapped_run.path, "--data", tmp_path / "new.npz", "--json")
    model = keras.models.load_model(mapped_run.path / "model.keras")
    expected = model.evaluate(X[:4], np.array([2, 2, 0, 2]), verbose=0, return_dict=True)
    assert json.loads(result.stdout)["metrics"]["loss"] == pytest.approx(expected["loss"], rel=1e-5)
    np.savez(tmp_path / "new.npz", x=X[:2], y=np.array([10, 40]))
    [found] = json.loads(
        invoke("evaluate", mapped_run.path, "--data", tmp_path / "new.npz", "--json").stdout
    )["problems"]
    assert found["message"] == 'Row 2 has the class "40", which is not in the training data.'


def test_predictions_of_mapped_labels_are_the_original_numbers(mapped_run, tmp_path):
    np.savez(tmp_path / "new.npz", x=X)
    output = tmp_path / "p.jsonl"
    assert (
        invoke("predict", mapped_run.path, "--input", tmp_path / "new.npz", "--output", output).exit_code == 0
    )
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    model = keras.models.load_model(mapped_run.path / "model.keras")
    expected = [10, 20, 30]
    assert [row["class"] for row in rows] == [
        expected[index] for index in model.predict(X, verbose=0).argmax(axis=1)
    ]
    assert list(rows[0]) == [
        *("row", "class", "probability"),
        *("probability_10", "probability_20", "probability_30", "error"),
    ]
