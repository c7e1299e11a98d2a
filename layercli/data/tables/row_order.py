"""The order of the rows of series, and the series of each row."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from layercli.data.types import Array, raise_data_error
from layercli.schema.flow_style import format_value
from layercli.source.nodes import sanitize_text

_FIRST_ROUNDED: Final = 2**53
"""The first integer whose successor a float64 cannot hold."""


@dataclass(frozen=True)
class RowOrder:
    """Rows in the order of their series and, within a series, of their times or in their original order."""

    permutation: Array | None
    """Table row at each position: int64 of shape (rows,); None if the order is unchanged."""
    series_starts: Array
    """First position of each series: int64 of shape (series,), ascending, from 0."""
    segment_starts: Array
    """First position of each segment, which has one series, one file and no dropped row: int64 of shape (segments,)."""

    def map_to_rows(self, positions: Array) -> Array:
        """Return the table rows at these positions, in the same shape."""
        return positions if self.permutation is None else self.permutation[positions]


def order_rows(
    series_ids: Array | None,
    file_rows: Sequence[int],
    kept_mask: Array | None,
    times: Array | None = None,
) -> RowOrder:
    """Return the order of the kept rows.

    ``series_ids`` of shape (rows,) is the series of each row, ``file_rows`` the number of rows of each file, and
    ``kept_mask`` of shape (rows,) marks the rows that are not dropped. With ``times`` of shape (rows,) the rows of a series
    are sorted by them, across all files.
    """
    rows = sum(file_rows)
    order = None if series_ids is None else np.argsort(series_ids, kind="stable")
    if times is not None:
        series_ids = np.zeros(rows, dtype=np.int32) if series_ids is None else series_ids
        order = np.lexsort((times, series_ids))
        file_rows = [rows]
    breaks = np.zeros(rows, dtype=bool)
    file_starts = np.cumsum([0, *file_rows])[:-1]
    if order is None or series_ids is None:
        breaks[file_starts[file_starts < rows]] = True
        series = np.zeros(1, dtype=np.int64)
    else:
        file_of = np.repeat(np.arange(len(file_rows), dtype=np.int32), file_rows)[order]
        ordered_ids = series_ids[order]
        changes = np.flatnonzero(np.diff(ordered_ids)) + 1
        breaks[changes] = True
        breaks[1:] |= np.diff(file_of) != 0
        series = np.concatenate([[0], changes])
    if rows:
        breaks[0] = True
    if kept_mask is None:
        return RowOrder(order, series, np.flatnonzero(breaks))
    is_kept = kept_mask if order is None else kept_mask[order]
    positions = np.cumsum(is_kept) - is_kept  # position of each row, or of the next kept row
    breaks[1:] |= ~is_kept[:-1]
    segment_starts = np.unique(positions[breaks])
    numbers = np.cumsum(kept_mask) - 1
    kept_count = int(is_kept.sum())
    return RowOrder(
        None if order is None else numbers[order[is_kept]],
        np.unique(np.minimum(positions[series], kept_count)) if rows else series,
        segment_starts[segment_starts < kept_count],
    )


class SeriesIds:
    """Integer ids of the series that columns identify, consistent over all pieces of a table."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = columns
        self._ids: dict[tuple[Any, ...], int] = {}

    def assign(self, table: Any) -> Array | None:
        """Return the series id of each row: int32 of shape (rows,); None if there is only one series."""
        if not self._columns:
            return None
        encoded = [table.column(name).combine_chunks().dictionary_encode("encode") for name in self._columns]
        for name, column in zip(self._columns, encoded, strict=True):
            _require_exact_keys(name, column.dictionary)
        codes = np.zeros(len(table), dtype=np.int64)
        for column in encoded:
            # Numbered again after each column, so that the codes of many columns do not exceed 64 bits.
            pairs = codes * len(column.dictionary) + column.indices.to_numpy()
            codes = np.unique(pairs, return_inverse=True)[1].ravel()
        distinct, first_rows, inverse = np.unique(codes, return_index=True, return_inverse=True)
        ids = np.empty(len(distinct), dtype=np.int32)
        for index in np.argsort(first_rows):
            key = tuple(column[int(first_rows[index])].as_py() for column in encoded)
            ids[index] = self._ids.setdefault(key, len(self._ids))
        return ids[inverse.ravel()]


def _require_exact_keys(name: str, keys: Any) -> None:
    """Check that numbers that identify rows are not rounded, as those of CSV above 64 bits are.

    Raises:
        DataError: some are.
    """
    import pyarrow as pa
    from pyarrow import compute

    if not pa.types.is_floating(keys.type):
        return
    largest = compute.max(compute.abs(keys)).as_py()
    if largest is not None and _FIRST_ROUNDED <= largest < math.inf:
        shown = sanitize_text(name, limit=60)
        raise_data_error(
            f"`{shown}` has keys of more than {len(str(_FIRST_ROUNDED)) - 1} digits, which are rounded as numbers, "
            f"such as {largest:.0f}.",
            ("data", "types"),
            f"Set `types: {{{format_value(name)}: text}}`.",
        )
