"""Values of ranges in a sweep, counted by hand."""

import pytest
from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from layercli.config.sweep.search_space import FloatRange, IntRange, parse_search_parameter


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


@pytest.mark.parametrize(
    ("keys", "code", "message", "hint"),
    [
        ({"int": [1]}, "wrong-type", "A range of integers must be a list of two integers", "[16, 256]"),
        ({"int": [1, 2.5]}, "wrong-type", "A range of integers must be", "[16, 256]"),
        ({"int": [False, 2]}, "wrong-type", "A range of integers must be", "[16, 256]"),
        ({"int": [1, 2**31]}, "out-of-range", "The range must be narrower", "[16, 256]"),
        ({"float": ["1", 2]}, "wrong-type", "A range of numbers must be", "[1e-4, 1e-1]"),
        ({"float": [0, 1e300]}, "out-of-range", "The range must be narrower", "[1e-4, 1e-1]"),
    ],
)
def test_ends_of_a_range_are_two_numbers_within_the_limits(keys, code, message, hint):
    with pytest.raises(ValidationError) as caught:
        (IntRange if "int" in keys else FloatRange).model_validate(keys)
    error = caught.value.errors()[0]
    assert (error["type"], error["ctx"]["hint"]) == (code, f"For example `{hint}`.")
    assert error["ctx"]["message"].startswith(message)


def test_float_range_is_not_limited_to_integers_of_32_bits():
    assert FloatRange.model_validate({"float": [0, 2**31]}).float == [0, 2**31]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({}, "Expected one of `int`, `float` and `choice`, got none."),
        ({"ints": [1, 2]}, "Expected one of `int`, `float` and `choice`, got `ints`."),
        (
            {"int": [1, 2], "choice": [3]},
            "Expected only one of `int`, `float` and `choice`, got int and choice.",
        ),
        ([1, 2], "Expected a mapping with `int`, `float` or `choice`, got [1, 2]."),
    ],
)
def test_value_that_is_not_one_range_or_choice_is_refused(value, message):
    with pytest.raises(ValueError, match="Expected") as caught:
        parse_search_parameter(value)
    assert caught.value.context["message"] == message


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ({"min": 1e-4, "max": 1e-2, "log": True}, "Write `{float: [0.0001, 0.01], log: true}`."),
        ({"min": 8, "max": 64, "step": 8}, "Write `{int: [8, 64], step: 8}`."),
    ],
)
def test_bounds_have_the_range_to_write(value, written):
    with pytest.raises(PydanticCustomError) as caught:
        parse_search_parameter(value)
    assert caught.value.context["hint"] == written


@pytest.mark.parametrize(
    ("value", "written"),
    [([4, 8, 16], "[4, 8, 16]"), (["relu", "tanh"], "[relu, tanh]"), ([0.5, True], "[0.5, true]")],
)
def test_list_of_values_has_the_choice_to_write(value, written):
    with pytest.raises(PydanticCustomError) as caught:
        parse_search_parameter(value)
    assert caught.value.context["hint"] == f"Write `{{choice: {written}}}`."
    assert parse_search_parameter({"choice": value}).choice == value
