import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layercli.reports.formatting import (
    count_noun,
    format_bytes,
    format_count,
    format_duration,
    format_metrics,
    format_number,
    format_numbers,
    format_shapes,
    format_short_count,
)


@pytest.mark.parametrize(("count", "shown"), [(0, "0 trials"), (1, "1 trial"), (2, "2 trials")])
def test_noun_agrees_with_its_count(count, shown):
    assert count_noun(count, "trial") == shown


@pytest.mark.parametrize(("value", "shown"), [(0, "0"), (11850, "11,850"), (None, "?")])
def test_count_with_commas(value, shown):
    assert format_count(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1 k"),
        (43_776, "43.8 k"),
        (999_499, "999 k"),
        (999_500, "1 M"),
        (2_416_640, "2.42 M"),
        (10**9, "1 G"),
        (10**12, "1 T"),
        (10**15, "1 P"),
        (2 * 10**18, "2,000 P"),
        (None, "?"),
    ],
)
def test_short_count_with_three_digits(value, shown):
    assert format_short_count(value) == shown


@given(st.integers(0, 10**15))
def test_short_count_is_accurate_to_half_a_percent(value):
    text = format_short_count(value)
    number, _, unit = text.partition(" ")
    assert len(number) <= 4
    assert float(number) * {"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15}[unit] == pytest.approx(
        value, rel=0.0051
    )


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (47_411, "46.3 KiB"),
        (2**20, "1.0 MiB"),
        (2**30 * 3, "3.0 GiB"),
        (2**40, "1.0 TiB"),
        (2**51, "2,048.0 TiB"),
    ],
)
def test_bytes_with_binary_units(value, shown):
    assert format_bytes(value) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.0, "0.0 s"),
        (0.44, "0.4 s"),
        (59.94, "59.9 s"),
        (59.96, "1 m 00 s"),
        (65, "1 m 05 s"),
        (3599.6, "1 h 00 m"),
        (7380, "2 h 03 m"),
        (360_000, "100 h 00 m"),
    ],
)
def test_duration_units(seconds, shown):
    assert format_duration(seconds) == shown


def test_shapes_on_separate_lines():
    assert format_shapes([(None, 3), (2,)]) == "(None, 3)\n(2,)"
    assert format_shapes([]) == "?"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0.0000"),
        (0.12345, "0.1235"),
        (1234.5, "1234.5000"),
        (12345.6, "12,346"),
        (-9_999_999.4, "-9,999,999"),
        (10_000_000.0, "1.000e+07"),
        (1e-3, "0.0010"),
        (5e-4, "5.000e-04"),
        (-2.0, "-2.0000"),
        (float("nan"), "nan"),
        ([0.5, 1.0], "[0.5000, 1.0000]"),
    ],
)
def test_number_with_significant_digits(value, shown):
    assert format_number(value) == shown


def test_metrics_on_one_line():
    assert format_metrics({"loss": 0.1234, "accuracy": 1.0}) == "loss 0.1234  accuracy 1.0000"


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([8651.7764, 3445.95, 100640.0], ["8,652", "3,446", "100,640"]),
        ([66604.0, 5.3e7, 0.0], ["6.660e+04", "5.300e+07", "0.000e+00"]),
        ([9999.0, 0.5], ["9999.0000", "0.5000"]),
        ([10_000.0, 0.25, -20_000.4], ["10,000", "0.2500", "-20,000"]),
        ([None, math.nan, 2e4], ["nan", "nan", "20,000"]),
        ([], []),
    ],
)
def test_numbers_of_one_quantity_have_the_same_digits(values, shown):
    assert format_numbers(values) == shown
