"""The numbers that dates of a column should become, and series in time."""

import pyarrow as pa
import pytest

from layercli.data.tables.date_features import inspect_dates
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


@pytest.mark.parametrize(
    ("hours", "is_series"),
    [
        (range(120), True),
        (range(99), False),
        ([*range(115), *range(116, 121)], True),
        ([*range(0, 20), *range(20, 240, 2)], False),
        ([0, 0, *range(1, 119)], False),
        (range(120, 0, -1), False),
    ],
)
def test_series_has_regular_steps(hours, is_series):
    dates = pa.array([f"2024-01-{hour // 24 + 1:02} {hour % 24:02}:00" for hour in hours])
    assert inspect_dates(dates, "ymd").is_series is is_series


def test_infinite_words_are_found():
    table = pa.table(
        {"a": ["1", "inf", "-Infinity", "info", None], "b": ["inf", "2", "3", "4", "5"], "c": [1.0] * 5}
    )
    assert find_infinity_words(table, ["a", "c"]) == ["inf", "-Infinity"]
