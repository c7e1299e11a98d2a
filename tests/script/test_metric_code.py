"""Metrics of an exported script have the values of layercli's training."""

import keras
import numpy as np
import pytest

from layercli import api
from layercli.engine.training.metric_conversion import build_metric
from layercli.workflows.script_facts import collect_script_facts
from tests.script.running import assert_formatted, defined, script_of

RANDOM = np.random.default_rng(0)
CONFIG = """
data: {{type: npz, path: data.npz, features: x, target: y}}
model:
  input: {input}
  layers: [{{type: Dense, units: {units}}}]
train:
  loss: {{type: {loss}, from_logits: true}}
  metrics: [accuracy, Precision, AUC, {{type: F1Score, average: macro}}, {other}]
  weighted_metrics: [{{type: F1Score, average: micro, name: weighted_f1}}]
"""
CASES = {
    "classes": (
        "SparseCategoricalCrossentropy",
        3,
        RANDOM.integers(0, 3, 20),
        "sparse_categorical_crossentropy",
    ),
    "classes of timesteps": (
        "SparseCategoricalCrossentropy",
        3,
        RANDOM.integers(0, 3, (20, 4)),
        "{type: MeanIoU, num_classes: 3}",
    ),
    "ignored label": (
        "SparseCategoricalCrossentropy, ignore_class: -1",
        3,
        RANDOM.integers(-1, 3, (20, 4)),
        "sparse_categorical_crossentropy",
    ),
    "one unit": ("BinaryCrossentropy", 1, RANDOM.integers(0, 2, 20), "binary_crossentropy"),
    "several labels": ("BinaryCrossentropy", 3, RANDOM.integers(0, 2, (20, 3)), "BinaryIoU"),
}


class _CompiledError(Exception):
    pass


@pytest.mark.parametrize("case", CASES)
def test_script_measures_as_training_does(case, tmp_path, monkeypatch):
    loss, units, y, other = CASES[case]
    positions = y.shape[1:] if units == 3 and y.ndim == 2 and loss.startswith("Sparse") else ()
    np.savez(tmp_path / "data.npz", x=RANDOM.random((20, *positions, 2), dtype="float32"), y=y)
    path = tmp_path / "c.yaml"
    path.write_text(CONFIG.format(input=[*positions, 2], units=units, loss=loss, other=other))
    facts, _, _, valid = collect_script_facts(api.load(str(path)))
    text = script_of(valid, facts, tmp_path)
    assert_formatted(text)
    compiled = {}

    def compile_model(*_, **arguments):
        compiled.update(arguments)
        raise _CompiledError

    monkeypatch.setattr(keras.Model, "compile", compile_model)
    with pytest.raises(_CompiledError):
        defined(text, tmp_path / "script.py")["main"]()
    predictions = RANDOM.normal(size=(20, *positions, units)).astype("float32")
    train, weights = valid.config.train, RANDOM.random(20).astype("float32")
    weights = np.broadcast_to(weights.reshape(20, *(1 for _ in positions)), (20, *positions))
    for declared, key, weight in (
        (train.metrics, "metrics", None),
        (train.weighted_metrics, "weighted_metrics", weights),
    ):
        for ours, theirs in zip(declared, compiled[key], strict=True):
            if not isinstance(ours, str):  # a name is the same in both
                expected = measure(build_metric(ours), y, predictions, weight)
                assert measure(theirs, y, predictions, weight) == expected
                assert theirs.name == ours.arguments()["name"]


def measure(metric, y_true, y_pred, weights):
    """Return the value of a Keras metric."""
    metric.update_state(y_true, y_pred, sample_weight=weights)
    return np.asarray(metric.result()).tolist()


def test_script_without_conversions_has_no_function_for_them(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text(
        "model: {input: [4], layers: [{type: Dense, units: 3, activation: softmax}]}\n"
        "train: {loss: sparse_categorical_crossentropy, metrics: [accuracy]}\n"
    )
    assert "convert_inputs" not in script_of(api.load(str(path)))
