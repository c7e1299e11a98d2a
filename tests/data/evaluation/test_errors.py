"""Results for numbers, compared with scikit-learn and NumPy on all examples at once."""

import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from layercli.data.evaluation import errors as errors_module
from layercli.data.evaluation.errors import ErrorResult
from layercli.data.evaluation.value_counts import ValueCounts

RANDOM = np.random.default_rng(2)


def error_results(true, predicted, size=64, names=()):
    result = ErrorResult(names)
    for first in range(0, len(true), size):
        result.add(true[first : first + size], predicted[first : first + size])
    return result.to_json()


@pytest.mark.parametrize("shape", [(200,), (200, 1), (200, 3), (200, 4, 2)])
def test_results_equal_those_of_scikit_learn(shape):
    true = RANDOM.normal(1e4, 3, shape)
    predicted = true + RANDOM.normal(0.5, 2, shape)
    errors = error_results(true, predicted)["errors"]
    flat, guesses = true.reshape(200, -1), predicted.reshape(200, -1)
    assert errors["mae"] == pytest.approx(mean_absolute_error(flat, guesses))
    assert errors["rmse"] == pytest.approx(root_mean_squared_error(flat, guesses))
    assert errors["r2"] == pytest.approx(r2_score(flat, guesses))
    expected = np.percentile(np.abs(flat - guesses), [50, 90, 99])
    assert list(errors["quantiles"]) == ["50", "90", "99"]
    assert list(errors["quantiles"].values()) == pytest.approx(expected)


def test_each_target_has_its_own_results():
    true = RANDOM.normal([1e4, 2], [30, 0.1], (200, 2))
    predicted = true + RANDOM.normal(0.5, [20, 0.2], (200, 2))
    document = error_results(true, predicted, names=("height", "age"))
    assert [row["target"] for row in document["per_target"]] == ["height", "age"]
    for index, row in enumerate(document["per_target"]):
        column, guess = true[:, index], predicted[:, index]
        assert row["mae"] == pytest.approx(mean_absolute_error(column, guess))
        assert row["rmse"] == pytest.approx(root_mean_squared_error(column, guess))
        assert row["r2"] == pytest.approx(r2_score(column, guess))
        expected = np.percentile(np.abs(column - guess), [50, 90, 99])
        assert list(row["quantiles"].values()) == pytest.approx(expected)
        mean = np.full(200, column.mean())
        assert row["baseline"]["mae"] == pytest.approx(mean_absolute_error(column, mean))
        assert row["baseline"]["rmse"] == pytest.approx(root_mean_squared_error(column, mean))
    means = [row["baseline"]["mae"] for row in document["per_target"]]
    assert document["baseline"]["mae"] == pytest.approx(np.mean(means))


def test_numbers_without_names_have_no_mean_error():
    document = error_results(np.ones((3, 2)), np.ones((3, 2)))
    assert "per_target" not in document
    assert list(document["baseline"]) == ["targets", "rmse", "r2"]


def test_guess_of_the_training_mean_equals_scikit_learn():
    true, constant = RANDOM.normal([1e4, 2], [30, 0.1], (200, 2)), np.array([10_020.0, 2.05])
    result = ErrorResult(("height", "age"), constant=constant)
    for first in range(0, 200, 64):
        result.add(true[first : first + 64], true[first : first + 64])
    document = result.to_json()
    guesses = np.broadcast_to(constant, true.shape)
    assert document["baseline"]["targets"] == "training"
    assert document["baseline"]["mae"] == pytest.approx(mean_absolute_error(true, guesses))
    assert document["baseline"]["rmse"] == pytest.approx(root_mean_squared_error(true, guesses))
    assert document["baseline"]["r2"] == pytest.approx(r2_score(true, guesses))
    for index, row in enumerate(document["per_target"]):
        assert row["baseline"]["mae"] == pytest.approx(mean_absolute_error(true[:, index], guesses[:, index]))


def test_nothing_added_is_empty():
    result = ErrorResult()
    result.add(np.zeros((0, 2)), np.zeros((0, 2)))
    assert result.is_empty
    result.add(np.zeros((1, 2)), np.zeros((1, 2)))
    assert not result.is_empty


def test_baseline_predicts_the_mean():
    document = error_results(np.array([1.0, 2.0, 6.0]), np.array([1.0, 2.0, 6.0]), size=2)
    # the mean is 3: distances 2, 1 and 3
    assert document["baseline"].pop("targets") == "evaluated"
    assert document["baseline"] == pytest.approx({"mae": 2.0, "rmse": np.sqrt(14 / 3), "r2": 0.0})
    assert document["errors"]["r2"] == 1.0


@pytest.mark.parametrize(("predicted", "r2"), [([4.0, 4.0], 1.0), ([4.0, 5.0], 0.0)])
def test_r2_of_a_constant_target_is_that_of_scikit_learn(predicted, r2):
    true = np.array([4.0, 4.0])
    assert r2_score(true, predicted) == r2
    assert error_results(true, np.array(predicted))["errors"]["r2"] == r2


def test_r2_of_one_example_is_undefined():
    assert error_results(np.array([4.0]), np.array([3.0]))["errors"]["r2"] is None


def test_rounded_quantiles_are_marked(monkeypatch):
    monkeypatch.setattr(errors_module, "ValueCounts", lambda *_: ValueCounts(4))
    document = error_results(np.zeros(9), 0.3 + np.arange(9) * 1e-9)
    assert document["errors"]["rounded_to_binary_digits"] == 20
    assert "rounded_to_binary_digits" not in error_results(np.zeros(3), np.arange(3) + 0.3)["errors"]
