"""The distinct values of a target, counted batch by batch."""

import numpy as np
import pytest

from layercli.data.target_values import TargetValueCounter


def values_of(*batches):
    counter = TargetValueCounter()
    for batch in batches:
        counter.add(np.array(batch))
    return counter.to_values()


@pytest.mark.parametrize(
    ("batches", "expected"),
    [
        ([[[0, 1], [1, 0]]], True),
        ([[[0.0, 1], [1, 0]], [[0, 1]]], True),
        ([[[0, 1], [1, 0]], [[1, 1]]], False),
        ([[[0, 1], [0, 0]]], False),
        ([[[0, 2], [2, 0]]], False),
        ([[[0.5, 0.5]]], False),
        ([[[1], [1]]], False),
        ([[1, 0]], False),
        ([[[[0, 0, 1], [0, 1, 0]]]], True),
    ],
)
def test_one_hot_has_a_single_1_in_each_of_several_columns(batches, expected):
    assert values_of(*batches).is_one_hot is expected


def test_each_value_has_its_count_and_its_first_row():
    values = values_of([[2, 5], [2, 2]], [[7, 5], [2, 2]])
    assert (values.low, values.high, values.is_integral) == (2, 7, True)
    assert values.first_rows == {2: 0, 5: 0, 7: 2}
    assert values.counts == {2: 5, 5: 2, 7: 1}


def test_numbers_that_are_missing_do_not_count():
    values = values_of([1.5, np.nan, -2.0, np.inf])
    assert (values.low, values.high, values.is_integral) == (-2, 1.5, False)
    assert values.first_rows == {-2: 2, 1.5: 0}
    assert values_of([np.nan]) is None
