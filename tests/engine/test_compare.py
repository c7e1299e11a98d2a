"""Differences between outputs, worked out by hand."""

import keras
import numpy as np
import pytest

from layercli.engine.compare import ReferenceOutputs, compare_outputs, run_keras_model
from layercli.engine.comparison_inputs import EXTREMES, ComparisonCase

INF = float("inf")


def compare(expected, found, *, tolerance=1e-3, sensitivity=0.0, case=None, **options):
    case = case or ComparisonCase("data", {})
    reference = ReferenceOutputs(case, [np.asarray(expected)], [sensitivity])
    outputs = [] if found is None else [np.asarray(found)]
    (difference,) = compare_outputs([reference], [outputs], tolerance, **options)
    return difference


@pytest.mark.parametrize(
    ("expected", "found", "error"),
    [
        ([1.0, 4.0], [1.0, 4.0], 0.0),
        ([1.0, 4.0], [1.5, 4.0], 0.125),
        ([1.0, -4.0], [1.0, -3.0], 0.25),
        ([0.0, 0.0], [0.0, 0.5], 0.5),
        ([2.0, np.nan], [2.0, np.nan], 0.0),
        ([2.0, np.inf], [1.0, np.inf], 0.5),
    ],
)
def test_error_is_relative_to_the_largest_output(expected, found, error):
    difference = compare(expected, found)
    assert (difference.relative_error, difference.mismatch) == (error, "values")
    assert difference.is_too_large is (error > 1e-3)


@pytest.mark.parametrize(
    ("expected", "found", "mismatch"),
    [
        ([1.0, 4.0], [1.0], "shape"),
        ([1.0, 4.0], [[1.0, 4.0]], "shape"),
        ([1.0], None, "shape"),
        ([1.0, np.nan], [1.0, 2.0], "finiteness"),
        ([1.0, 2.0], [1.0, np.inf], "finiteness"),
    ],
)
def test_outputs_that_cannot_be_subtracted(expected, found, mismatch):
    difference = compare(expected, found)
    assert (difference.relative_error, difference.mismatch, difference.is_too_large) == (INF, mismatch, True)


def test_overflow_of_extreme_inputs_is_ignored():
    case = ComparisonCase(EXTREMES, {})
    assert compare([1.0, 2.0], [1.0, np.inf], case=case).relative_error == 0.0


def test_integers_have_a_tolerance_unless_they_must_be_equal():
    assert compare([1, 1000], [1, 999]).relative_error == 0.001
    assert compare([1, 1000], [1, 999], has_exact_integers=True).relative_error == INF
    assert compare([1, 1000], [1, 1000], has_exact_integers=True).relative_error == 0.0


def test_texts_must_be_equal():
    words = np.array(["a", "b"], dtype=object)
    assert compare(words, words.copy()).relative_error == 0.0
    assert compare(words, words[::-1].copy()).relative_error == INF


def test_tolerance_includes_eight_times_the_sensitivity():
    difference = compare([4.0], [4.5], tolerance=0.25, sensitivity=0.5)
    assert (difference.sensitivity, difference.tolerance) == (0.125, 1.25)
    assert compare([4.0], [5.0], tolerance=0.25).is_too_large is False
    assert compare([4.0], [5.5], tolerance=0.25).is_too_large is True
    assert compare([1.0], [np.nan], tolerance=1e9, case=ComparisonCase(EXTREMES, {})).relative_error == 0.0


def make_model():
    a, b = keras.Input((2,), name="a"), keras.Input((2,), name="b")
    return keras.Model([a, b], [keras.layers.Subtract()([a, b]), keras.layers.Add()([a, b])])


@pytest.mark.parametrize("names", [("b", "a"), ("b", "a", "c")])
def test_inputs_are_matched_by_name(names):
    values = {"a": [[5.0, 7.0]], "b": [[1.0, 2.0]], "c": [[9.0, 9.0]]}
    arrays = {name: np.array(values[name], dtype=np.float32) for name in names}
    difference, total = run_keras_model(make_model(), arrays)
    assert (difference.tolist(), total.tolist()) == ([[4.0, 5.0]], [[6.0, 9.0]])


def test_inputs_of_other_names_are_matched_by_position():
    arrays = {"x": np.array([[5, 7]], dtype=np.float32), "y": np.array([[1, 2]], dtype=np.float32)}
    assert run_keras_model(make_model(), arrays)[0].tolist() == [[4.0, 5.0]]
