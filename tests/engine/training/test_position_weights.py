"""Outputs with a value for each position train with masks and weights as Keras does with a mask and weight for each."""

import json

import keras
import numpy as np
import pytest

from layercli import api
from layercli.workflows.script_facts import collect_script_facts
from tests.running import train
from tests.script.running import assert_formatted, defined, script_of

RANDOM = np.random.default_rng(0)
IDS = RANDOM.integers(0, 10, (24, 6))
IDS[:, 4:] = 0  # masked
IDS[0] = 0
Y = RANDOM.normal(size=(24, 6)).astype(np.float32)
BITS = RANDOM.integers(0, 2, (24, 6))
LABELS = RANDOM.integers(0, 3, (24, 6))
WEIGHTS = RANDOM.uniform(0.2, 2, 24).astype(np.float32)
STEP_WEIGHTS = np.repeat(WEIGHTS[:, None], 6, axis=1)
MASKED = [
    {"type": "Embedding", "input_dim": 10, "output_dim": 4, "mask_zero": True, "name": "words"},
    {"type": "LSTM", "units": 5, "return_sequences": True, "name": "states"},
]


def write(place, head, loss, metrics, weighted_metrics, *, outputs=None, target="y", weights=None):
    np.savez(place / "d.npz", x=IDS, y=Y, bits=BITS, labels=LABELS, first=Y[:, 0], w=WEIGHTS)
    data = {"type": "npz", "path": "d.npz", "features": "x", "target": target, "weights": weights}
    model = {"input": {"shape": [6], "dtype": "int32"}, "layers": [*MASKED, *head]}
    document = {
        "seed": 3,
        "data": data,
        "model": model | ({"outputs": outputs} if outputs else {}),
        "train": {
            "batch_size": 24,
            "optimizer": {"type": "SGD", "learning_rate": 0},  # keeps the first weights
            "loss": loss,
            "metrics": metrics,
            "weighted_metrics": weighted_metrics,
        },
    }
    (place / "c.yaml").write_text(json.dumps(document))
    return place / "c.yaml"


def assert_like_keras(config, y, sample_weight=None):
    run = train(config, config.parent / "run")
    assert run.result.exit_code == 0, run.result.output
    model = keras.models.load_model(run.path / "model.keras")
    expected = model.evaluate(IDS, y, 24, 0, sample_weight, return_dict=True)
    found = {name: run.summary["history"][name][0] for name in expected}
    assert found == pytest.approx(expected, rel=1e-5)


def test_masked_number_for_each_timestep(tmp_path):
    config = write(tmp_path, [{"type": "Dense", "units": 1}], "mse", ["mae"], ["RootMeanSquaredError"])
    assert_like_keras(config, Y[..., None])


def test_weights_of_masked_bits(tmp_path):
    head = [{"type": "Dense", "units": 1, "activation": "sigmoid"}]
    metrics = ["accuracy", "Precision", "AUC"]
    config = write(tmp_path, head, "binary_crossentropy", metrics, metrics[:2], target="bits", weights="w")
    assert_like_keras(config, BITS[..., None], STEP_WEIGHTS)


def test_weights_of_several_outputs(tmp_path):
    head = [
        {"type": "Dense", "units": 1, "name": "steps"},
        {"type": "Dense", "units": 3, "activation": "softmax", "name": "kinds", "inputs": "states"},
        {"type": "LSTM", "units": 1, "name": "first", "inputs": "states"},
    ]
    outputs = ["steps", "kinds", "first"]
    config = write(
        tmp_path,
        head,
        {"steps": "mse", "kinds": "sparse_categorical_crossentropy", "first": "mse"},
        {"steps": ["mae"]},
        {"kinds": ["accuracy", {"type": "MeanIoU", "num_classes": 3}], "first": ["mae"]},
        outputs=outputs,
        target={"steps": "y", "kinds": "labels", "first": "first"},
        weights="w",
    )
    assert_like_keras(config, [Y[..., None], LABELS, Y[:, 0]], [STEP_WEIGHTS, STEP_WEIGHTS, WEIGHTS])


def test_script_gives_targets_and_weights_for_each_timestep(tmp_path):
    config = write(tmp_path, [{"type": "Dense", "units": 1}], "mse", ["mae"], ["mae"], weights="w")
    facts, _, _, valid = collect_script_facts(api.load(config))
    text = script_of(valid, facts, tmp_path)
    assert_formatted(text)
    script = defined(text, tmp_path / "script.py")
    (_, y, weights), _, _ = script["split"](*script["load_data"]())
    assert y.shape == (24, 6, 1)
    assert np.sort(weights[:, 5]) == pytest.approx(np.sort(WEIGHTS))
    assert weights.shape == (24, 6)
