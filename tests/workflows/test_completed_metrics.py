"""Trainings whose metrics are completed: the run's config shows them, and their values are scikit-learn's."""

import json
import shutil

import keras
import numpy as np
import pytest
import yaml
from sklearn import metrics as sk

from layercli import api
from layercli.workflows.dataset import load_splits
from tests.running import CONFIGS, invoke, train

BINARY = """
data: {type: sklearn, dataset: breast_cancer, split: {validation: 0.2, test: 0.3}}
model: {layers: [Normalization, {type: Dense, units: 1}]}
train:
  epochs: 2
  optimizer: {type: SGD, learning_rate: 0.003}
  loss: {type: BinaryCrossentropy, from_logits: true}
  metrics: [accuracy, Precision, f1_score, {type: AUC, num_thresholds: 5000}, binary_crossentropy]
  callbacks: [{type: EarlyStopping, monitor: val_f1_score, patience: 5}]
"""
IRIS = """
data: {type: sklearn, dataset: iris, split: {validation: 0.2, test: 0.3}}
model: {layers: [{type: Dense, units: 3}]}
train:
  epochs: 2
  loss: {type: SparseCategoricalCrossentropy, from_logits: true}
  metrics: [accuracy, {type: Recall, class_id: 2}, {type: F1Score, average: macro}, {type: MeanIoU, num_classes: 3}]
  weighted_metrics: [{type: F1Score, average: weighted, name: weighted_f1}]
  execution: {jit_compile: true}
"""


def run_of(text, folder):
    """Train a config; return its path, its run, and the targets and predictions of the test examples."""
    config = folder / "config.yaml"
    config.write_text(text)
    run = train(config, folder / "run")
    assert run.result.exit_code == 0, run.result.output
    valid = api.load(str(config))
    test = load_splits(valid, valid.config.data)[0].test
    model = keras.models.load_model(run.path / "model.keras")  # compiled, without layercli
    return config, run, test.y, model.predict(test.x, verbose=0)


@pytest.fixture(scope="module")
def binary(tmp_path_factory):
    return run_of(BINARY, tmp_path_factory.mktemp("binary"))


@pytest.fixture(scope="module")
def iris(tmp_path_factory):
    return run_of(IRIS, tmp_path_factory.mktemp("iris"))


def test_metrics_of_a_logit_equal_those_of_scikit_learn(binary):
    _, run, y, logits = binary
    found = run.summary["test"]
    is_positive = logits[:, 0] > 0
    assert found["accuracy"] == pytest.approx(sk.accuracy_score(y, is_positive))
    assert found["Precision"] == pytest.approx(sk.precision_score(y, is_positive))
    assert found["f1_score"] == pytest.approx(sk.f1_score(y, is_positive))
    assert found["auc"] == pytest.approx(sk.roc_auc_score(y, logits), abs=1e-3)
    assert found["binary_crossentropy"] == pytest.approx(found["loss"], rel=1e-5)


def test_metrics_of_class_numbers_equal_those_of_scikit_learn(iris):
    _, run, y, logits = iris
    found, best = run.summary["test"], logits.argmax(axis=1)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert found["accuracy"] == pytest.approx(sk.accuracy_score(y, best))
    assert found["recall"] == pytest.approx(sk.recall_score(y == 2, probabilities[:, 2] > 0.5))
    assert found["f1_score"] == pytest.approx(sk.f1_score(y, best, average="macro"))
    assert found["weighted_f1"] == pytest.approx(sk.f1_score(y, best, average="weighted"))
    assert found["mean_io_u"] == pytest.approx(sk.jaccard_score(y, best, average="macro"))


def test_config_of_the_run_has_the_completed_metrics(binary):
    _, run, _, _ = binary
    accuracy, precision, f1, auc, crossentropy = yaml.safe_load((run.path / "config.yaml").read_text())[
        "train"
    ]["metrics"]
    assert (accuracy["type"], accuracy["name"], accuracy["threshold"]) == ("BinaryAccuracy", "accuracy", 0.0)
    assert precision["thresholds"] == 0.0
    assert (f1["targets"], f1["activation"], f1["threshold"], f1["average"]) == (
        "binary",
        "sigmoid",
        0.5,
        "micro",
    )
    assert auc["from_logits"] is True
    assert (crossentropy["targets"], crossentropy["from_logits"]) == ("output_shape", True)


