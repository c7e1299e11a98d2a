"""Columns that contain the target."""

import numpy as np

from layercli.data.leaks import find_leaks

ROWS = 60
NUMBERS = np.random.default_rng(0).normal(size=(3, ROWS))
CLASSES = np.arange(ROWS) % 2


def texts(*values):
    return np.array(values, dtype=object)


def test_column_with_one_value_for_each_class_repeats_the_target():
    alive = texts(*np.where(CLASSES, "yes", "no"))
    assert find_leaks({"alive": alive, "x": NUMBERS[0]}, CLASSES.astype(float)) == {
        "alive": "repeats the target"
    }


def test_column_whose_values_have_one_class_each_determines_the_target():
    cause = texts(*(["ice", "fire"][n % 2] + str(n % 6 // 2) for n in range(ROWS)))
    reason = find_leaks({"cause": cause}, CLASSES.astype(float))["cause"]
    assert reason == "determines the target: each of its values has one value of the target"


def test_column_with_one_exception_does_not_determine_the_target():
    values = CLASSES.astype(float).copy()
    values[7] = 1 - values[7]
    assert find_leaks({"x": values}, CLASSES.astype(float)) == {}


def test_ids_and_constant_columns_do_not_determine_the_target():
    columns = {"id": np.arange(ROWS, dtype=float), "same": np.ones(ROWS)}
    assert find_leaks(columns, CLASSES.astype(float)) == {}


def test_sums_and_differences_of_two_columns():
    a, b, c = NUMBERS
    assert set(find_leaks({"a": a, "b": b, "c": c}, a + b)) == {"a", "b"}
    assert "difference of `a` and `c`" in find_leaks({"a": a, "b": b, "c": c}, c - a)["c"]
    assert find_leaks({"a": a, "b": b, "c": c}, a + b + 0.01 * c) == {}


def test_target_in_different_units():
    reason = "is the target in different units"
    assert find_leaks({"eur": NUMBERS[0], "x": NUMBERS[1]}, 1.1 * NUMBERS[0] + 3) == {"eur": reason}
    assert find_leaks({"eur": NUMBERS[0]}, NUMBERS[0] + 0.01 * NUMBERS[1]) == {}


def test_missing_values_and_few_rows():
    known = NUMBERS[0].copy()
    known[:5] = np.nan
    assert set(find_leaks({"a": known, "b": NUMBERS[1]}, 2 * known)) == {"a"}
    assert find_leaks({"a": CLASSES[:19].astype(float)}, CLASSES[:19].astype(float)) == {}
