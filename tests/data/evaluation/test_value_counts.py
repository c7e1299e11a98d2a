"""Counts of distinct values in bounded memory."""

import numpy as np
import pytest

from layercli.data.evaluation.value_counts import ValueCounts


def count(*arrays, max_values=100):
    counts = ValueCounts(max_values)
    for array in arrays:
        counts.add(np.asarray(array))
    return counts


def test_values_of_all_arrays_are_counted():
    counts = count([3.0, 1.0, 3.0], [[1.0, 2.0], [3.0, 3.0]])
    assert counts.values.tolist() == [1.0, 2.0, 3.0]
    assert counts.counts.tolist() == [2, 1, 4]
    assert counts.is_exact


def test_no_values():
    counts = count()
    assert (len(counts.values), len(counts.counts)) == (0, 0)


@pytest.mark.parametrize("fraction", [0.0, 0.1, 0.5, 0.9, 0.99, 1.0])
def test_quantile_equals_that_of_numpy(fraction):
    values = np.random.default_rng(3).integers(0, 30, 157) / 7
    found = count(values[:50], values[50:]).quantile(fraction)
    assert found == pytest.approx(np.quantile(values, fraction), abs=1e-12)


def test_many_values_are_rounded_to_few_digits():
    values = np.linspace(1, 2, 1001)
    counts = count(*np.split(values[:1000], 10), values[1000:], max_values=100)
    assert not counts.is_exact
    assert len(counts.values) <= 100
    assert counts.counts.sum() == 1001
    # a number with n binary digits is at most one half of the last digit away
    assert counts.quantile(0.5) == pytest.approx(1.5, rel=2.0**-counts.binary_digits)
    assert counts.values[0] == 1.0
    assert counts.values[-1] == 2.0


def test_integers_are_never_rounded():
    counts = count(np.arange(1000), max_values=10)
    assert counts.values.tolist() == list(range(1000))
    assert counts.is_exact


def test_negative_and_zero_values_keep_their_sign():
    counts = count(-np.linspace(0, 1, 500), max_values=50)
    assert counts.values[-1] == 0.0
    assert counts.values[0] == -1.0
