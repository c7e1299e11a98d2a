"""Metrics of constant predictions, equal to those of scikit-learn's dummy models."""

import json

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.metrics import accuracy_score, log_loss, mean_absolute_error, mean_squared_error

from tests.running import train, write_config

SPLIT = {"validation": "val.npz"}


@pytest.fixture
def baseline(tmp_path):
    """The closing table's baseline of a training on these targets."""
    random = np.random.default_rng(5)

    def baseline(y, held_out, layers, loss, metric):
        for name, values in (("train.npz", y), ("val.npz", held_out)):
            np.savez(tmp_path / name, x=random.normal(size=(len(values), 4)).astype("float32"), y=values)
        data = {"type": "npz", "path": "train.npz", "features": "x", "target": "y", "split": SPLIT}
        section = {"loss": loss, "metrics": [metric], "batch_size": 16}
        path = write_config(tmp_path, layers, data=data, train=section)
        path.write_text(path.read_text().replace("model:\n", "model:\n  input: [4]\n"))
        found = train(path, tmp_path / "run").summary["baseline"]
        assert found["set"] == "validation"
        return found["predicts"], found["metrics"]["loss"], found["metrics"][metric]

    return baseline


X, HELD_OUT = np.zeros((50, 1)), np.zeros((21, 1))


@pytest.mark.parametrize("logits", [False, True])
def test_classes_have_the_metrics_of_their_frequencies(baseline, logits):
    y, held_out = np.arange(50) % 7 % 3, np.arange(21) % 3
    layer = {"type": "Dense", "units": 3} | ({} if logits else {"activation": "softmax"})
    loss = {"type": "SparseCategoricalCrossentropy", "from_logits": logits}
    model = DummyClassifier(strategy="prior").fit(X, y)
    assert baseline(y, held_out, [layer], loss, "accuracy") == (
        "majority",
        pytest.approx(log_loss(held_out, model.predict_proba(HELD_OUT)), rel=1e-5),
        pytest.approx(accuracy_score(held_out, model.predict(HELD_OUT))),
    )


@pytest.mark.parametrize("logits", [False, True])
def test_two_classes_have_the_metrics_of_their_frequency(baseline, logits):
    y, held_out = (np.arange(50) % 3 == 0).astype(int), (np.arange(21) % 2).astype(int)
    layer = {"type": "Dense", "units": 1} | ({} if logits else {"activation": "sigmoid"})
    loss = {"type": "BinaryCrossentropy", "from_logits": logits}
    model = DummyClassifier(strategy="prior").fit(X, y)
    assert baseline(y, held_out, [layer], loss, "accuracy") == (
        "majority",
        pytest.approx(log_loss(held_out, model.predict_proba(HELD_OUT)), rel=1e-5),
        pytest.approx(accuracy_score(held_out, model.predict(HELD_OUT))),
    )


def test_numbers_have_the_metrics_of_their_mean(baseline):
    y, held_out = np.arange(100.0).reshape(50, 2) ** 1.5, np.arange(42.0).reshape(21, 2)
    model = DummyRegressor().fit(X, y)
    predicted = model.predict(HELD_OUT)
    assert baseline(y, held_out, [{"type": "Dense", "units": 2}], "mse", "mean_absolute_error") == (
        "mean",
        pytest.approx(mean_squared_error(held_out, predicted), rel=1e-5),
        pytest.approx(mean_absolute_error(held_out, predicted), rel=1e-5),
    )


def test_loss_without_a_constant_prediction_has_no_baseline(tmp_path):
    layers = [{"type": "Dense", "units": 3}, {"type": "UnitNormalization"}]
    run = train(write_config(tmp_path, layers, train={"loss": "circle"}), tmp_path / "run")
    assert json.loads(run.result.stdout)["baseline"] is None


def test_text_vectors_have_a_baseline(tmp_path):
    rows = "".join(f"{'good' if row % 2 else 'bad'} text {row},{row % 2}\n" for row in range(20))
    (tmp_path / "rows.csv").write_text(f"text,kind\n{rows}")
    path = tmp_path / "config.yaml"
    path.write_text(
        "data: {type: text, path: rows.csv, column: text, target: kind, split: {test: 0.2, stratify: true}}\n"
        "model:\n  input: {shape: [1], dtype: string}\n  layers:\n"
        "    - {type: TextVectorization, output_mode: multi_hot, max_tokens: 30, pad_to_max_tokens: true}\n"
        "    - {type: Dense, units: 1, activation: sigmoid}\n"
        "train: {loss: binary_crossentropy, metrics: [accuracy], epochs: 1}\n"
    )
    found = train(path, tmp_path / "run").summary["baseline"]
    assert found["metrics"] == {"loss": pytest.approx(np.log(2)), "accuracy": 0.5}
