"""Targets of several table columns train, evaluate and predict as plain Keras with an array of them."""

import json

import keras
import numpy as np
import pytest

from layercli import api
from layercli.workflows.script_facts import collect_script_facts
from tests.running import invoke, train
from tests.script.running import assert_formatted, defined, script_of

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(20, 2)).astype(np.float32)
NUMBERS = np.round(RANDOM.normal(size=(20, 2)) * 10, 3)
BITS = RANDOM.integers(0, 2, (20, 2))
ONE_HOT = np.eye(3, dtype=int)[np.arange(20) % 3]


def write(place, y, columns, units, activation, loss, **data):
    table = np.concatenate([X, y], axis=1)
    header = ",".join(["p", "q", *columns])
    np.savetxt(place / "t.csv", table, delimiter=",", header=header, comments="", fmt="%.9g")
    document = {
        "seed": 3,
        "data": {"type": "csv", "path": "t.csv", "target": columns} | data,
        "model": {"input": [2], "layers": [{"type": "Dense", "units": units, "activation": activation}]},
        "train": {
            "batch_size": 20,
            "optimizer": {"type": "SGD", "learning_rate": 0},
            "loss": loss,
            "metrics": ["mae"],
        },
    }
    (place / "c.yaml").write_text(json.dumps(document))
    return place / "c.yaml"


def assert_like_keras(config, y):
    """Check the metrics of training and of new data; return the run and Keras's predictions."""
    run = train(config, config.parent / "run")
    assert run.result.exit_code == 0, run.result.output
    model = keras.models.load_model(run.path / "model.keras")
    expected = model.evaluate(X, y, 20, 0, return_dict=True)
    found = {name: run.summary["history"][name][0] for name in expected}
    assert found == pytest.approx(expected, rel=1e-5)
    result = invoke("evaluate", run.path, "--data", config.parent / "t.csv", "--json")
    assert json.loads(result.stdout)["metrics"] == pytest.approx(expected, rel=1e-5)
    return run, model.predict(X, verbose=0)


def predict(run):
    output = run.path.parent / "p.jsonl"
    result = invoke("predict", run.path, "--input", run.path.parent / "t.csv", "--output", output)
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in output.read_text().splitlines()]


def test_several_numbers_from_a_stream(tmp_path):
    config = write(tmp_path, NUMBERS, ["a", "b"], 2, None, "mse", stream="always")
    run, expected = assert_like_keras(config, NUMBERS)
    rows = predict(run)
    assert set(rows[0]) == {"row", "prediction_a", "prediction_b", "error"}
    assert [row["prediction_b"] for row in rows] == pytest.approx(expected[:, 1], rel=1e-5)


def test_several_labels(tmp_path):
    run, expected = assert_like_keras(
        write(tmp_path, BITS, ["a", "b"], 2, "sigmoid", "binary_crossentropy"), BITS
    )
    rows = predict(run)
    assert [row["prediction_a"] for row in rows] == (expected[:, 0] > 0.5).astype(int).tolist()
    assert [row["probability_b"] for row in rows] == pytest.approx(expected[:, 1], rel=1e-5)


def test_columns_of_one_hot_classes_name_them(tmp_path):
    config = write(tmp_path, ONE_HOT, ["a", "b", "c"], 3, "softmax", "categorical_crossentropy")
    run, expected = assert_like_keras(config, ONE_HOT)
    rows = predict(run)
    assert [row["class"] for row in rows] == ["abc"[index] for index in expected.argmax(axis=1)]
    assert [row["probability_c"] for row in rows] == pytest.approx(expected[:, 2], rel=1e-5)


def test_script_reads_the_same_target(tmp_path):
    config = write(tmp_path, NUMBERS, ["a", "b"], 2, None, "mse")
    facts, _, _, valid = collect_script_facts(api.load(config))
    text = script_of(valid, facts, tmp_path)
    assert_formatted(text)
    x, y = defined(text, tmp_path / "script.py")["load_data"]()
    np.testing.assert_allclose(y, NUMBERS.astype(np.float32))
    np.testing.assert_allclose(x, X, rtol=1e-6)
