"""Numbers and booleans in texts."""

import numpy as np
import pyarrow as pa
import pytest

from layercli.data.tables.number_texts import NumberFormat, TextContent, convert_booleans, convert_numbers

PLAIN, ENGLISH, GERMAN = NumberFormat(), NumberFormat(".", ","), NumberFormat(",", ".")


def content_of(values, number_format=PLAIN, parts=1):
    content = TextContent(number_format)
    for rows in np.array_split(np.arange(len(values)), parts):
        content.add(pa.array([values[row] for row in rows], pa.string()), rows)
    return content


@pytest.mark.parametrize(
    ("text", "number_format", "number"),
    [
        ("12", PLAIN, 12),
        ("-1.5e3", PLAIN, -1500),
        ("+.5", PLAIN, 0.5),
        ("inf", PLAIN, np.inf),
        ("-Infinity", PLAIN, -np.inf),
        ("\u22123.5", PLAIN, -3.5),
        ("(3.5)", PLAIN, -3.5),
        ("3.5-", PLAIN, -3.5),
        ("12.5 %", PLAIN, 12.5),
        ("$5", PLAIN, 5),
        ("-$5", PLAIN, -5),
        ("$-5", PLAIN, -5),
        ("5 €", PLAIN, 5),
        ("($5)", PLAIN, -5),
        ("1,234,567.5", ENGLISH, 1234567.5),
        ("12,34,567", ENGLISH, 1234567),
        ("1234", ENGLISH, 1234),
        ("1.234.567,5", GERMAN, 1234567.5),
        ("1 234,5", NumberFormat(",", " "), 1234.5),
        ("1\u202f234\u00a0567", NumberFormat(",", " "), 1234567),
        ("1'234.5", NumberFormat(".", "'"), 1234.5),
        ("1,5", PLAIN, None),
        ("1.5", GERMAN, None),
        ("12,34", ENGLISH, None),
        ("1,2345", ENGLISH, None),
        (",123", ENGLISH, None),
        ("5 USD", PLAIN, None),
        ("abc", PLAIN, None),
        ("-", PLAIN, None),
        ("1_000", PLAIN, None),
        ("2-3", PLAIN, None),
    ],
)
def test_number_of_a_text(text, number_format, number):
    assert convert_numbers(pa.array([text]), number_format).to_pylist() == [number]


def test_integers_beyond_float_precision_stay_exact():
    texts = pa.array(["9007199254740993", None, "-9223372036854775808"])
    assert convert_numbers(texts, PLAIN).to_pylist() == [9007199254740993, None, -(2**63)]
    assert convert_numbers(pa.array(["9007199254740993", "0.5"]), PLAIN).to_pylist() == [2.0**53, 0.5]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "2.5", None], "numbers"),
        (["1%", "2%"], "numbers"),
        (["1%", "2"], "mostly"),
        (["$1", "2"], "numbers"),
        (["$1", "€2"], "mostly"),
        (["1", "2", "x"], "mostly"),
        (["1", "x"], "text"),
        (["TRUE", "False", None, "true"], "booleans"),
        (["yes", "No"], "booleans"),
        (["t", "f"], "booleans"),
        (["yes", "true"], "text"),
        (["yes", "no", "maybe"], "text"),
        (["falsehood", "true"], "text"),
        ([None], "empty"),
    ],
)
@pytest.mark.parametrize("parts", [1, 2])
def test_content_of_a_column(values, kind, parts):
    content = content_of(values, parts=parts)
    found = [
        name
        for name, holds in (
            ("numbers", content.are_numbers),
            ("mostly", content.are_mostly_numbers),
            ("booleans", content.are_booleans),
        )
        if holds
    ]
    assert found == ([kind] if kind in ("numbers", "mostly", "booleans") else [])


@pytest.mark.parametrize(
    ("values", "first"),
    [
        (["1", "2", "x", "3", "y", "x"], (2, "x")),
        (["1", "2%", "3", "4"], (1, "2%")),
        (["$1", "$2", "€3"], (0, "$1")),
        (["1", "2"], None),
    ],
)
@pytest.mark.parametrize("parts", [1, 3])
def test_first_value_unlike_the_others(values, first, parts):
    assert content_of(values, parts=parts).first_stray == first


def test_strays_are_counted_and_few_are_kept():
    content = content_of([*map(str, range(100)), *(f"x{n % 20}" for n in range(40))], parts=7)
    assert (content.values, content.numbers, content.stray_count) == (140, 100, 40)
    assert list(content.strays.items())[:2] == [("x0", 100), ("x1", 101)]
    assert len(content.strays) == 8


def test_fractions_and_leading_zeros():
    assert content_of(["1", "-2"]).is_integral
    assert not content_of(["1", "2.5"], parts=2).is_integral
    assert content_of(["01234", "5"]).leading_zeros == 1
    assert content_of(["0", "0.5", "10"]).leading_zeros == 0


def test_booleans_are_0_and_1():
    texts = pa.array(["TRUE", "no", None, "Y", "off", "t"])
    assert convert_booleans(texts).to_pylist() == [1, 0, None, 1, 0, 1]


def test_hexadecimal_texts_are_not_converted():
    found = convert_numbers(pa.array(["0x10", "5", " 0XfF", "-0x1"]), NumberFormat())
    assert found.to_pylist() == [None, 5, None, None]
    assert convert_numbers(pa.array([1, 2]), NumberFormat()).to_pylist() == [1, 2]
