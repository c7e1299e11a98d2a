"""Predictions of positions, several labels and logits, also after a custom layer whose output shape is unknown."""

import json

import keras
import numpy as np
import pytest
from scipy.special import expit, softmax

from tests.running import invoke, train

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(12, 4, 2)).astype(np.float32)
KINDS = np.arange(48).reshape(12, 4) % 3 * 10 + 10
BITS = RANDOM.integers(0, 2, (12, 4, 1))
TAGS = np.array([[0, 1, 1], [1, 0, 0]] * 6)

LAYERS = [
    {"type": "scale.py:Scale", "name": "scaled"},
    {"type": "Dense", "units": 3, "name": "kinds"},
    {"type": "Dense", "units": 1, "activation": "sigmoid", "name": "bits", "inputs": "scaled"},
    {"type": "GlobalAveragePooling1D", "inputs": "scaled"},
    {"type": "Dense", "units": 3, "name": "tags"},
]
CONFIG = {
    "seed": 3,
    "data": {
        "type": "npz",
        "path": "d.npz",
        "features": "x",
        "target": {"kinds": "kinds", "bits": "bits", "tags": "tags"},
        "target_type": {"kinds": "labels"},
    },
    "model": {"input": [4, 2], "layers": LAYERS, "outputs": ["kinds", "bits", "tags"]},
    "train": {
        "loss": {
            "kinds": {"type": "SparseCategoricalCrossentropy", "from_logits": True},
            "bits": "binary_crossentropy",
            "tags": {"type": "BinaryCrossentropy", "from_logits": True},
        }
    },
}
SCALE = "import keras\n\n\nclass Scale(keras.layers.Layer):\n    def call(self, x):\n        return x * 2\n"


@pytest.fixture(scope="module", params=["scale.py:Scale", "ReLU"])
def predicted(request, tmp_path_factory):
    """Return the raw outputs of a trained model, by name, and its predictions."""
    place = tmp_path_factory.mktemp("outputs")
    np.savez(place / "d.npz", x=X, kinds=KINDS, bits=BITS, tags=TAGS)
    (place / "scale.py").write_text(SCALE)
    layers = [{"type": request.param, "name": "scaled"}, *LAYERS[1:]]
    (place / "c.yaml").write_text(json.dumps(CONFIG | {"model": CONFIG["model"] | {"layers": layers}}))
    run = train(place / "c.yaml", place / "run", "--trust")
    assert run.result.exit_code == 0, run.result.output
    output = place / "p.npz"
    result = invoke("predict", run.path, "--input", place / "d.npz", "--output", output, "--trust")
    assert result.exit_code == 0, result.output
    return _compute_outputs(run.path / "model.keras", request.param), dict(np.load(output))


def _compute_outputs(path, first):
    """Return what NumPy computes from the saved weights."""
    objects = {}
    if first != "ReLU":
        exec(SCALE, objects)
    model = keras.models.load_model(path, custom_objects=objects, compile=False)
    scaled = X * 2 if objects else np.maximum(X, 0)
    inputs = {"kinds": scaled, "bits": scaled, "tags": scaled.mean(axis=1)}
    dense = {name: model.get_layer(name).get_weights() for name in inputs}
    return {name: inputs[name] @ kernel + bias for name, (kernel, bias) in dense.items()}


def test_each_position_has_its_class_and_probabilities(predicted):
    outputs, columns = predicted
    probabilities = softmax(outputs["kinds"], axis=-1)
    assert columns["kinds_class"].tolist() == np.array([10, 20, 30])[probabilities.argmax(-1)].tolist()
    np.testing.assert_allclose(columns["kinds_probability"], probabilities.max(-1), rtol=1e-4)
    for index, name in enumerate(("10", "20", "30")):
        np.testing.assert_allclose(columns[f"kinds_probability_{name}"], probabilities[..., index], rtol=1e-4)


def test_each_position_has_one_of_two_classes(predicted):
    outputs, columns = predicted
    of_one = expit(outputs["bits"][..., 0])
    assert columns["bits_class"].tolist() == (of_one > 0.5).astype(int).tolist()
    np.testing.assert_allclose(columns["bits_probability_1"], of_one, rtol=1e-4)
    np.testing.assert_allclose(columns["bits_probability"], np.maximum(of_one, 1 - of_one), rtol=1e-4)


def test_logits_of_several_labels_are_labels_and_probabilities(predicted):
    outputs, columns = predicted
    probabilities = expit(outputs["tags"])
    assert columns["tags_prediction"].tolist() == (probabilities > 0.5).astype(int).tolist()
    np.testing.assert_allclose(columns["tags_probability"], probabilities, rtol=1e-4)
    assert len(columns) == 13  # with the row and the error
