"""The texts of numbers in surveys of tables."""

import pytest

from layercli.data.tables.survey import _format_number, _to_float


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (3.0, "3"),
        (-0.5, "-0.5"),
        (2.0**53 - 1, "9007199254740991"),
        (2.0**53, "9007199254740992.0"),  # from here on, not every integer is a float
        (float("inf"), "inf"),
        (float("nan"), "nan"),
    ],
)
def test_integers_have_no_fraction(number, text):
    assert _format_number(number) == text


@pytest.mark.parametrize(("text", "number"), [("1e3", 1000.0), ("x", None), ("inf", None), ("nan", None)])
def test_text_is_a_finite_number_or_none(text, number):
    assert _to_float(text) == number
