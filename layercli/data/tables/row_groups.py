"""Row groups of Parquet files: the original data files, or converted files in the cache."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

from layercli.activity import track_items
from layercli.config.data.tables import TableConfig
from layercli.data.cache import Cache, fingerprint_file
from layercli.data.examples import Examples
from layercli.data.tables.arrow import is_text_type, map_column_types, normalize_table
from layercli.data.tables.conversions import convert_table
from layercli.data.tables.decode import decode_table, drop_incomplete_rows, find_complete_rows
from layercli.data.tables.flat_columns import read_flat_columns
from layercli.data.tables.integers import IntegerColumnCheck
from layercli.data.tables.parquet_sizes import measure_groups
from layercli.data.tables.plan import TablePlan
from layercli.data.tables.split_columns import SplitColumnReader
from layercli.data.tables.target_inference import KnownClassCheck, TargetInference
from layercli.data.types import PATH_KEY, Array, raise_data_error
from layercli.source.nodes import sanitize_text


class RowGroup(NamedTuple):
    """A row group of a Parquet file."""

    file_index: int
    group_index: int
    rows: int
    """Number of rows without dropped rows."""


@dataclass(frozen=True)
class RowGroups:
    """Row groups of several Parquet files."""

    data: TableConfig
    files: tuple[Path, ...]
    is_normalized: tuple[bool, ...]
    """Whether each file already has trimmed texts and its final column types."""
    metadata: tuple[Any, ...]
    """Parquet metadata of each file."""
    file_states: tuple[tuple[int, int], ...]
    """Size and modification time of each file when its metadata was read."""
    groups: tuple[RowGroup, ...]
    conversions: Mapping[str, str] | None = None
    """How columns of texts are converted; see ``Inspection``. None if they are not converted yet."""

    @classmethod
    def open(cls, data: TableConfig, files: Sequence[tuple[Path, bool]]) -> Self:
        """Return all row groups of the files; each file comes with whether it is normalized."""
        from pyarrow import parquet

        states = [_read_file_state(path) for path, _ in files]
        metadata = [parquet.read_metadata(path) for path, _ in files]
        groups = [
            RowGroup(file_index, group, file_metadata.row_group(group).num_rows)
            for file_index, file_metadata in enumerate(metadata)
            for group in range(file_metadata.num_row_groups)
        ]
        return cls(
            data,
            tuple(path for path, _ in files),
            tuple(is_normalized for _, is_normalized in files),
            tuple(metadata),
            tuple(states),
            tuple(groups),
        )

    @property
    def file_rows(self) -> list[int]:
        """Number of rows of each file, including dropped rows."""
        return [metadata.num_rows for metadata in self.metadata]

    def column_types(self) -> list[dict[str, Any]]:
        """Return the Arrow types of the columns of each file."""
        return [map_column_types(self.empty_table(number).schema) for number in range(len(self.files))]

    def empty_table(self, file_index: int = 0) -> Any:
        """Return the Arrow table of a file without rows."""
        empty = self.metadata[file_index].schema.to_arrow_schema().empty_table()
        return self._convert(normalize_table(empty, self.data))

    def _convert(self, table: Any) -> Any:
        return table if self.conversions is None else convert_table(table, self.conversions, self.data)

    def iterate_texts(self, types: Mapping[str, Any], data: TableConfig) -> Iterator[tuple[Any, Array]]:
        """Yield the columns of texts and dates, with the row numbers, before they are converted."""
        columns = [name for name, kind in types.items() if is_text_type(kind) or name in data.dates]
        first_row = 0
        for number in self._track_groups() if columns else ():
            table = self._read_texts(number, columns)
            yield table, np.arange(first_row, first_row + len(table))
            first_row += len(table)

    def _track_groups(self) -> Iterator[int]:
        """Yield the index of each row group; a pass over them is a part of the work."""
        return track_items(range(len(self.groups)), len(self.groups))

    def without_dropped_rows(
        self,
        plan: TablePlan,
        inferences: Sequence[TargetInference | KnownClassCheck],
        integer_check: IntegerColumnCheck,
        split_column: SplitColumnReader | None = None,
    ) -> Self:
        """Return the row groups without rows that lack a required value; run the checks on the other rows."""
        split_columns = [] if split_column is None else split_column.columns
        if not inferences and not plan.required_columns and not integer_check.columns and not split_columns:
            return self
        target_columns = [inference.column for inference in inferences]
        columns = [*target_columns, *plan.required_columns, *integer_check.columns, *split_columns]
        groups, first_row = [], 0
        for number in self._track_groups():
            table, group = self.read_table(number, columns), self.groups[number]
            mask = find_complete_rows(table, plan)
            rows = np.arange(first_row, first_row + len(table))
            first_row += len(table)
            if mask is not None:
                table, rows = table.filter(mask), rows[mask]
            integer_check.add(table, rows)
            if split_column is not None:
                split_column.add(table, rows)
            for inference in inferences:
                inference.add(table.column(inference.column), rows)
            groups.append(group._replace(rows=len(table)))
        return replace(self, groups=tuple(groups))

    @cached_property
    def row_offsets(self) -> Array:
        """First row of each row group among all rows, then the number of rows: int64 of shape (groups + 1,)."""
        return np.concatenate([[0], np.cumsum([group.rows for group in self.groups], dtype=np.int64)])

    def find_file_row(self, row: int, plan: TablePlan) -> int:
        """Return the row of the files, from 0, that is this row without dropped rows."""
        group_index = int(np.searchsorted(self.row_offsets, row, side="right")) - 1
        row_in_group = row - int(self.row_offsets[group_index])
        group_rows = [
            self.metadata[each.file_index].row_group(each.group_index).num_rows for each in self.groups
        ]
        if group_rows[group_index] != self.groups[group_index].rows:
            mask = find_complete_rows(self.read_table(group_index, plan.required_columns), plan)
            row_in_group = row_in_group if mask is None else int(np.flatnonzero(mask)[row_in_group])
        first_row: int = sum(group_rows[:group_index])
        return first_row + row_in_group

    def group_bytes(self, columns: Sequence[str]) -> list[int]:
        """Return the size in memory of these columns of each row group, in bytes."""
        sizes = [measure_groups(file, columns) for file in self.files]
        return [sizes[group.file_index][group.group_index].decoded_bytes for group in self.groups]

    def read_table(self, group_index: int, columns: Sequence[str]) -> Any:
        """Return these columns of a row group, with all rows.

        Raises:
            DataError: the file was modified after it was opened, or is damaged.
        """
        return self._convert(self._read_texts(group_index, columns))

    def iterate_dates(self, plan: TablePlan) -> Iterator[Any]:
        """Yield the columns of dates of which the elapsed days are inputs."""
        columns = sorted({plan.source_of(name) for name in plan.elapsed_columns})
        for number in self._track_groups() if columns else ():
            yield self.read_table(number, columns)

    def _read_texts(self, group_index: int, columns: Sequence[str]) -> Any:
        """Return these columns of a row group before texts are converted."""
        from pyarrow import parquet

        group = self.groups[group_index]
        file = self.files[group.file_index]
        try:
            with parquet.ParquetFile(
                file, metadata=self.metadata[group.file_index], page_checksum_verification=True
            ) as source:
                table = read_flat_columns(source, columns, group.group_index)
        except (OSError, ValueError) as error:  # pyarrow errors are subclasses of these
            self._require_unchanged(group.file_index)
            reason = sanitize_text(str(error), limit=200).rstrip(".")
            raise_data_error(
                f"Cannot read {sanitize_text(str(file))} from row group {group.group_index + 1}: {reason}.",
                PATH_KEY,
                "Restore the file. Files in the cache can be deleted; they are written again when needed.",
            )
        self._require_unchanged(group.file_index)
        return table if self.is_normalized[group.file_index] else normalize_table(table, self.data)

    def _require_unchanged(self, file_index: int) -> None:
        file = self.files[file_index]
        try:
            is_unchanged = _read_file_state(file) == self.file_states[file_index]
        except OSError:
            is_unchanged = False
        if not is_unchanged:
            raise_data_error(
                f"{sanitize_text(str(file))} was modified or removed while it was being read.",
                PATH_KEY,
                "Do not modify the files before training has ended.",
            )

    def read_examples(self, group_index: int, plan: TablePlan) -> Examples:
        """Return the examples of a row group, without dropped rows."""
        return decode_table(drop_incomplete_rows(self.read_table(group_index, plan.columns), plan), plan)

    def cache_key(self, plan: TablePlan) -> list[Any]:
        """Return a JSON document that identifies the content of these rows."""
        folder = Cache.default().folder
        sources = [path.name if path.parent == folder else fingerprint_file(path) for path in self.files]
        data = self.data
        numbers = [data.decimal, data.thousands]
        return [sources, plan.to_json(), sorted(data.types.items()), data.missing.words, numbers]


def _read_file_state(path: Path) -> tuple[int, int]:
    """Return size and modification time of a file, which change if the file is written."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns
