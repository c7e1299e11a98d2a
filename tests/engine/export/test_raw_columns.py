"""Raw columns, read by TensorFlow: the same numbers as those that layercli reads with Arrow, or literal ones."""

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from layercli.config.data.tables import DATE_FEATURES
from layercli.data.tables.dates import convert_date_column, extract_feature
from layercli.engine.export.raw_columns import clean_texts, compute_date_feature, read_booleans, read_dates

DATES = {
    "ymd": [
        "2021-Q3",
        "q1 2020",
        *(
            "2020-02-29",
            "2019-02-29",
            "1900-02-29",
            "2000-02-29",
            "2024-12-31T23:59:59.5Z",
            "2021/3/4 5:06 pm",
        ),
        *(
            "20210304",
            "20210304120000",
            "2021-Mar-04",
            "2021-03",
            "20200229t07+01:00",
            "2020年2月9日",
            "2020-13-01",
        ),
        *(
            "0001-01-01",
            "9999-12-31 24:00:00",
            "2021-01-01 24:01",
            "2021-00-10",
            "2020-1-32",
            "yesterday",
            "",
        ),
    ],
    "dmy": [
        "31.12.1999",
        "1/2/68",
        "1/2/69",
        "Mon, 3rd March 2021 12:05 AM",
        "30.2.2020",
        "4-dec-21 00:00:01",
    ],
    "mdy": [
        "12/31/1999 11:59 p.m.",
        "Feb 29, 2020",
        "2/30/2020",
        "Sunday January 5th, 2020 12:00 pm",
        "31/12/1999",
    ],
    "time": ["00:00", "23:59:59", "24:00", "24:01", "7:30 PM", "noon"],
    "seconds": ["0", "86399.5", "1600000000", "-100000", "999999999999", "12345"],
    "milliseconds": ["1600000000123", "-100000", "abc"],
    "excel": ["44197", "44197.41666666667", "25568.25", "20210304", "x"],
}


@pytest.mark.parametrize("order", DATES)
def test_dates_are_those_that_arrow_reads(order):
    texts = DATES[order]
    stamps = pa.chunked_array([convert_date_column(pa.array(texts), order)])
    seconds = read_dates(tf.constant(texts), order)
    for feature in DATE_FEATURES:
        expected = extract_feature(stamps, feature)
        assert compute_date_feature(seconds, feature).numpy() == pytest.approx(expected, nan_ok=True), feature
        assert np.isfinite(expected).any()


def test_features_of_a_date_are_those_of_the_calendar():
    seconds = read_dates(tf.constant(["1969-07-20 20:17:40"]), "ymd")
    numbers = [float(compute_date_feature(seconds, feature)[0]) for feature in DATE_FEATURES]
    assert numbers == pytest.approx([1969, 7, 20, 6, 20, 17, -165 + (20 * 60 + 17) / 1440 + 40 / 86400])


def test_boolean_words_and_numbers_are_read():
    found = read_booleans(tf.constant(["Yes", "OFF", "t", "0", "1.5", "maybe", ""])).numpy()
    assert found == pytest.approx([1, 0, 1, 0, 1.5, np.nan, np.nan], nan_ok=True)


def test_texts_are_trimmed_and_missing_words_are_empty():
    texts = tf.constant([" a b\t", "\u00a0?\u2003", "NA", "na"])
    assert clean_texts(texts, ["?", "NA"]).numpy().tolist() == [b"a b", b"", b"", b"na"]