@pytest.mark.parametrize("kind", ["binary", "iris"])
def test_evaluate_returns_the_values_of_training(kind, request):
    _, run, _, _ = request.getfixturevalue(kind)
    evaluated = invoke("evaluate", run.path, "--json")
    assert yaml.safe_load(evaluated.stdout)["metrics"] == pytest.approx(run.summary["test"], rel=1e-5)


def test_resume_with_the_original_config_is_exact(binary, tmp_path):
    config, _, _, _ = binary
    whole = train(config, tmp_path / "whole", "--set", "train.epochs=3").summary
    first = train(config, tmp_path / "parts")
    resumed = invoke("train", config, "--resume", first.path, "--set", "train.epochs=3", "--json")
    assert resumed.exit_code == 0, resumed.output
    history = yaml.safe_load(resumed.stdout)["history"]
    assert history == whole["history"]


SEVERAL = """
data: {type: npz, path: data.npz, features: x, target: {kind: a, flag: b}, weights: w, split: {test: 0.5}}
model:
  input: [4]
  layers:
    - {type: Dense, name: hidden, units: 8, activation: relu}
    - {type: Dense, name: kind, units: 3}
    - {type: Dense, name: flag, units: 1, inputs: hidden}
  outputs: [kind, flag]
train:
  loss:
    kind: {type: SparseCategoricalCrossentropy, from_logits: true}
    flag: {type: BinaryCrossentropy, from_logits: true}
  metrics: {kind: [{type: F1Score, average: macro}], flag: [accuracy]}
  weighted_metrics: {kind: [{type: MeanIoU, num_classes: 3}], flag: [Recall]}
"""


def test_weights_and_metrics_of_several_outputs(tmp_path):
    random = np.random.default_rng(0)
    arrays = {"x": random.random((60, 4)), "a": random.integers(0, 3, 60), "b": random.integers(0, 2, 60)}
    np.savez(tmp_path / "data.npz", **arrays, w=random.random(60))
    config = tmp_path / "config.yaml"
    config.write_text(SEVERAL)
    run = train(config, tmp_path / "run")
    assert run.result.exit_code == 0, run.result.output
    valid = api.load(str(config))
    test = load_splits(valid, valid.config.data)[0].test
    kind, flag = keras.models.load_model(run.path / "model.keras").predict(test.x, verbose=0)
    y, best, is_positive = test.y, kind.argmax(axis=1), flag[:, 0] > 0
    found, weights = run.summary["test"], {"sample_weight": test.weights}
    assert found["kind_f1_score"] == pytest.approx(sk.f1_score(y["kind"], best, average="macro"))
    assert found["kind_mean_io_u"] == pytest.approx(
        sk.jaccard_score(y["kind"], best, average="macro", **weights)
    )
    assert found["flag_accuracy"] == pytest.approx(sk.accuracy_score(y["flag"], is_positive))
    assert found["flag_Recall"] == pytest.approx(sk.recall_score(y["flag"], is_positive, **weights))


def test_metrics_after_a_custom_layer_of_unknown_shape(tmp_path):
    shutil.copy(CONFIGS / "simple_dense.py", tmp_path)
    config = tmp_path / "config.yaml"
    layer = '{type: "simple_dense.py:SimpleDense", units: 8}'
    text = BINARY.replace("Normalization,", f"Normalization, {layer},")
    config.write_text(
        text.replace("  callbacks: [{type: EarlyStopping, monitor: val_f1_score, patience: 5}]\n", "")
    )
    run = train(config, tmp_path / "run", "--trust")
    assert run.result.exit_code == 0, run.result.output
    result = invoke("evaluate", run.path, "--trust", "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    (_, wrong), (missed, hits) = document["confusion"]
    assert document["metrics"]["accuracy"] == pytest.approx(1 - (wrong + missed) / document["examples"])
    assert document["metrics"]["Precision"] == pytest.approx(hits / (hits + wrong))


def test_units_after_a_custom_layer_of_unknown_shape(tmp_path):
    shutil.copy(CONFIGS / "simple_dense.py", tmp_path)
    config = tmp_path / "config.yaml"
    layer = '{type: "simple_dense.py:SimpleDense", units: 8}'
    config.write_text(IRIS.replace("[{type: Dense, units: 3}]", f"[{layer}, {{type: Dense, units: 2}}]"))
    result = invoke("train", config, "--run-dir", tmp_path / "run", "--trust", "--json")
    assert "wrong-units" in [problem["code"] for problem in json.loads(result.stdout)["problems"]]
