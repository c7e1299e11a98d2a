"""The column of a table that determines the set of each row, read some rows at a time."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from layercli.config.data.tables import TableConfig
from layercli.data.split_keys import SPLIT_KEY_HINTS, SPLIT_OF_NAME, SplitKey, SplitKeys
from layercli.data.tables.files import LocateRow
from layercli.data.tables.row_order import SeriesIds
from layercli.data.tables.times import SortableColumn, make_ambiguous_finding
from layercli.data.types import Array, DataError
from layercli.graph.finding import Finding
from layercli.source.nodes import quote_value, sanitize_text

_MAX_REPORTED: Final = 8


class SplitColumnReader:
    """The values of the column that `split` names."""

    def __init__(self, data: TableConfig) -> None:
        self._key: SplitKey | None = None
        self.columns: list[str] = []
        """The columns to read; empty if the split follows from sizes."""
        for key in ("group", "order", "column"):
            if (column := getattr(data.split, key)) is not None:
                self._key, self.columns = key, [column]
        self._groups = SeriesIds(self.columns)
        self._sortable = SortableColumn()
        self._pieces: list[Array] = []
        self._bad_values: dict[Any, tuple[int, int]] = {}
        """Each value that cannot be used -> its first row and its number of rows."""

    def add(self, table: Any, rows: Array) -> None:
        """Add some rows of a table, and their row numbers of shape (rows,)."""
        if self._key is None:
            return
        column = table.column(self.columns[0]).combine_chunks()
        if self._key == "order":
            self._sortable.add(column, rows)
            return
        if column.null_count:
            self._add_bad_values(column.is_null(), column, rows)
        if self._key == "group":
            self._pieces.append(np.asarray(self._groups.assign(table)))
        else:
            self._pieces.append(self._read_splits(column, rows))

    def finish(self, locate: LocateRow) -> SplitKeys | None:
        """Return the keys of all rows; None if the split follows from sizes.

        Raises:
            DataError: values are missing or cannot be used; it reports each of them with its first row.
        """
        if self._key is None:
            return None
        title = sanitize_text(self.columns[0], limit=60)
        if self._key == "order":
            values, bad_values = self._sortable.finish()
            self._pieces.append(values)
            for row, value in sorted(bad_values.items(), key=lambda item: item[0]):
                first, count = self._bad_values.get(value, (row, 0))
                self._bad_values[value] = (first, count + 1)
            if self._sortable.is_ambiguous:
                raise DataError(make_ambiguous_finding(self.columns[0], ("data", "split", "order")))
        findings = [
            Finding(
                code="bad-split",
                message=f"`{title}` {self._describe(value)} in {locate(self.columns[0], row)}"
                + (f", and in {count - 1:,} more rows." if count > 1 else "."),
                path=("data", "split", self._key),
                hint=SPLIT_KEY_HINTS[self._key],
            )
            for value, (row, count) in list(self._bad_values.items())[:_MAX_REPORTED]
        ]
        if findings:
            raise DataError(*findings)
        values = np.concatenate(self._pieces or [np.zeros(0, np.int64)])
        return SplitKeys(self._key, self.columns[0], values)

    def _describe(self, value: Any) -> str:
        if value is None:
            return "is missing"
        expected = "a number or a date" if self._key == "order" else "train, validation or test"
        return f"must be {expected}, got {quote_value(value)}"

    def _read_splits(self, column: Any, rows: Array) -> Array:
        import pyarrow as pa
        from pyarrow import compute

        names = pa.array(SPLIT_OF_NAME, pa.string())
        texts = compute.utf8_lower(compute.utf8_trim_whitespace(column.cast(pa.string())))
        found = compute.index_in(texts, names)
        self._add_bad_values(compute.and_(found.is_null(), column.is_valid()), column, rows)
        splits: Array = np.array(list(SPLIT_OF_NAME.values()), np.uint8)
        return np.take(splits, np.asarray(found.fill_null(0).to_numpy(zero_copy_only=False)))

    def _add_bad_values(self, mask: Any, column: Any, rows: Array) -> None:
        is_bad = np.asarray(mask.to_numpy(zero_copy_only=False))
        if not is_bad.any():
            return
        for row, value in zip(rows[is_bad].tolist(), column.filter(mask).to_pylist(), strict=True):
            first, count = self._bad_values.get(value, (row, 0))
            if count or len(self._bad_values) <= _MAX_REPORTED:
                self._bad_values[value] = (first, count + 1)
