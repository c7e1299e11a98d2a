"""Read raw columns of a table with operations of TensorFlow, as ``predict`` reads them: dates, boolean words and texts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import tensorflow as tf

from layercli.config.data.tables import FALSE_WORDS, TRUE_WORDS
from layercli.data.tables.dates import (
    DATE_PATTERNS,
    FIRST_EXCEL_DAY,
    MAX_SECONDS,
    MONTH_NAMES,
    NUMBER_DIGITS,
    PIVOT_YEAR,
    UNIT_MICROSECONDS,
)

_GROUP_NAME: Final = re.compile(r"\(\?P<(\w)>")
_NUMBER: Final = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_MARGINS: Final = r"^[\s\p{Z}]+|[\s\p{Z}]+$"
_DAY_SECONDS: Final = 86_400
_SHORT_YEAR_DIGITS: Final = 2
_HALF_DAY: Final = 12
_DAY_HOURS: Final = 24
_DATE_DEFAULTS: Final = {"y": 1970, "q": 1, "m": 1, "d": 1, "H": 0, "M": 0, "S": 0}


def clean_texts(texts: Any, missing_words: Sequence[str]) -> Any:
    """Return texts of shape (batch,) without blanks around them, and empty texts for those that mean a missing value."""
    trimmed = tf.strings.regex_replace(texts, _MARGINS, "")
    is_missing = tf.reduce_any(trimmed[:, None] == tf.constant(["", *missing_words]), axis=1)
    return tf.where(is_missing, "", trimmed)


def read_booleans(texts: Any) -> Any:
    """Return 1 for true words, 0 for false ones and the number for numbers; NaN for other texts: float64 of shape (batch,)."""
    words = tf.strings.lower(texts, encoding="utf-8")
    is_number = tf.strings.regex_full_match(texts, _NUMBER)
    numbers = tf.strings.to_number(tf.where(is_number, texts, "0"), tf.float64)
    values = tf.where(is_number, numbers, _full_like(numbers, np.nan))
    values = tf.where(_is_one_of(words, TRUE_WORDS), tf.ones_like(numbers), values)
    return tf.where(_is_one_of(words, FALSE_WORDS), tf.zeros_like(numbers), values)


def read_dates(texts: Any, order: str) -> Any:
    """Return texts of one of ``DATE_ORDERS`` as seconds since 1970: float64 of shape (batch,), NaN for other texts."""
    if order in UNIT_MICROSECONDS:
        return _read_time_stamps(texts, order)
    lower = tf.strings.lower(texts, encoding="utf-8")
    stamps = tf.fill(tf.shape(lower), tf.constant(np.nan, tf.float64))
    for pattern in DATE_PATTERNS[order]:
        is_match = tf.strings.regex_full_match(lower, pattern)
        stamps = tf.where(is_match, _read_pattern(lower, is_match, pattern, order), stamps)
    return stamps


def compute_date_feature(seconds: Any, feature: str) -> Any:
    """Return a number of dates in seconds since 1970, as ``dates.extract_feature``: float64 of shape (batch,)."""
    is_missing = tf.math.is_nan(seconds)
    known = tf.where(is_missing, tf.zeros_like(seconds), seconds)
    days = tf.math.floordiv(tf.cast(tf.floor(known), tf.int64), _DAY_SECONDS)
    minutes = tf.math.floordiv(tf.cast(tf.floor(known), tf.int64) - days * _DAY_SECONDS, 60)
    match feature:
        case "hour":
            number = tf.math.floordiv(minutes, 60)
        case "minute":
            number = tf.math.floormod(minutes, 60)
        case "weekday":
            number = tf.math.floormod(days + 3, 7)  # 1970-01-01 was a Thursday
        case "elapsed":
            number = known / _DAY_SECONDS
        case _:
            number = _split_days(days)[feature]
    return tf.where(is_missing, _full_like(seconds, np.nan), tf.cast(number, tf.float64))


def _is_one_of(texts: Any, words: Sequence[str]) -> Any:
    return tf.reduce_any(texts[:, None] == tf.constant(words), axis=1)


def _full_like(tensor: Any, value: float) -> Any:
    return tf.zeros_like(tensor) + value


def _read_time_stamps(texts: Any, order: str) -> Any:
    digits = NUMBER_DIGITS[order]
    is_number = tf.strings.regex_full_match(texts, rf"-?\d{digits}(?:\.\d*)?")
    numbers = tf.strings.to_number(tf.where(is_number, texts, "0"), tf.float64)
    if order == "excel":
        seconds = tf.round((numbers - FIRST_EXCEL_DAY) * _DAY_SECONDS * 1e3) / 1e3
    else:
        seconds = numbers * (UNIT_MICROSECONDS[order] / 1e6)
    is_valid = is_number & (tf.abs(seconds) < MAX_SECONDS)
    return tf.where(is_valid, seconds, _full_like(seconds, np.nan))


def _read_pattern(lower: Any, is_match: Any, pattern: str, order: str) -> Any:
    """Return the seconds of texts that match a pattern; NaN for dates that do not exist."""
    names = _GROUP_NAME.findall(pattern)

    def extract(name: str) -> Any:
        group = tf.strings.regex_replace(lower, f"^(?:{pattern})$", rf"\{names.index(name) + 1}")
        return tf.where(is_match, group, "")

    def read(name: str) -> Any:
        default = str(_DATE_DEFAULTS[name])
        if name not in names:
            return tf.strings.to_number(tf.fill(tf.shape(lower), default), tf.int64)
        group = extract(name)
        return tf.strings.to_number(tf.where(group == "", default, group), tf.int64)

    year, month, day = read("y"), read("m"), read("d")
    if "q" in names:
        month = read("q") * 3 - 2
    if "y" in names:
        is_short = tf.strings.length(extract("y")) <= _SHORT_YEAR_DIGITS
        century = tf.where(year >= PIVOT_YEAR, tf.ones_like(year) * 1900, tf.ones_like(year) * 2000)
        year = tf.where(is_short, century + year, year)
    if "N" in names:
        is_name = extract("N")[:, None] == tf.constant(MONTH_NAMES)
        month = tf.argmax(tf.cast(is_name, tf.int64), axis=1) + 1
    hour, minute, second = read("H"), read("M"), read("S")
    if "p" in names:
        half = tf.strings.substr(extract("p"), 0, 1)
        is_afternoon = (half == "p") & (hour < _HALF_DAY)
        is_after_midnight = (half == "a") & (hour == _HALF_DAY)
        hour = tf.where(is_afternoon, hour + _HALF_DAY, tf.where(is_after_midnight, hour * 0, hour))
    exists = _is_date(year, month, day) & _is_time(hour, minute, second)
    if order != "time":
        exists &= year >= 1
    seconds = _count_days(year, month, day) * _DAY_SECONDS + (hour * 60 + minute) * 60 + second
    seconds = tf.cast(seconds, tf.float64)
    return tf.where(exists, seconds, _full_like(seconds, np.nan))


def _is_date(year: Any, month: Any, day: Any) -> Any:
    """Return whether the days exist; a day is one of its month if it is the same day after a round trip."""
    found = _split_days(_count_days(year, month, day))
    return (found["year"] == year) & (found["month"] == month) & (found["day"] == day)


def _is_time(hour: Any, minute: Any, second: Any) -> Any:
    is_midnight = (hour == _DAY_HOURS) & (minute == 0) & (second == 0)
    return ((hour < _DAY_HOURS) | is_midnight) & (minute < 60) & (second <= 60)


def _count_days(year: Any, month: Any, day: Any) -> Any:
    """Return the days since 1970-01-01 in the Gregorian calendar, in which years begin with March: the leap day is last."""
    shifted = year - tf.cast(month <= 2, tf.int64)
    era = tf.math.floordiv(shifted, 400)
    year_of_era = shifted - era * 400
    day_of_year = tf.math.floordiv(153 * tf.math.floormod(month + 9, 12) + 2, 5) + day - 1
    day_of_era = (
        year_of_era * 365
        + tf.math.floordiv(year_of_era, 4)
        - tf.math.floordiv(year_of_era, 100)
        + day_of_year
    )
    return era * 146_097 + day_of_era - 719_468


def _split_days(days: Any) -> dict[str, Any]:
    """Return year, month and day of days since 1970-01-01, the inverse of ``_count_days``."""
    shifted = days + 719_468
    era = tf.math.floordiv(shifted, 146_097)
    day_of_era = shifted - era * 146_097
    leap_days = (
        tf.math.floordiv(day_of_era, 1460)
        - tf.math.floordiv(day_of_era, 36_524)
        + tf.math.floordiv(day_of_era, 146_096)
    )
    year_of_era = tf.math.floordiv(day_of_era - leap_days, 365)
    day_of_year = day_of_era - (
        365 * year_of_era + tf.math.floordiv(year_of_era, 4) - tf.math.floordiv(year_of_era, 100)
    )
    month_from_march = tf.math.floordiv(5 * day_of_year + 2, 153)
    day = day_of_year - tf.math.floordiv(153 * month_from_march + 2, 5) + 1
    month = tf.math.floormod(month_from_march + 2, 12) + 1
    year = year_of_era + era * 400 + tf.cast(month <= 2, tf.int64)
    return {"year": year, "month": month, "day": day}
