"""The numbers that dates of a column should become, and series in time."""

import numpy as np
import pyarrow as pa
import pytest

from layercli.data.tables.date_features import count_series, inspect_dates, is_regular_count
from layercli.data.tables.infinity import find_infinity_words


@pytest.mark.parametrize(
    ("dates", "order", "features"),
    [
        (["2024-01-01", "2024-01-08"], "ymd", ("day", "elapsed")),
        (["2023-05-01", "2024-07-02", None], "ymd", ("year", "month", "day", "weekday", "elapsed")),
        (["2024-01-01 10:30", "2024-01-01 11:30"], "ymd", ("hour", "elapsed")),
        (["10:30", "11:45"], "time", ("hour", "minute")),
        (["03/04/2024", "03/05/2024"], "dmy", ("month", "weekday", "elapsed")),
        (["2024-01-01", "2024-01-01"], "ymd", ()),
    ],
)
def test_numbers_that_vary_are_features(dates, order, features):
    assert inspect_dates(pa.array(dates), order).features == features


def test_early_features_vary_in_the_training_set_of_a_split_by_time():
    days = pa.array([f"{2023 + (n >= 70)}-01-{n % 28 + 1:02}" for n in reversed(range(100))])
    assert inspect_dates(days, "ymd").early_features == ("day", "weekday", "elapsed")


@pytest.mark.parametrize(
    ("hours", "is_series"),
    [
        (range(120), True),
        (range(49), False),
        ([*range(115), *range(116, 121)], True),
        ([*range(0, 20), *range(20, 240, 2)], True),
        ([*range(0, 20), *range(20, 520, 5)], False),
        ([*range(0, 110), *range(120, 320, 20)], False),
        ([0, 0, *range(1, 119)], False),
        (range(120, 0, -1), True),
        ([*range(60), *range(40, 100)], False),
    ],
)
def test_series_has_regular_steps(hours, is_series):
    dates = pa.array([f"2024-01-{hour // 24 + 1:02} {hour % 24:02}:00" for hour in hours])
    assert inspect_dates(dates, "ymd").is_series is is_series


@pytest.mark.parametrize("step", ["MS", "B"])
def test_months_and_working_days_are_a_series(step):
    if step == "MS":
        days = [f"{2000 + n // 12}-{n % 12 + 1:02}-01" for n in range(60)]
    else:
        days = [str(day) for day in np.arange("2024-01-01", "2024-04-01", dtype="M8[D]") if np.is_busday(day)]
    assert inspect_dates(pa.array(days), "ymd").is_series


def test_times_of_day_are_not_a_series():
    assert not inspect_dates(pa.array([f"{n:02}:00" for n in range(24)] * 3), "time").is_series


@pytest.mark.parametrize(
    ("keys", "is_series"),
    [(["a", "b"] * 30, True), (["a"] * 30 + ["b"] * 30, False), (["a", "a"] * 30, False)],
)
def test_several_series_have_a_key(keys, is_series):
    days = pa.chunked_array([[f"2024-01-{n // 2 + 1:02}" for n in range(60)]])
    assert count_series(days, "ymd", [pa.chunked_array([keys])]) == (2 if is_series else 0)


def test_two_columns_are_the_key_of_series_together():
    days = pa.chunked_array([[f"2024-01-{n // 4 + 1:02}" for n in range(120)]])
    first, second = pa.chunked_array([["a", "b"] * 60]), pa.chunked_array([["x", "x", "y", "y"] * 30])
    assert count_series(days, "ymd", [first]) == 0
    assert count_series(days, "ymd", [first, second]) == 4


@pytest.mark.parametrize(
    ("numbers", "is_regular"),
    [(range(1950, 2010), True), (range(2010, 1950, -1), True), (range(1950, 1990), False), ([5] * 60, False)],
)
def test_years_are_a_series(numbers, is_regular):
    assert is_regular_count(pa.chunked_array([list(numbers)])) is is_regular


def test_infinite_words_are_found():
    table = pa.table(
        {"a": ["1", "inf", "-Infinity", "info", None], "b": ["inf", "2", "3", "4", "5"], "c": [1.0] * 5}
    )
    assert find_infinity_words(table, ["a", "c"]) == ["inf", "-Infinity"]
