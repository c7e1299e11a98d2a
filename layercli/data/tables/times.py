"""The column of times by which the rows of each series are sorted: its values, and its gaps and duplicates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from layercli.data.tables.arrow import is_number_type
from layercli.data.tables.files import LocateRow
from layercli.data.tables.row_order import RowOrder
from layercli.data.types import Array, DataError, make_data_finding
from layercli.graph.finding import Finding
from layercli.source.nodes import KeyPath, quote_value, sanitize_text

_TIME_PATH: Final[KeyPath] = ("data", "windows", "time")
_MAX_USUAL_FACTOR: Final = 1.5
"""Steps up to this many times the usual one are no gap: months do not have equal lengths."""
_UNITS: Final = (
    ("day", 86_400_000_000),
    ("hour", 3_600_000_000),
    ("minute", 60_000_000),
    ("second", 1_000_000),
)
_MAX_REPORTED: Final = 8


def to_sortable_numbers(column: Any) -> tuple[Array, Any]:
    """Return numbers that sort a column of numbers, dates, times or texts of ISO dates, and which values are neither.

    Dates and times are microseconds. Missing values are 0, and not among those that are neither.
    """
    import pyarrow as pa

    kind = column.type
    numbers = column
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        zone = kind.tz if pa.types.is_timestamp(kind) else None
        numbers = column.cast(pa.timestamp("us", zone), safe=False).cast(pa.int64())
    elif pa.types.is_time(kind) or pa.types.is_duration(kind):
        unit = pa.time64("us") if pa.types.is_time(kind) else pa.duration("us")
        numbers = column.cast(unit, safe=False).cast(pa.int64())
    elif not is_number_type(kind):
        numbers = pa.array(map(_parse_date, column.cast(pa.string()).to_pylist()), pa.int64())
    if not (pa.types.is_integer(numbers.type) or pa.types.is_floating(numbers.type)):
        numbers = numbers.cast(pa.float64())
    return (
        np.asarray(numbers.fill_null(0).to_numpy(zero_copy_only=False)),
        find_lost_values(numbers, column),
    )


def find_lost_values(converted: Any, column: Any) -> Any:
    """Return which values were lost by a conversion."""
    from pyarrow import compute

    return compute.and_(converted.is_null(), column.is_valid())


def _parse_date(text: str | None) -> int | None:
    try:
        return None if text is None else int(np.datetime64(text, "us").astype(np.int64))
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class Times:
    """The times of all rows of a table, before rows are dropped."""

    name: str
    """Of the column."""
    values: Array
    """Numbers that sort the rows: of shape (rows,)."""
    is_time: bool
    """Whether they are microseconds, and not the numbers of the file."""


def read_times(pieces: Iterable[Any], name: str, locate: LocateRow) -> Times:
    """Return the times of a column that is read in several pieces.

    Raises:
        DataError: values are missing, or are neither numbers nor dates; it reports the first ones.
    """
    arrays: list[Array] = []
    findings: list[Finding] = []
    first_row, is_time = 0, False
    title = sanitize_text(name, limit=60)
    for piece in pieces:
        column = piece.combine_chunks()
        values, is_lost = to_sortable_numbers(column)
        is_bad = np.asarray(is_lost.to_numpy(zero_copy_only=False)) | ~np.asarray(
            column.is_valid().to_numpy(zero_copy_only=False)
        )
        for row in np.flatnonzero(is_bad)[: _MAX_REPORTED - len(findings)].tolist():
            value = column[row].as_py()
            received = (
                "is missing" if value is None else f"must be a number or a date, got {quote_value(value)}"
            )
            hint = "Correct the value, such as to 2024-01-31 12:00, or remove the row."
            place = locate(name, first_row + row)
            findings.append(make_data_finding(f"`{title}` {received} ({place}).", _TIME_PATH, hint))
        arrays.append(values)
        is_time = is_time or not is_number_type(column.type)
        first_row += len(column)
    if findings:
        raise DataError(*findings)
    return Times(name, np.concatenate(arrays or [np.zeros(0, np.int64)]), is_time)


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
