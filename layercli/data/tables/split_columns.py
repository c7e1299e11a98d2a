"""The column of a table that determines the set of each row, read some rows at a time."""

from __future__ import annotations

from collections.abc import Mapping
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

_MAX_BAD_VALUES: Final = 8


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
        """The first values that cannot be used -> the first row and the number of rows of each."""
        self._other_count = 0
        """Number of rows with other such values."""

    def add(self, table: Any, rows: Array) -> None:
        """Add some rows of a table, and their row numbers of shape (rows,)."""
        if self._key is None:
            return
        column = table.column(self.columns[0]).combine_chunks()
        if self._key == "order":
            self._sortable.add(column, rows)
            return
        is_missing = column.is_null(nan_is_null=True)
        if is_missing.true_count:
            self._add_bad_values(is_missing, column, rows)
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
                self._add_bad_value(value, row)
            if self._sortable.is_ambiguous:
                raise DataError(make_ambiguous_finding(self.columns[0], ("data", "split", "order")))
        missing = {value: found for value, found in self._bad_values.items() if value is None}
        others = {value: found for value, found in self._bad_values.items() if value is not None}
        findings = [
            Finding(
                code="bad-split",
                message=f"`{title}` {self._describe_all(found, locate)}.",
                path=("data", "split", self._key),
                hint=SPLIT_KEY_HINTS[self._key],
            )
            for found in (missing, others)
            if found
        ]
        if findings:
            raise DataError(*findings)
        values = np.concatenate(self._pieces or [np.zeros(0, np.int64)])
        return SplitKeys(self._key, self.columns[0], values)

    def _describe_all(self, found: Mapping[Any, tuple[int, int]], locate: LocateRow) -> str:
        """Return what is wrong with values, of which the first is named."""
        value, (row, _) = min(found.items(), key=lambda item: item[1][0])
        rows = sum(count for _, count in found.values()) - 1 + (0 if value is None else self._other_count)
        text = f"{self._describe_wrong_value(value)} in {locate(self.columns[0], row)}"
        if len(found) > 1:
            other = quote_value(next(other for other in found if other != value))
            return f"{text}, and other values such as {other} in {'1 more row' if rows == 1 else f'{rows:,} more rows'}"
        return f"{text}, and in {'1 more row' if rows == 1 else f'{rows:,} more rows'}" if rows else text

    def _describe_wrong_value(self, value: Any) -> str:
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
            self._add_bad_value(value if value == value else None, row)  # NaN is missing

    def _add_bad_value(self, value: Any, row: int) -> None:
        if value not in self._bad_values and len(self._bad_values) >= _MAX_BAD_VALUES:
            self._other_count += 1
            return
        first, count = self._bad_values.get(value, (row, 0))
        self._bad_values[value] = (first, count + 1)
