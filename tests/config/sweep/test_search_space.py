"""Values of ranges in a sweep, counted by hand."""

import pytest

from layercli.config.sweep.search_space import FloatRange, IntRange


@pytest.mark.parametrize(
    ("ends", "step", "values"),
    [
        ([0.0, 1.0], 0.25, [0.0, 0.25, 0.5, 0.75, 1.0]),
        ([1.0, 2.0], 0.4, [1.0, 1.4, 1.8]),  # 2.2 is above the range
        ([0.5, 0.5], 0.1, [0.5]),
        ([-1.0, 0.5], 1.0, [-1.0, 0.0]),
        ([0.0, 0.3], 0.1, [0.0, 0.1, 0.2, 0.3]),  # 0.3 / 0.1 is 2.9999999999999996
    ],
)
def test_steps_of_a_float_range_start_at_its_minimum(ends, step, values):
    found = FloatRange.model_validate({"float": ends, "step": step})
    assert found.grid_values == pytest.approx(values)
    assert found.grid_size == len(values)


def test_float_range_without_a_step_has_no_grid():
    found = FloatRange.model_validate({"float": [0.5, 2.0]})
    assert (found.grid_values, found.grid_size, found.probe_values) == (None, None, [0.5, 2.0])


@pytest.mark.parametrize(
    ("keys", "values"),
    [({"int": [2, 5]}, [2, 3, 4, 5]), ({"int": [2, 9], "step": 3}, [2, 5, 8]), ({"int": [4, 4]}, [4])],
)
def test_steps_of_an_integer_range_include_the_maximum(keys, values):
    found = IntRange.model_validate(keys)
    assert list(found.grid_values) == values
    assert found.grid_size == len(values)
