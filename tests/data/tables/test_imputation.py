"""Learned replacements of missing numbers against literals and NumPy."""

import numpy as np
import pytest

from layercli.data.examples import Examples
from layercli.data.tables.imputation import fill_missing, learn_fill_values
from layercli.data.tables.plan import TablePlan

NAN = np.nan


def learn(*columns, statistic="median", batch=3):
    """Return the learned value of each column, read ``batch`` rows at a time."""
    names = tuple("abcdef"[: len(columns)])
    table = np.array(columns, dtype=np.float32).T
    plan = TablePlan(
        inputs={None: names},
        text_columns=frozenset(),
        targets={},
        fill_statistics=dict.fromkeys(names, statistic),
    )
    starts = range(0, len(table), batch)
    found = learn_fill_values(lambda: (Examples(table[at : at + batch], None) for at in starts), plan)
    return [found[name] for name in names]


@pytest.mark.parametrize(
    ("values", "median"),
    [
        ([7.0], 7.0),
        ([1.0, 2.0], 1.5),
        ([10.0, 1.0, 2.0, 4.0], 3.0),
        ([10.0, 1.0, 2.0, 4.0, 3.0], 3.0),
        ([-1.0, 1.0], 0.0),
        ([-8.0, -2.0, -4.0, -1.0], -3.0),
        ([-3.0, 0.0, 5.0, 5.0], 2.5),
        ([2.0, 2.0, 2.0, 9.0], 2.0),
        ([1.0, 1e30, 2.0, 1e-30], 1.5),
        ([16777216.0, 16777214.0], 16777215.0),
        ([NAN, 5.0, NAN, 1.0, NAN], 3.0),
        ([np.inf, 5.0, -np.inf, 1.0, NAN], 3.0),
        ([NAN, NAN], 0.0),
    ],
)
def test_median_of_even_and_odd_counts(values, median):
    assert learn(values) == [median]


@pytest.mark.parametrize("rows", [1, 2, 9, 10, 501, 1000])
def test_median_of_random_numbers_equals_numpy(rows):
    values = np.random.default_rng(rows).normal(scale=100, size=rows).astype(np.float32)
    assert learn(values, batch=64) == [np.median(values.astype(np.float64))]


@pytest.mark.parametrize(
    ("values", "mean"),
    [([1.0, 2.0, 6.0], 3.0), ([NAN, 1.0, NAN, 2.0], 1.5), ([np.inf, 4.0], 4.0), ([NAN, NAN], 0.0)],
)
def test_mean_ignores_values_that_are_not_finite(values, mean):
    assert learn(values, statistic="mean") == [mean]


def test_each_column_has_its_own_statistic():
    table = np.array([[1, 1, 0], [2, 2, 0], [9, 9, 0], [NAN, NAN, NAN]], dtype=np.float32)
    plan = TablePlan(
        inputs={"x": ("a", "b"), "z": ("c",)},
        text_columns=frozenset(),
        targets={},
        fill_statistics={"a": "median", "b": "mean"},
    )
    examples = Examples({"x": table[:, :2], "z": table[:, 2:]}, None)
    assert learn_fill_values(lambda: iter([examples]), plan) == {"a": 2.0, "b": 4.0}
    assert learn_fill_values(lambda: iter([examples]), plan.with_fill_values({})) == {}


def test_only_missing_numbers_of_filled_columns_are_replaced():
    plan = TablePlan(inputs={None: ("a", "b")}, text_columns=frozenset(), targets={})
    array = np.array([[NAN, NAN], [1, 2]], dtype=np.float32)
    filled = fill_missing(array, plan, {"a": 7.5}, None)
    np.testing.assert_array_equal(filled, np.float32([[7.5, NAN], [1, 2]]))
    assert filled.dtype == np.float32
    whole = np.array([[1, 2]], dtype=np.int32)
    assert fill_missing(whole, plan, {"a": 7.5}, None) is whole
    assert fill_missing(array, plan, {}, None) is array
