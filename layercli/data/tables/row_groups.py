"""Row groups of Parquet files: the files of a config's data, or what was made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

from layercli.config.data.tables import TableConfig
from layercli.data.examples import Array, Examples
from layercli.data.tables.cache import Cache, fingerprint_file
from layercli.data.tables.columns import normalize_table, raise_data_error
from layercli.data.tables.integers import IntegerColumnCheck
from layercli.data.tables.open import map_column_types
from layercli.data.tables.plan import TablePlan, decode_table, drop_incomplete_rows, find_complete_rows
from layercli.data.tables.target_inference import TargetInference
from layercli.source.nodes import sanitize_text

_PATH_KEY = ("data", "path")


class RowGroup(NamedTuple):
    """A row group of a Parquet file."""

    file_index: int
    group_index: int
    rows: int
    """Without those that are left out."""


@dataclass(frozen=True)
class RowGroups:
    """Row groups of Parquet files."""

    data: TableConfig
    files: tuple[Path, ...]
    is_normalized: tuple[bool, ...]
    """Of each file whether its texts are trimmed already."""
    metadata: tuple[Any, ...]
    """What Parquet says of each file."""
    file_states: tuple[tuple[int, int], ...]
    """Of each file its size and its time when that was read."""
    groups: tuple[RowGroup, ...]

    @classmethod
    def open(cls, data: TableConfig, files: Sequence[tuple[Path, bool]]) -> Self:
        """Every row group of the files."""
        from pyarrow import parquet

        states = [_read_file_state(path) for path, _ in files]
        metadata = [parquet.read_metadata(path) for path, _ in files]
        chunks = [
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
            tuple(chunks),
        )

    def column_types(self) -> list[dict[str, Any]]:
        """The Arrow types of each file's columns."""
        return [map_column_types(self.empty_table(number).schema) for number in range(len(self.files))]

    def empty_table(self, file_index: int = 0) -> Any:
        """The table of a file without its rows."""
        return normalize_table(self.metadata[file_index].schema.to_arrow_schema().empty_table(), self.data)

    def without_dropped_rows(
        self, plan: TablePlan, inferences: Sequence[TargetInference], integer_check: IntegerColumnCheck
    ) -> Self:
        """The same without the rows that the plan leaves out; the surveys see the others."""
        if not inferences and not plan.required_columns and not integer_check.columns:
            return self
        chunks, first_row = [], 0
        for number, chunk in enumerate(self.groups):
            table = self.read_table(
                number,
                [*(survey.column for survey in inferences), *plan.required_columns, *integer_check.columns],
            )
            mask = find_complete_rows(table, plan)
            rows = np.arange(first_row, first_row + len(table))
            first_row += len(table)
            if mask is not None:
                table, rows = table.filter(mask), rows[mask]
            integer_check.add(table, rows)
            for survey in inferences:
                survey.add(table.column(survey.column), rows)
            chunks.append(chunk._replace(rows=len(table)))
        return replace(self, groups=tuple(chunks))

    @cached_property
    def row_offsets(self) -> Array:
        """The first row of each chunk among all rows, and at the end how many there are: int64 of shape (chunks + 1,)."""
        return np.concatenate([[0], np.cumsum([chunk.rows for chunk in self.groups], dtype=np.int64)])

    def read_table(self, group_index: int, columns: Sequence[str]) -> Any:
        """These columns of a chunk, all rows of it.

        Raises:
            RefusedDataError: the file was changed since it was opened, or is damaged.
        """
        from pyarrow import parquet

        chunk = self.groups[group_index]
        file = self.files[chunk.file_index]
        try:
            with parquet.ParquetFile(file, metadata=self.metadata[chunk.file_index]) as source:
                names = [name for name in source.schema_arrow.names if name.strip() in columns]
                table = source.read_row_group(chunk.group_index, columns=names)
        except (OSError, ValueError) as error:  # what pyarrow's own errors are
            self._require_unchanged(chunk.file_index)
            said = sanitize_text(str(error), limit=200).rstrip(".")
            raise_data_error(f"{sanitize_text(str(file))} cannot be read from row group {chunk.group_index + 1} on: {said}.", _PATH_KEY,
                   "Restore the file; what lies in the cache may be removed, and is made anew.")  # fmt: skip
        self._require_unchanged(chunk.file_index)
        return table if self.is_normalized[chunk.file_index] else normalize_table(table, self.data)

    def _require_unchanged(self, file_index: int) -> None:
        file = self.files[file_index]
        try:
            is_unchanged = _read_file_state(file) == self.file_states[file_index]
        except OSError:
            is_unchanged = False
        if not is_unchanged:
            raise_data_error(f"{sanitize_text(str(file))} was changed or removed while it was being read.", _PATH_KEY,
                   "Leave the files as they are until training has ended.")  # fmt: skip

    def read_examples(self, group_index: int, plan: TablePlan) -> Examples:
        """The rows of a chunk that are not left out."""
        return decode_table(drop_incomplete_rows(self.read_table(group_index, plan.columns), plan), plan)

    def cache_key(self, plan: TablePlan) -> list[Any]:
        """What tells these rows from others as long as the files stay where they are."""
        folder = Cache.default().folder
        sources = [path.name if path.parent == folder else fingerprint_file(path) for path in self.files]
        return [sources, plan.to_json(), sorted(self.data.types.items()), self.data.missing.values]


def _read_file_state(path: Path) -> tuple[int, int]:
    """What is another wherever a file was written to: its size, and its time."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns
