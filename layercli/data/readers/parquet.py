"""Tables in Parquet files, read by pyarrow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from layercli.config.data.tables import Parquet
from layercli.data.reader_state import Learned
from layercli.data.subset import Source
from layercli.data.tables.cache import Cache
from layercli.data.tables.columns import refuse, trimmed
from layercli.data.tables.open import open_new, open_rows
from layercli.source.nodes import printable

_MOST_GROUP_BYTES = 1 << 28
"""A row group of more is divided before it is streamed."""
_ERRORS = (OSError, ValueError, NotImplementedError)
"""What pyarrow's own errors are."""


def read(data: Parquet, memory: int | None, integers: Mapping[str | None, str]) -> Source:
    """All examples, in memory or read as they are needed; see ``open_rows``.

    Raises:
        RefusedDataError: a file cannot be read, or a column is not there or not of numbers.
    """
    return open_rows(data, _ParquetFiles(data), memory, integers)


def read_new(
    data: Parquet, paths: Sequence[str], learned: Learned, memory: int | None, *, targets: bool
) -> Source:
    """All examples of files that came after training: see ``Reader`` and ``open_new``.

    Raises:
        RefusedDataError: a file cannot be read, or a column is not there or of other values than in training.
    """
    assert learned.plan is not None
    located = data.replace(path=list(paths))
    return open_new(located, _ParquetFiles, learned.plan, memory, targets=targets)


@dataclass(frozen=True, slots=True)
class _ParquetFiles:
    """The files of a config's Parquet data."""

    data: Parquet

    def bytes_in_memory(self, file: Path) -> int:
        """About how many bytes its table takes."""
        return sum(self._group_bytes(file))

    def names(self, file: Path) -> list[str]:
        """The names of its columns."""
        with self._opened(file) as source:
            return [name.strip() for name in source.schema_arrow.names]

    def table(self, file: Path, columns: set[str]) -> Any:
        """The whole table, of these columns."""
        with self._opened(file) as source:
            wanted = [name for name in source.schema_arrow.names if name.strip() in columns]
            try:
                return trimmed(source.read(columns=wanted), self.data)
            except _ERRORS as error:
                _refuse(file, error)

    def parquet(self, file: Path) -> tuple[Path, bool]:
        """The file, or a copy with smaller row groups, and that its texts are not trimmed."""
        if max(self._group_bytes(file), default=0) <= _MOST_GROUP_BYTES:
            return file, False
        return Cache.default().file(file, "parquet", None, lambda target: self._regroup(file, target)), False

    def place(self, file: Path, column: str, row: int) -> str | None:
        """Which row of the file it is, counted from 1; for -1 the first value of the column, or None."""
        if row >= 0:
            return f"{printable(str(file))}, row {row + 1}"
        with self._opened(file) as source:
            [name] = [name for name in source.schema_arrow.names if name.strip() == column]
            for batch in source.iter_batches(batch_size=1024, columns=[name]):
                for value in batch.column(0).to_pylist():
                    if value is not None:
                        return f'{printable(str(file))}, which has "{printable(str(value), limit=40)}"'
        return None

    def _group_bytes(self, file: Path) -> list[int]:
        with self._opened(file) as source:
            metadata = source.metadata
            return [metadata.row_group(number).total_byte_size for number in range(metadata.num_row_groups)]

    def _opened(self, file: Path) -> Any:
        from pyarrow import parquet

        try:
            return parquet.ParquetFile(file)
        except _ERRORS as error:
            _refuse(file, error)

    def _regroup(self, file: Path, target: Path) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        with self._opened(file) as source, parquet.ParquetWriter(target, source.schema_arrow) as writer:
            for batch in source.iter_batches(batch_size=1 << 16):
                writer.write_table(pa.Table.from_batches([batch]))


def _refuse(file: Path, error: Exception) -> NoReturn:
    said = printable(str(error), limit=200).rstrip(".")
    refuse(f"{printable(str(file))} is no Parquet file that can be read: {said}.", ("data", "path"), None)
