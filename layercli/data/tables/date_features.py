"""Which numbers the dates of a column should become, and whether its rows are a series in time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from layercli.data.tables.dates import convert_date_column, extract_feature

_CANDIDATES: Final = ("year", "month", "day", "weekday", "hour", "minute", "elapsed")
_TIME_CANDIDATES: Final = ("hour", "minute")
_MIN_SERIES_ROWS: Final = 50
_MIN_ROWS_PER_SERIES: Final = 20
_REGULAR_SHARE: Final = 0.95
_EARLY_SHARE: Final = 0.7
_SHORTEST_STEP, _LONGEST_STEP = 0.5, 3.5
"""Steps, as a part of the usual one, that are regular: months have 28 to 31 days, and Monday follows on Friday."""


@dataclass(frozen=True, slots=True)
class DateFacts:
    """The useful numbers in the dates of some rows."""

    features: tuple[str, ...]
    """The numbers of ``DATE_FEATURES`` that are not the same in all of the rows."""
    early_features: tuple[str, ...]
    """Those that are not the same in all of the early rows, which are the training set of a split by time."""
    is_series: bool
    """Whether each row is later than the row above it, or each is earlier, almost always by about the same time."""


def inspect_dates(column: Any, order: str | None) -> DateFacts:
    """Return the useful numbers in the dates of an Arrow column; ``order`` is the form of texts and numbers."""
    stamps = _read_stamps(column, order)
    names = _TIME_CANDIDATES if order == "time" else _CANDIDATES
    features = tuple(name for name in names if _has_different_values(extract_feature(stamps, name)))
    early = stamps.take(np.argsort(_to_seconds(stamps))[: int(_EARLY_SHARE * len(stamps))])
    early_features = tuple(name for name in features if _has_different_values(extract_feature(early, name)))
    is_series = order != "time" and _is_series(_to_seconds(stamps), _MIN_SERIES_ROWS)
    return DateFacts(features, early_features, is_series)


def count_series(column: Any, order: str | None, keys: Sequence[Any]) -> int:
    """Return the number of series, if the rows with the same values of the Arrow columns ``keys`` are one; 0 if not."""
    stamps = _to_seconds(_read_stamps(column, order))
    codes = np.zeros(len(stamps), dtype=np.int64)
    for key in keys:
        encoded = key.combine_chunks().dictionary_encode()
        codes = codes * (len(encoded.dictionary) + 1) + encoded.indices.fill_null(-1).to_numpy() + 1
    rows = np.argsort(codes, kind="stable")
    pieces = np.split(stamps[rows], np.flatnonzero(np.diff(codes[rows])) + 1)
    are_series = order != "time" and all(_is_series(piece, _MIN_ROWS_PER_SERIES) for piece in pieces)
    return len(pieces) if are_series and len(pieces) > 1 else 0


def is_regular_count(column: Any) -> bool:
    """Return whether the integers of an Arrow column, such as years, rise or fall from row to row by the same step."""
    if column.null_count:
        return False
    steps = np.diff(np.asarray(column.to_numpy()).astype(np.int64))
    return len(steps) + 1 >= _MIN_SERIES_ROWS and bool(steps[0] != 0 and (steps == steps[0]).all())


def _read_stamps(column: Any, order: str | None) -> Any:
    import pyarrow as pa

    stamps = convert_date_column(column, order)
    # Unlike an array, it can be converted with missing dates.
    return pa.chunked_array([stamps]) if isinstance(stamps, pa.Array) else stamps


def _to_seconds(stamps: Any) -> Any:
    return np.asarray(stamps.to_numpy()).astype("datetime64[s]")


def _has_different_values(numbers: Any) -> bool:
    known = numbers[np.isfinite(numbers)]
    return len(known) > 0 and bool(known.min() < known.max())


def _is_series(stamps: Any, min_rows: int) -> bool:
    if len(stamps) < min_rows or bool(np.isnat(stamps).any()):
        return False
    steps = np.diff(stamps).astype(np.int64)
    steps = -steps if steps[0] < 0 else steps
    usual = np.median(steps)
    is_regular = (steps >= _SHORTEST_STEP * usual) & (steps <= _LONGEST_STEP * usual)
    return bool((steps > 0).all() and is_regular.mean() >= _REGULAR_SHARE)
