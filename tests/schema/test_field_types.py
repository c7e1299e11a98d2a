"""Types of fields: their limits, and hints for values of other types."""

import pytest
from pydantic import TypeAdapter, ValidationError

from layercli.schema.field_types import NestedNumbers, Sides1D, Size2D, measure_shape
from layercli.schema.strict_model import _describe_nested_expected


def hint_for(field, value):
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(field).validate_python(value)
    (error,) = caught.value.errors()
    return error["type"], error["ctx"]["hint"]


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ("1/4", "Write 0.25: a config can calculate only with integers."),
        (" -3 / 8 ", "Write -0.375: a config can calculate only with integers."),
        ("0.5", "Remove the quotes: `0.5`."),
        ("1/0", None),
        ("half", None),
        (float("nan"), None),
    ],
)
def test_hint_for_a_text_in_place_of_a_number(value, hint):
    assert hint_for(NestedNumbers, value) == ("wrong-type", hint)


@pytest.mark.parametrize(
    ("value", "shape"), [(3.5, ()), ([], (0,)), ([1, 2, 3], (3,)), ([[1, 2], [3, 4], [5, 6]], (3, 2))]
)
def test_shape_of_nested_lists(value, shape):
    assert measure_shape(value) == shape


@pytest.mark.parametrize(
    ("value", "code", "hint"),
    [
        ("(3, 5)", "wrong-type", "Write a list in square brackets: [3, 5]."),
        ("(3)", "wrong-type", "Write 3."),
        ("(3, x)", "wrong-type", "Write a list in square brackets, such as [3, 3]."),
        ("(x", "wrong-type", "Write a list in square brackets, such as [3, 3]."),
        ("3x5", "wrong-type", "Write a list in square brackets: [3, 5]."),
        ("7", "wrong-type", "Remove the quotes: `7`."),
        ("seven", "wrong-type", None),
        ([3], "wrong-length", "For example [3, 3], one integer for each axis."),
        ([3, 5, 7], "wrong-length", "For example [3, 5], one integer for each axis."),
        ([], "wrong-length", "For example [1, 1], one integer for each axis."),
        (0, "out-of-range", None),
        (2_147_483_648, "out-of-range", "The largest valid integer is 2,147,483,647."),
    ],
)
def test_hint_for_a_size_of_two_axes(value, code, hint):
    assert hint_for(Size2D, value) == (code, hint)


def test_single_integer_counts_for_both_axes_or_sides():
    assert TypeAdapter(Size2D).validate_python(3) == (3, 3)
    assert TypeAdapter(Size2D).validate_python([3, 2_147_483_647]) == (3, 2_147_483_647)
    assert TypeAdapter(Sides1D).validate_python(0) == (0, 0)


@pytest.mark.parametrize(
    ("code", "context", "text"),
    [
        ("literal_error", {"expected": "'a' or 'b'"}, "one of 'a' or 'b'"),
        ("greater_than", {"gt": 5}, "above 5"),
        ("less_than_equal", {"le": 2000}, "at most 2,000"),
        ("unknown", {}, "of a different type"),
    ],
)
def test_expected_value_inside_a_list_or_mapping(code, context, text):
    assert _describe_nested_expected(code, context) == text
