"""Layers that undo the normalization of a target, checked without TensorFlow."""

import numpy as np
import pytest

from layercli.check import check_config
from tests.graph.checks.test_target_values import inspect, problems

DENSE = "{type: Dense, units: 1}"
SCALED = "{type: Normalization, name: out, invert: true}"
X = np.arange(24.0).reshape(12, 2)
PRICES = np.arange(12.0) * 10_000 + 20_000


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def check(place, layers, *, loss="mse", train="", **model):
    """Return the problems of a model for numbers whose values are not read."""
    keys = "".join(f", {key}: {value}" for key, value in model.items())
    (place / "c.yaml").write_text(
        "data: {type: npz, path: d.npz, features: x, target: y}\n"
        f"model: {{input: [2], layers: [{', '.join(layers)}]{keys}}}\ntrain: {{loss: {loss}{train}}}\n"
    )
    return check_config("c.yaml").problems


def test_layer_that_feeds_an_output_has_no_problem(place):
    assert check(place, [DENSE, SCALED]) == []
    assert check(place, [DENSE, SCALED, "Flatten", "{type: Reshape, target_shape: [1, 1]}"]) == []
    given = "{type: Normalization, invert: true, mean: 2.0, variance: 4.0}"
    assert check(place, [DENSE, given, DENSE]) == []


@pytest.mark.parametrize("after", [DENSE, "{type: Activation, activation: relu}"])
def test_layer_before_others_cannot_learn_targets(place, after):
    (problem,) = check(place, [DENSE, SCALED, after])
    assert (problem.code, problem.path, problem.severity) == (
        "target-scale",
        "model.layers[1].invert",
        "error",
    )
    assert problem.message == (
        "`out` must feed an output of the model to learn mean and variance from its targets."
    )
    assert problem.hint == (
        "Make it the last layer, or add its mean and variance, for example `mean: 0.0` and `variance: 1.0`."
    )
    assert check(place, [DENSE, SCALED[:-1] + ", mean: 0.0, variance: 1.0}", after]) == []


def test_weights_of_a_file_replace_learning(place):
    assert check(place, [DENSE, SCALED, DENSE], weights="old.keras") == []


def test_model_without_training_learns_nothing(place):
    (place / "c.yaml").write_text(f"model: {{input: [2], layers: [{DENSE}, {SCALED}, {DENSE}]}}")
    assert check_config("c.yaml").problems == []


def test_layer_of_two_outputs_cannot_learn_targets(place):
    layers = [DENSE, SCALED, "{type: Dense, units: 1, name: b}", "{reuse: out, name: second}"]
    (place / "c.yaml").write_text(
        f"model: {{input: [2], layers: [{', '.join(layers)}], outputs: [out, second]}}\n"
        "train: {loss: {out: mse, second: mse}}"
    )
    (problem,) = check_config("c.yaml").problems
    assert (
        problem.message
        == "`out` must feed one output to learn from its targets, but feeds 2: `out`, `second`."
    )


def test_layer_in_a_pipeline_cannot_learn_targets(place):
    (problem,) = check(
        place,
        [
            DENSE,
            "{type: Pipeline, layers: [{type: Rescaling, scale: 2}, {type: Normalization, invert: true}]}",
        ],
    )
    assert (problem.code, problem.path) == ("target-scale", "model.layers[1]")
    assert "in the Pipeline" in problem.message
    assert problem.hint == "Move it out of the Pipeline, to the layer after it."


@pytest.mark.parametrize("loss", ["binary_crossentropy", "hinge"])
def test_loss_for_classes_does_not_fit(place, loss):
    (problem,) = check(place, [DENSE, SCALED], loss=loss)
    assert problem.message == f"`out` learns the mean of a target of numbers, but {loss} requires classes."
    assert problem.path == "model.layers[1]"


def test_target_of_texts_does_not_fit(place):
    text = "a,b,y\n" + "".join(f"{n},{n % 3},{'yes' if n % 2 else 'no'}\n" for n in range(12))
    (place / "t.csv").write_text(text)
    data = {"type": "csv", "path": "t.csv", "target": "y", "inputs": {"input": ["a", "b"]}}
    document = inspect(place, data, f"{DENSE}, {SCALED}", "mse", (2,))
    (problem,) = document["problems"]
    assert problem["message"] == "`out` learns the mean of a target of numbers, but the target has 2 classes."


@pytest.mark.parametrize(
    ("dtype", "layer", "count"),
    [
        ("mixed_float16", SCALED, 1),
        ("mixed_bfloat16", SCALED, 1),
        ("mixed_float16", SCALED[:-1] + ", dtype: float32}", 0),
        ("float32", SCALED, 0),
    ],
)
def test_half_precision_output_is_a_warning(place, dtype, layer, count):
    found = check(place, [DENSE, layer], dtype=dtype)
    assert [(problem.code, problem.severity) for problem in found] == [("target-scale", "warning")] * count


@pytest.mark.parametrize(
    ("optimizer", "loss", "y", "count"),
    [
        ("SGD", "mse", PRICES, 1),
        ("{type: SGD, clipnorm: 1.0}", "mse", PRICES, 0),
        ("Adam", "mse", PRICES, 0),
        ("SGD", "mae", PRICES, 0),
        ("SGD", "mse", np.linspace(0, 100, 12), 0),
        ("SGD", "mse", np.linspace(0, 101, 12), 1),
    ],
)
def test_sgd_on_large_squared_errors_is_a_warning(place, optimizer, loss, y, count):
    np.savez(place / "d.npz", x=X, y=y)
    data = {"type": "npz", "path": "d.npz", "features": "x", "target": "y"}
    document = inspect(place, data, f"{DENSE}, {SCALED}", loss, (2,), f", optimizer: {optimizer}")
    assert problems(document) == [("target-scale", "warning", "train.optimizer")] * count


def test_wrong_units_are_reported_at_the_layer_before(place):
    np.savez(place / "d.npz", x=X, y=PRICES)
    data = {"type": "npz", "path": "d.npz", "features": "x", "target": "y"}
    document = inspect(place, data, f"{{type: Dense, name: head, units: 3}}, {SCALED}", "mse", (2,))
    (problem,) = document["problems"]
    assert (problem["path"], problem["hint"]) == ("model.layers[0].units", "Set `units: 1` on `head`.")
