"""Dates and times: read from texts and numbers, and the numbers that they become."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from layercli.data.types import Array

_TIME = (
    r"(?P<H>\d{1,2}):(?P<M>\d{2})(?::(?P<S>\d{2})(?:[.,](?P<f>\d{1,9}))?)?"
    r"\s*(?P<p>[ap]\.?m\.?)?\s*(?:z|utc|gmt|[+-]\d{2}:?\d{2}|[+-]\d{2})?"
)
_MONTH = r"(?P<N>jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_DAY_NAME = r"(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*\.?,?\s+)?"
DATE_PATTERNS: Final = {
    "ymd": (
        rf"(?P<y>\d{{4}})[-/.](?P<m>\d{{1,2}})(?:[-/.](?P<d>\d{{1,2}}))?(?:(?:t|\s+){_TIME})?",
        rf"(?P<y>\d{{4}})(?P<m>\d{{2}})(?P<d>\d{{2}})(?:(?:t|\s+){_TIME})?",
        r"(?P<y>\d{4})(?P<m>\d{2})(?P<d>\d{2})t?(?P<H>\d{2})(?P<M>\d{2})(?P<S>\d{2})?z?",
        rf"(?P<y>\d{{4}})[-/. ]{_MONTH}[-/. ](?P<d>\d{{1,2}})(?:(?:t|\s+){_TIME})?",
        r"(?P<y>\d{4})-?(?P<m>\d{2})-?(?P<d>\d{2})t(?P<H>\d{2})(?:z|[+-]\d{2}(?::?\d{2})?)?",
        r"(?P<y>\d{4})[-/. ]?q(?P<q>[1-4])",
        r"q(?P<q>[1-4])[-/. ](?P<y>\d{4})",
        rf"(?P<y>\d{{4}})年(?P<m>\d{{1,2}})月(?:(?P<d>\d{{1,2}})日)?(?:\s*{_TIME})?",
    ),
    "dmy": (
        rf"{_DAY_NAME}(?P<d>\d{{1,2}})[-/. ](?P<m>\d{{1,2}})[-/. ](?P<y>\d{{4}}|\d{{2}})(?:(?:t|,?\s+){_TIME})?",
        rf"{_DAY_NAME}(?P<d>\d{{1,2}})(?:st|nd|rd|th|\.)?[-/. ]?{_MONTH}[-/., ]*(?P<y>\d{{4}}|\d{{2}})"
        rf"(?:(?:t|,?\s+|:){_TIME})?",
    ),
    "mdy": (
        rf"{_DAY_NAME}(?P<m>\d{{1,2}})[-/. ](?P<d>\d{{1,2}})[-/. ](?P<y>\d{{4}}|\d{{2}})(?:(?:t|,?\s+){_TIME})?",
        rf"{_DAY_NAME}{_MONTH}[-/. ](?P<d>\d{{1,2}})(?:st|nd|rd|th)?,?[-/. ]*(?P<y>\d{{4}}|\d{{2}})(?:(?:t|,?\s+){_TIME})?",
    ),
    "time": (_TIME,),
}
"""Regular expressions of each form, for texts in lower case."""
MONTH_NAMES: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
PIVOT_YEAR: Final = 69
"""Years of two digits from this number are in the 20th century, as in POSIX."""
_DAY_HOURS: Final = 24
_DAY_MICROSECONDS: Final = 86_400_000_000
MAX_BAD_VALUES: Final = 30
FIRST_EXCEL_DAY: Final = 25_569
"""1970-01-01 as a date of Excel."""
UNIT_MICROSECONDS: Final = {"seconds": 1e6, "milliseconds": 1e3, "excel": 86_400e6}
"""Forms of dates as numbers -> the microseconds of 1."""
NUMBER_DIGITS: Final = {"seconds": "{6,16}", "milliseconds": "{6,16}", "excel": "{1,7}"}
"""Forms of dates as numbers -> how many digits they have, as a part of a regular expression."""
MAX_SECONDS: Final = 1e11
"""Larger numbers, about the year 5138, are milliseconds."""


def parse_dates(texts: Any, order: str) -> Array:
    """Return Arrow texts as datetime64[us] of shape (rows,); NaT where a text is missing or not a date of this form.

    ``order`` is one of ``DATE_ORDERS``. A time zone is ignored: the hour is the hour that the text says.
    """
    import pyarrow as pa
    from pyarrow import compute as pc

    if isinstance(texts, pa.ChunkedArray):
        texts = texts.combine_chunks()
    texts = texts.cast(pa.string())
    dates = np.full(len(texts), np.datetime64("NaT"), dtype="datetime64[us]")
    if order in UNIT_MICROSECONDS:
        digits = NUMBER_DIGITS[order]
        is_number = pc.match_substring_regex(texts, rf"^-?\d{digits}(?:\.\d*)?$")
        numbers = (
            pc.if_else(is_number, texts, pa.scalar(None, pa.string()))
            .cast(pa.float64())
            .to_numpy(zero_copy_only=False)
        )
        scale = UNIT_MICROSECONDS[order]
        if order == "excel":
            numbers = numbers - FIRST_EXCEL_DAY
        valid = np.isfinite(numbers) & (np.abs(numbers) * scale / 1e6 < MAX_SECONDS)
        # Times of Excel are fractions of a day, which have no exact microseconds.
        micros = np.round(numbers[valid] * scale / 1e3) * 1e3 if order == "excel" else numbers[valid] * scale
        dates[valid] = micros.astype(np.int64).astype("datetime64[us]")
        return dates
    lower = pc.utf8_lower(texts)
    for pattern in DATE_PATTERNS[order]:
        found = pc.extract_regex(lower, f"^{pattern}$")
        valid = np.asarray(found.is_valid().to_numpy(zero_copy_only=False))
        if valid.any():
            dates[valid] = _build_dates(found.filter(pa.array(valid)), is_time=order == "time")
    return dates


def _build_dates(found: Any, *, is_time: bool) -> Array:
    """Return the dates of the named groups of a regular expression; NaT for a day that does not exist."""
    import pyarrow as pa
    from pyarrow import compute as pc

    names = {field.name for field in found.type}

    def number(name: str, default: int) -> Array:
        if name not in names:
            return np.full(len(found), default, dtype=np.int64)
        texts = pc.struct_field(found, name)
        texts = pc.if_else(pc.equal(texts, ""), str(default), texts)
        return np.asarray(texts.cast(pa.int64()).to_numpy(zero_copy_only=False))

    month, day = number("m", 1), number("d", 1)
    if "q" in names:
        month = number("q", 1) * 3 - 2
    if "N" in names:
        month = (
            np.asarray(
                pc.index_in(pc.struct_field(found, "N"), pa.array(MONTH_NAMES)).to_numpy(zero_copy_only=False)
            )
            + 1
        )
    year = number("y", 1970)
    if "y" in names:
        is_short = np.asarray(
            pc.less(pc.utf8_length(pc.struct_field(found, "y")), 3).to_numpy(zero_copy_only=False)
        )
        year = np.where(is_short, np.where(year >= PIVOT_YEAR, 1900, 2000) + year, year)
    hour, minute, second = number("H", 0), number("M", 0), number("S", 0)
    if "p" in names:
        half = pc.utf8_slice_codeunits(pc.struct_field(found, "p"), 0, 1)
        is_pm = np.asarray(pc.equal(half, "p").to_numpy(zero_copy_only=False))
        is_am = np.asarray(pc.equal(half, "a").to_numpy(zero_copy_only=False))
        hour = np.where(is_pm & (hour < 12), hour + 12, np.where(is_am & (hour == 12), 0, hour))
    months = (year - 1970) * 12 + (month - 1)
    first_days = months.astype("datetime64[M]").astype("datetime64[D]")
    month_days = ((months + 1).astype("datetime64[M]").astype("datetime64[D]") - first_days).astype(np.int64)
    exists = (month >= 1) & (month <= 12) & (day >= 1) & (day <= month_days)
    is_midnight = (hour == _DAY_HOURS) & (minute == 0) & (second == 0)
    exists &= ((hour < _DAY_HOURS) | is_midnight) & (minute < 60) & (second <= 60)
    if not is_time:
        exists &= year >= 1
    dates = first_days + (day - 1)
    stamps = dates.astype("datetime64[us]") + ((hour * 60 + minute) * 60 + second) * np.timedelta64(
        1_000_000, "us"
    )
    stamps[~exists] = np.datetime64("NaT")
    return np.asarray(stamps)


_MAX_DAYS: Final = 100_000_000
"""Most days from 1970; later and earlier dates are missing. Microseconds of 64 bits reach a little farther."""
_UNITS_PER_DAY: Final = {"D": 1, "s": 86_400, "ms": 86_400_000, "us": 86_400_000_000}


def convert_date_column(column: Any, order: str | None) -> Any:
    """Return an Arrow column of dates as timestamps; ``order`` is the form of texts and numbers."""
    import pyarrow as pa
    from pyarrow import compute as pc

    kind = column.type
    if pa.types.is_timestamp(kind):
        if kind.tz is not None:
            column = pc.local_timestamp(column)
        return remove_far_dates(column, kind.unit).cast(pa.timestamp("us"), safe=False)
    if pa.types.is_time(kind):
        micros = column.cast(pa.time64("us"), safe=False).cast(pa.int64())
        return micros.cast(pa.timestamp("us"))
    if pa.types.is_date(kind):
        return remove_far_dates(column, "D" if pa.types.is_date32(kind) else "ms").cast(pa.timestamp("us"))
    if pa.types.is_null(kind) or order is None:
        return pa.nulls(len(column), pa.timestamp("us"))
    return pa.array(parse_dates(column, order), pa.timestamp("us"))


def remove_far_dates(column: Any, unit: str) -> Any:
    """Return an Arrow column of dates in a unit, without those that a number of microseconds cannot hold."""
    import pyarrow as pa
    from pyarrow import compute as pc

    if unit == "ns":
        return column
    numbers = column.cast(pa.int32() if unit == "D" else pa.int64()).cast(pa.int64())
    largest = _MAX_DAYS * _UNITS_PER_DAY[unit]
    is_near = pc.and_(pc.less_equal(numbers, largest), pc.greater_equal(numbers, -largest))
    return pc.if_else(is_near, column, pa.scalar(None, column.type))


def is_date_type(arrow_type: Any) -> bool:
    """Return whether an Arrow type is a date, a time or a timestamp."""
    import pyarrow as pa

    return bool(
        pa.types.is_date(arrow_type) or pa.types.is_timestamp(arrow_type) or pa.types.is_time(arrow_type)
    )


def extract_feature(column: Any, feature: str) -> Array:
    """Return a number for each Arrow timestamp: float64 of shape (rows,), NaN where it is missing.

    ``elapsed`` is the number of days since 1970.
    """
    stamps = np.asarray(column.to_numpy()).astype("datetime64[us]")
    missing = np.isnat(stamps)
    stamps = np.where(missing, np.datetime64(0, "us"), stamps)
    return np.where(missing, np.nan, _compute_feature(stamps, feature).astype(np.float64))


def _compute_feature(stamps: Array, feature: str) -> Array:
    days, months = stamps.astype("datetime64[D]"), stamps.astype("datetime64[M]")
    minutes = (stamps - days).astype("timedelta64[m]").astype(np.int64)
    match feature:
        case "year":
            numbers = stamps.astype("datetime64[Y]").astype(np.int64) + 1970
        case "month":
            numbers = months.astype(np.int64) % 12 + 1
        case "day":
            numbers = (days - months.astype("datetime64[D]")).astype(np.int64) + 1
        case "weekday":
            numbers = (days.astype(np.int64) + 3) % 7  # 1970-01-01 was a Thursday
        case "hour":
            numbers = minutes // 60
        case "minute":
            numbers = minutes % 60
        case _:
            return np.asarray(stamps.astype(np.int64) / _DAY_MICROSECONDS)
    return np.asarray(numbers)


@dataclass(slots=True)
class _DateForm:
    """A form of dates that the values of a column may have."""

    bad_count: int = 0
    bad_values: dict[str, int] = field(default_factory=dict)
    """The first distinct values that are not dates of this form -> the first row of each."""
    has_more_bad_values: bool = False
    """Whether there are more distinct ones."""
    is_ascending: bool = True
    is_descending: bool = True
    first: Any = None
    last: Any = None

    @property
    def span(self) -> Any:
        """The time from the first to the last row."""
        return abs(self.last - self.first)

    @property
    def is_sorted(self) -> bool:
        """Whether the dates are in order of time, forwards or backwards."""
        return self.is_ascending or self.is_descending

    def add_bad(self, texts: Any, is_bad: Array, rows: Array) -> None:
        """Add the texts that are not dates of this form."""
        import pyarrow as pa
        from pyarrow import compute as pc

        self.bad_count += int(is_bad.sum())
        if self.has_more_bad_values:
            return
        bad, bad_rows = texts.filter(pa.array(is_bad)), rows[is_bad]
        for text in pc.unique(bad)[: MAX_BAD_VALUES + 1].to_pylist():
            if text not in self.bad_values and len(self.bad_values) == MAX_BAD_VALUES:
                self.has_more_bad_values = True
            elif text not in self.bad_values:
                self.bad_values[text] = int(bad_rows[pc.index(bad, text).as_py()])


@dataclass(slots=True)
class DateContent:
    """The form of the dates in a column, inferred some rows at a time."""

    values: int = 0
    first_row: int = 0
    """The row of the first value."""
    candidates: dict[str, _DateForm] = field(
        default_factory=lambda: {order: _DateForm() for order in (*DATE_PATTERNS, "seconds", "milliseconds")}
    )

    @classmethod
    def of_order(cls, order: str | None) -> DateContent:
        """Return the content of a column with this form; None: it is inferred."""
        return cls() if order is None else cls(candidates={order: _DateForm()})

    def add(self, texts: Any, rows: Array) -> None:
        """Add Arrow texts or integers, and the row numbers of shape (rows,)."""
        import pyarrow as pa

        if isinstance(texts, pa.ChunkedArray):
            texts = texts.combine_chunks()
        texts = texts.cast(pa.string())
        present = np.asarray(texts.is_valid().to_numpy(zero_copy_only=False))
        known = int(present.sum())
        if not known:
            return
        if not self.values:
            self.first_row = int(rows[present.argmax()])
        self.values += known
        for order, candidate in self.candidates.items():
            if (
                len(self.candidates) > 1
                and candidate.bad_count > known
                and candidate.bad_count * 2 > self.values
            ):
                candidate.bad_count += known  # it cannot be the form of most values any more
                continue
            dates = parse_dates(texts, order)
            is_bad = present & np.isnat(dates)
            if is_bad.any():
                candidate.add_bad(texts, is_bad, rows)
            self._update_order(candidate, dates[~np.isnat(dates)])

    @staticmethod
    def _update_order(candidate: _DateForm, dates: Array) -> None:
        if not len(dates) or not candidate.is_sorted:
            return
        candidate.first = dates[0] if candidate.first is None else candidate.first
        if candidate.last is not None:
            dates = np.concatenate([[candidate.last], dates])
        steps = np.diff(dates)
        candidate.is_ascending = candidate.is_ascending and bool((steps >= np.timedelta64(0)).all())
        candidate.is_descending = candidate.is_descending and bool((steps <= np.timedelta64(0)).all())
        candidate.last = dates[-1]

    @property
    def order(self) -> str | None:
        """The form of most values, and of all of them if there is one; None if most values are not dates."""
        fewest = min(candidate.bad_count for candidate in self.candidates.values())
        best = [order for order, candidate in self.candidates.items() if candidate.bad_count == fewest]
        if len(self.candidates) == 1:
            return best[0]
        if not self.values or fewest * 2 >= self.values:
            return None
        by_sequence = [order for order in best if self.candidates[order].is_sorted]
        if len(by_sequence) == 1 or {*by_sequence} == {"dmy", "mdy"}:
            # Days and months that are exchanged make the rows leap over months.
            return min(by_sequence, key=lambda order: self.candidates[order].span)
        # Seconds and milliseconds: recent times in seconds have 10 digits, in milliseconds 13.
        return best[0]

    @property
    def is_ambiguous(self) -> bool:
        """Whether all values are valid with the day first and with the month first, and both or neither are in order."""
        if self.order not in ("dmy", "mdy") or len(self.candidates) == 1:
            return False
        day_first, month_first = self.candidates["dmy"], self.candidates["mdy"]
        return day_first.bad_count == month_first.bad_count and day_first.is_sorted == month_first.is_sorted

    @property
    def first_bad(self) -> tuple[int, str] | None:
        """The row and text of the first value that is not a date of the form of most values; None if all are."""
        return next(((row, text) for text, row in self.bad_values.items()), None)

    @property
    def bad_values(self) -> dict[str, int]:
        """The first distinct values that are not dates of the form of most values -> the first row of each."""
        order = self.order
        return {} if order is None else self.candidates[order].bad_values

    @property
    def has_more_bad_values(self) -> bool:
        """Whether there are more than those."""
        order = self.order
        return order is not None and self.candidates[order].has_more_bad_values

    @property
    def bad_count(self) -> int:
        """Number of values that are not dates of the form of most values."""
        order = self.order
        return self.values if order is None else self.candidates[order].bad_count
