"""The reader of parquet data, which uses pyarrow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from layercli.data.examples import Dataset
from layercli.data.reader_state import ReaderState
from layercli.data.tables.arrow import normalize_table
from layercli.data.tables.cache import Cache
from layercli.data.tables.open import open_new_table, open_table
from layercli.data.types import raise_data_error
from layercli.formats.parquet.config import Parquet
from layercli.source.nodes import sanitize_text

_MAX_GROUP_BYTES = 1 << 28
"""A larger row group is divided before it is streamed."""
_PYARROW_ERRORS = (OSError, ValueError, NotImplementedError)
"""The base classes of pyarrow's errors."""


def read_dataset(data: Parquet, memory: int | None, integers: Mapping[str | None, str]) -> Dataset:
    """Return all examples, in memory or read batch by batch; see ``open_table``.

    Raises:
        DataError: a file cannot be read, or a column is missing or not numeric.
    """
    return open_table(data, _ParquetFiles(data), memory, integers)


def read_new_dataset(
    data: Parquet, paths: Sequence[str], reader_state: ReaderState, memory: int | None, *, has_targets: bool
) -> Dataset:
    """Return all examples of other files than in training; see ``Reader`` and ``open_new_table``.

    Raises:
        DataError: a file cannot be read, or a column is missing or has other values than in training.
    """
    assert reader_state.table_plan is not None
    located = data.with_arguments(path=list(paths))
    return open_new_table(located, _ParquetFiles, reader_state.table_plan, memory, has_targets=has_targets)


@dataclass(frozen=True, slots=True)
class _ParquetFiles:
    """The files of a section of type parquet."""

    data: Parquet

    def bytes_in_memory(self, file: Path) -> int:
        """Return an estimate of the bytes that its table takes."""
        return sum(self._row_group_sizes(file))

    def column_names(self, file: Path) -> list[str]:
        """Return the names of its columns."""
        with self._open(file) as source:
            return [name.strip() for name in source.schema_arrow.names]

    def read_table(self, file: Path, columns: set[str]) -> Any:
        """Return all rows of these columns."""
        with self._open(file) as source:
            raw_names = [name for name in source.schema_arrow.names if name.strip() in columns]
            try:
                return normalize_table(source.read(columns=raw_names), self.data)
            except _PYARROW_ERRORS as error:
                _raise_unreadable(file, error)

    def to_parquet(self, file: Path) -> tuple[Path, bool]:
        """Return the file, or a copy with smaller row groups, and that its texts are not trimmed."""
        if max(self._row_group_sizes(file), default=0) <= _MAX_GROUP_BYTES:
            return file, False
        return Cache.default().get_file(
            file, "parquet", None, lambda target: self._split_row_groups(file, target)
        ), False

    def locate_value(self, file: Path, column: str, row: int) -> str | None:
        """Return the location of a row, counted from 1; for -1 that of the column's first value, or None."""
        if row >= 0:
            return f"{sanitize_text(str(file))}, row {row + 1}"
        with self._open(file) as source:
            [name] = [name for name in source.schema_arrow.names if name.strip() == column]
            for batch in source.iter_batches(batch_size=1024, columns=[name]):
                for value in batch.column(0).to_pylist():
                    if value is not None:
                        return (
                            f'{sanitize_text(str(file))}, which has "{sanitize_text(str(value), limit=40)}"'
                        )
        return None

    def _row_group_sizes(self, file: Path) -> list[int]:
        with self._open(file) as source:
            metadata = source.metadata
            return [metadata.row_group(number).total_byte_size for number in range(metadata.num_row_groups)]

    def _open(self, file: Path) -> Any:
        from pyarrow import parquet

        try:
            return parquet.ParquetFile(file)
        except _PYARROW_ERRORS as error:
            _raise_unreadable(file, error)

    def _split_row_groups(self, file: Path, target: Path) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        with self._open(file) as source, parquet.ParquetWriter(target, source.schema_arrow) as writer:
            for batch in source.iter_batches(batch_size=1 << 16):
                writer.write_table(pa.Table.from_batches([batch]))


def _raise_unreadable(file: Path, error: Exception) -> NoReturn:
    reason = sanitize_text(str(error), limit=200).rstrip(".")
    raise_data_error(
        f"Cannot read the Parquet file {sanitize_text(str(file))}: {reason}.", ("data", "path"), None
    )
