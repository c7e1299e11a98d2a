"""Dates in texts and numbers; the expected values are those of Python's datetime."""

from datetime import datetime

import numpy as np
import pyarrow as pa
import pytest

from layercli.data.tables.dates import DateContent, convert_date_column, extract_feature, parse_dates

NOON = datetime(2021, 3, 4, 12, 5, 6)
DAY = datetime(2021, 3, 4)


def content_of(*values, parts=1):
    content = DateContent()
    for rows in np.array_split(np.arange(len(values)), parts):
        content.add(pa.array([values[row] for row in rows], pa.string()), rows)
    return content


@pytest.mark.parametrize(
    ("text", "order", "date"),
    [
        ("2021-03-04", "ymd", DAY),
        ("2021/3/4", "ymd", DAY),
        ("20210304", "ymd", DAY),
        ("20210304120506", "ymd", NOON),
        ("2021-03-04T12:05:06Z", "ymd", NOON),
        ("2021-03-04 12:05:06+02:00", "ymd", NOON),
        ("2021-03-04 12:05:06.250", "ymd", NOON.replace(microsecond=0)),
        ("2021-Mar-04", "ymd", DAY),
        ("2021-Q2", "ymd", datetime(2021, 4, 1)),
        ("2021q4", "ymd", datetime(2021, 10, 1)),
        ("Q1 2021", "ymd", datetime(2021, 1, 1)),
        ("2021-Q5", "ymd", None),
        ("2021-03", "ymd", datetime(2021, 3, 1)),
        ("04.03.2021", "dmy", DAY),
        ("4/3/21", "dmy", DAY),
        ("4/3/69", "dmy", datetime(1969, 3, 4)),
        ("4/3/68", "dmy", datetime(2068, 3, 4)),
        ("4 March 2021", "dmy", DAY),
        ("04MAR2021:12:05:06", "dmy", NOON),
        ("Thu, 04 Mar 2021 12:05:06 GMT", "dmy", NOON),
        ("3/4/2021 12:05:06 PM", "mdy", NOON),
        ("3/4/2021 12:00 AM", "mdy", DAY),
        ("3/4/2021 1:00 pm", "mdy", datetime(2021, 3, 4, 13)),
        ("March 4, 2021", "mdy", DAY),
        ("1614859506", "seconds", NOON),
        ("1614859506000", "milliseconds", NOON),
        ("44259.50354167", "excel", NOON),
        ("25569", "excel", datetime(1970, 1, 1)),
        ("4425900000", "excel", None),
        ("12:05:06", "time", datetime(1970, 1, 1, 12, 5, 6)),
        ("29.02.2020", "dmy", datetime(2020, 2, 29)),
        ("29.02.2021", "dmy", None),
        ("2021-13-01", "ymd", None),
        ("2021-03-04 12:60", "ymd", None),
        ("2021-03-04 25:00", "ymd", None),
        ("0/1/2021", "dmy", None),
        ("1/2/2021x", "dmy", None),
        ("12.5", "seconds", None),
    ],
)
def test_date_of_a_text(text, order, date):
    (found,) = parse_dates(pa.array([text]), order).astype("datetime64[s]")
    assert found.tolist() == date


@pytest.mark.parametrize(
    ("values", "order", "is_ambiguous"),
    [
        (["2021-03-04", None, "2021-12-31"], "ymd", False),
        (["01/02/2021", "13/02/2021"], "dmy", False),
        (["01/02/2021", "02/13/2021"], "mdy", False),
        (["01/02/2021", "05/04/2020", "01/03/2021"], "dmy", True),
        (["03/01/2021", "01/02/2021", "02/03/2021"], "dmy", False),
        (["03/01/2021", "03/02/2021", "01/03/2021"], "dmy", False),
        (["01/03/2021", "02/01/2021", "02/04/2021"], "mdy", False),
        (["20210304", "20211231"], "ymd", False),
        (["1614859506", "1614859507"], "seconds", False),
        (["1614859506000"], "milliseconds", False),
        (["12:30", "8:05"], "time", False),
        (["red", "blue"], None, False),
        ([None], None, False),
    ],
)
@pytest.mark.parametrize("parts", [1, 2])
def test_order_of_a_column(values, order, is_ambiguous, parts):
    content = content_of(*values, parts=parts)
    assert (content.order, content.is_ambiguous) == (order, is_ambiguous)
    assert content.bad_count == (0 if order else len([value for value in values if value]))


def test_first_value_that_is_not_a_date_of_the_order():
    content = content_of("01.02.2021", "31.02.2021", "14.02.2021", "soon", "15.02.2021", parts=2)
    assert (content.order, content.first_bad, content.bad_count) == ("dmy", (1, "31.02.2021"), 2)


@pytest.mark.parametrize(("values", "row"), [(["red", "blue"], 0), ([None, "red", None, "blue"], 1)])
def test_row_of_the_first_value(values, row):
    assert content_of(*values, parts=2).first_row == row


def test_order_of_training_is_not_inferred_again():
    content = DateContent.of_order("mdy")
    content.add(pa.array(["13/02/2021", "14/02/2021"]), np.arange(2))
    assert (content.order, content.bad_count, content.first_bad) == ("mdy", 2, (0, "13/02/2021"))


@pytest.mark.parametrize(
    ("date", "numbers"),
    [
        (NOON, [2021, 3, 4, 3, 12, 5, 18690 + (12 * 3600 + 5 * 60 + 6) / 86400]),
        (datetime(2020, 2, 29, 23, 59), [2020, 2, 29, 5, 23, 59, 18321 + (24 * 60 - 1) / 1440]),
        (datetime(1969, 12, 28), [1969, 12, 28, 6, 0, 0, -4]),
        (None, [np.nan] * 7),
    ],
)
def test_numbers_of_a_date(date, numbers):
    column = pa.chunked_array([pa.array([date], pa.timestamp("us"))])
    names = ["year", "month", "day", "weekday", "hour", "minute", "elapsed"]
    np.testing.assert_allclose([extract_feature(column, name)[0] for name in names], numbers, rtol=1e-12)
    if date is not None:
        assert numbers[3] == date.weekday()


@pytest.mark.parametrize(
    ("column", "order"),
    [
        (pa.array([NOON], pa.timestamp("ns")), None),
        (pa.array([NOON], pa.timestamp("s")), None),
        (pa.array([1614859506], pa.int64()), "seconds"),
        (pa.array(["4.3.2021 12:05:06"]), "dmy"),
        (pa.array([NOON], pa.timestamp("ms", "UTC")).cast(pa.timestamp("ms", "UTC")), None),
    ],
)
def test_column_of_any_type_becomes_timestamps(column, order):
    converted = convert_date_column(pa.chunked_array([column]), order)
    assert (converted.type, converted.to_pylist()) == (pa.timestamp("us"), [NOON])


def test_hour_of_a_time_zone_is_the_local_hour():
    utc = pa.array([datetime(2021, 3, 4, 11)], pa.timestamp("us", "Europe/Berlin"))
    assert convert_date_column(utc, None).to_pylist() == [datetime(2021, 3, 4, 12)]
