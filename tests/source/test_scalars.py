"""Plain scalars mean what YAML 1.2 says, not what YAML 1.1 said."""

import math

import pytest

from layercli.source.scalars import AmbiguousNumberError, NumberTooLongError, is_number, resolve_scalar


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1E3", 1000.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("-.5e-3", -0.0005),
        ("+1", 1),
        ("0", 0),
        ("-0", 0),
        ("0.0625", 0.0625),
        ("0o17", 15),
        ("0x1F", 31),
        ("01.5", 1.5),
    ],
)
def test_numbers_are_read_as_numbers(text, value):
    assert resolve_scalar(text) == value
    assert type(resolve_scalar(text)) is type(value)


@pytest.mark.parametrize(
    "text",
    [
        "no",
        "on",
        "Yes",
        "y",
        "off",
        "1:30",
        "2020-01-01",
        "1_000",
        "0b11",
        "-0x1",
        "+-1",
        "1e",
        "e3",
        ".",
        "-",
        "1.2.3",
        ".infinity",
        "1,000",
        "0o8",
        "=",
        "nan",
        "inf",
        "\u0661",
    ],
)
def test_yaml_1_1_special_words_are_strings(text):
    assert resolve_scalar(text) == text


@pytest.mark.parametrize("text", ["", "~", "null", "Null", "NULL"])
def test_null_has_five_spellings(text):
    assert resolve_scalar(text) is None


@pytest.mark.parametrize("text", ["true", "True", "TRUE"])
def test_true_has_three_spellings(text):
    assert resolve_scalar(text) is True
    assert (
        resolve_scalar(text.replace("t", "f").replace("T", "F").replace("rue", "alse").replace("RUE", "ALSE"))
        is False
    )


def test_infinity_and_nan_have_a_dot():
    assert resolve_scalar(".inf") == math.inf
    assert resolve_scalar("-.INF") == -math.inf
    assert math.isnan(resolve_scalar(".nan"))


@pytest.mark.parametrize("text", ["012", "00", "-012", "+07"])
def test_a_leading_zero_is_ambiguous(text):
    with pytest.raises(AmbiguousNumberError):
        resolve_scalar(text)


@pytest.mark.parametrize("text", ["9" * 301, "0x" + "f" * 249, "0o" + "7" * 249, "1." + "0" * 299])
def test_numbers_of_hundreds_of_characters_are_refused(text):
    with pytest.raises(NumberTooLongError):
        resolve_scalar(text)


@pytest.mark.parametrize("text", ["9" * 300, "0x" + "f" * 248, "0o" + "7" * 248])
def test_integers_are_finite_as_floats(text):
    assert math.isfinite(float(resolve_scalar(text)))


def test_booleans_and_texts_are_not_numbers():
    assert [is_number(value) for value in (0, -1.5, math.nan)] == [True, True, True]
    assert [is_number(value) for value in (True, False, "1", None, [1])] == [False] * 5
