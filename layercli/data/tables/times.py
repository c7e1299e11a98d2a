"""The column of times by which the rows of each series are sorted: its values, and its gaps and duplicates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from layercli.data.tables.arrow import is_number_type, is_text_type
from layercli.data.tables.dates import DateContent, is_date_type, parse_dates
from layercli.data.tables.files import LocateRow
from layercli.data.tables.row_order import RowOrder
from layercli.data.types import Array, DataError, make_data_finding
from layercli.graph.finding import Finding
from layercli.source.nodes import KeyPath, quote_value, sanitize_text

_TIME_PATH: Final[KeyPath] = ("data", "windows", "time")
_MAX_USUAL_FACTOR: Final = 1.5
"""Steps up to this many times the usual one are not a gap: months do not have equal lengths."""
_UNITS: Final = (
    ("day", 86_400_000_000),
    ("hour", 3_600_000_000),
    ("minute", 60_000_000),
    ("second", 1_000_000),
)
_MAX_REPORTED: Final = 8


class SortableColumn:
    """Numbers that sort the rows of a column of numbers, dates or times, read some rows at a time."""

    def __init__(self) -> None:
        self._numbers: list[Array] = []
        self._texts: list[tuple[int, Any, Array]] = []
        self._dates = DateContent()
        self._bad_values: dict[int, Any] = {}
        self.is_time = False
        """Whether the numbers are microseconds, and not those of the column."""

    def add(self, column: Any, rows: Array) -> None:
        """Add some rows: an Arrow column, and the row numbers of shape (rows,)."""
        import pyarrow as pa

        column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        if column.null_count:
            missing = np.asarray(column.is_null().to_numpy(zero_copy_only=False))
            self._bad_values |= dict.fromkeys(rows[missing].tolist())
        kind = column.type
        if is_text_type(kind):
            self._texts.append((len(self._numbers), column, rows))
            self._dates.add(column, rows)
            self._numbers.append(np.zeros(0, np.int64))
            return
        self.is_time = self.is_time or not is_number_type(kind)
        if pa.types.is_time(kind) or pa.types.is_duration(kind):
            unit = pa.time64("us") if pa.types.is_time(kind) else pa.duration("us")
            column = column.cast(unit, safe=False).cast(pa.int64())
        elif is_date_type(kind):
            zone = kind.tz if pa.types.is_timestamp(kind) else None
            column = column.cast(pa.timestamp("us", zone), safe=False).cast(pa.int64())
        if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
            column = column.cast(pa.float64())
        numbers = np.asarray(column.fill_null(0).to_numpy(zero_copy_only=False))
        for position in np.flatnonzero(~np.isfinite(numbers)).tolist():
            number = float(numbers[position])
            self._bad_values[int(rows[position])] = None if np.isnan(number) else number
        self._numbers.append(numbers)

    def finish(self) -> tuple[Array, dict[int, Any]]:
        """Return the numbers of all rows, and the rows whose values cannot be used, with these values."""
        bad_values = dict(self._bad_values)
        order = self._dates.order
        for index, texts, rows in self._texts:
            self.is_time = True
            dates = (
                np.full(len(texts), np.datetime64("NaT", "us"))
                if order is None
                else parse_dates(texts, order)
            )
            is_bad = np.isnat(dates) & np.asarray(texts.is_valid().to_numpy(zero_copy_only=False))
            for position in np.flatnonzero(is_bad).tolist():
                bad_values[int(rows[position])] = texts[position].as_py()
            self._numbers[index] = np.where(np.isnat(dates), 0, dates.astype(np.int64))
        return np.concatenate(self._numbers or [np.zeros(0, np.int64)]), bad_values

    @property
    def is_ambiguous(self) -> bool:
        """Whether the day and the month of all dates can be exchanged."""
        return self._dates.is_ambiguous


def make_ambiguous_finding(name: str, key: KeyPath) -> Finding:
    """Return the finding of a column whose dates may have the day or the month first."""
    title = sanitize_text(name, limit=60)
    return make_data_finding(
        f"The dates in `{title}` may have the day or the month first, so their order is unknown.",
        key,
        "Write the dates as 2024-01-31.",
    )


@dataclass(frozen=True, slots=True)
class Times:
    """The times of all rows of a table, before rows are dropped."""

    name: str
    """The times of the column."""
    values: Array
    """Numbers that sort the rows: of shape (rows,)."""
    is_time: bool
    """Whether they are microseconds, and not the numbers of the file."""


def read_times(pieces: Iterable[Any], name: str, locate: LocateRow) -> Times:
    """Return the times of a column that is read in several pieces.

    Raises:
        DataError: values are missing, or are neither numbers nor dates; it reports the first ones.
    """
    column, first_row = SortableColumn(), 0
    for piece in pieces:
        column.add(piece, np.arange(first_row, first_row + len(piece)))
        first_row += len(piece)
    values, bad_values = column.finish()
    title = sanitize_text(name, limit=60)
    findings = [make_ambiguous_finding(name, _TIME_PATH)] if column.is_ambiguous else []
    for row, value in sorted(bad_values.items(), key=lambda item: item[0])[:_MAX_REPORTED]:
        received = "is missing" if value is None else f"must be a number or a date, got {quote_value(value)}"
        hint = "Correct the value, such as to 2024-01-31 12:00, or remove the row."
        findings.append(make_data_finding(f"`{title}` {received} ({locate(name, row)}).", _TIME_PATH, hint))
    if findings:
        raise DataError(*findings)
    return Times(name, values, column.is_time)


def check_steps(times: Times, row_order: RowOrder, locate: LocateRow) -> Iterator[Finding]:
    """Warn about times that occur twice in a series, and about gaps that are larger than the usual step.

    ``row_order`` is the order of all rows.
    """
    rows = np.arange(len(times.values)) if row_order.permutation is None else row_order.permutation
    name, is_time, series_starts = times.name, times.is_time, row_order.series_starts
    steps = np.diff(times.values[rows])
    is_inside = np.ones(len(steps), dtype=bool)
    is_inside[series_starts[(series_starts > 0) & (series_starts <= len(steps))] - 1] = False
    title = sanitize_text(name, limit=60)
    duplicates = np.flatnonzero(is_inside & (steps == 0))
    if len(duplicates):
        count = "1 row has" if len(duplicates) == 1 else f"{len(duplicates):,} rows have"
        yield Finding(
            code="duplicate-time",
            message=f"{count} the same `{title}` as another row of the series, first in "
            f"{locate(name, int(rows[duplicates[0] + 1]))}.",
            path=_TIME_PATH,
            hint="Remove those rows, or name the columns that identify a series with `by`.",
            severity="warning",
        )
    usual = float(np.median(steps[is_inside & (steps > 0)])) if (is_inside & (steps > 0)).any() else 0.0
    gaps = np.flatnonzero(is_inside & (steps > _MAX_USUAL_FACTOR * usual))
    if usual and len(gaps):
        largest = int(gaps[steps[gaps].argmax()])
        count = "1 gap" if len(gaps) == 1 else f"{len(gaps):,} gaps"
        yield Finding(
            code="time-gap",
            message=f"`{title}` has {count} larger than the usual step of {_format_step(usual, is_time=is_time)}; the largest, "
            f"{_format_step(float(steps[largest]), is_time=is_time)}, ends in {locate(name, int(rows[largest + 1]))}.",
            path=_TIME_PATH,
            hint="Sequences across a gap are as if it were not there: add the rows, or give each part its value of `by`.",
            severity="warning",
        )


def _format_step(step: float, *, is_time: bool) -> str:
    if not is_time:
        return f"{step:g}"
    for unit, size in _UNITS:
        if step >= size:
            count = step / size
            return f"{count:.4g} {unit}" + ("" if count == 1 else "s")
    return f"{step / 1_000_000:g} seconds"
