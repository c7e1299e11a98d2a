"""Which numbers the dates of a column should become, and whether its rows are a series in time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from layercli.data.tables.dates import convert_date_column, extract_feature

_CANDIDATES: Final = ("year", "month", "day", "weekday", "hour", "minute", "elapsed")
_TIME_CANDIDATES: Final = ("hour", "minute")
_MIN_SERIES_ROWS: Final = 100
_REGULAR_SHARE: Final = 0.95


@dataclass(frozen=True, slots=True)
class DateFacts:
    """What the dates of some rows are good for."""

    features: tuple[str, ...]
    """The numbers of ``DATE_FEATURES`` that are not the same in all of the rows."""
    is_series: bool
    """Whether each row is later than the row above it, almost always by the same time."""


def inspect_dates(column: Any, order: str | None) -> DateFacts:
    """Return what the dates of an Arrow column are good for; ``order`` is the form of texts and numbers."""
    import pyarrow as pa

    stamps = convert_date_column(column, order)
    if isinstance(stamps, pa.Array):
        stamps = pa.chunked_array([stamps])  # unlike an array, it can be converted with missing dates
    names = _TIME_CANDIDATES if order == "time" else _CANDIDATES
    features = tuple(name for name in names if _varies(extract_feature(stamps, name)))
    return DateFacts(features, _is_series(np.asarray(stamps.to_numpy()).astype("datetime64[s]")))


def _varies(numbers: Any) -> bool:
    known = numbers[np.isfinite(numbers)]
    return len(known) > 0 and bool(known.min() < known.max())


def _is_series(stamps: Any) -> bool:
    if len(stamps) < _MIN_SERIES_ROWS or bool(np.isnat(stamps).any()):
        return False
    steps = np.diff(stamps).astype(np.int64)
    return bool((steps > 0).all() and (steps == np.median(steps)).mean() >= _REGULAR_SHARE)
