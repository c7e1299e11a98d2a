"""The reader of parquet data, which uses pyarrow."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar

from layercli.config.data.tables import TableConfig
from layercli.data.cache import Cache
from layercli.data.memory import raise_too_large
from layercli.data.new_examples import NewExamples
from layercli.data.paths import expand_paths
from layercli.data.tables.arrow import find_storage_type, is_bytes_type, list_values, normalize_table
from layercli.data.tables.columns import check_trained_columns
from layercli.data.tables.files import TableFiles, check_column_count, list_repeated_names
from layercli.data.tables.flat_columns import list_flat_fields, read_flat_columns
from layercli.data.tables.new_rows import iterate_row_groups
from layercli.data.tables.open import declare_trained_columns
from layercli.data.tables.parquet_sizes import GroupSize, measure_groups
from layercli.data.tables.plan import TablePlan
from layercli.data.tables.row_groups import RowGroups
from layercli.data.types import raise_data_error
from layercli.formats.parquet.config import Parquet
from layercli.formats.table_reader import TableFileReader
from layercli.source.nodes import sanitize_text

T = TypeVar("T", bound=TableConfig)

_MAX_GROUP_BYTES = 1 << 28
"""A larger row group is divided before it is streamed."""
_BATCH_BYTES = 1 << 26
_MAX_BATCH_ROWS = 1 << 16
_LOCATED_ROWS = 16
_MAX_EXPANDED_BYTES = 1 << 30
_MAX_EXPANSION = 1000
"""The limit of a table in bytes, and as a multiple of its file; a table above both is refused."""
_PYARROW_ERRORS = (OSError, ValueError, NotImplementedError)
"""The base classes of pyarrow's errors."""


def iterate_new_rows(
    data: Parquet, paths: Sequence[str], plan: TablePlan, keep: Sequence[str]
) -> Iterator[NewExamples]:
    """Yield the rows of files without targets, some at a time; see ``iterate_file_rows``."""
    return iterate_file_rows(data, ParquetFiles, paths, plan, keep)


def iterate_file_rows(
    data: T, make_files: Callable[[T], TableFiles], paths: Sequence[str], plan: TablePlan, keep: Sequence[str]
) -> Iterator[NewExamples]:
    """Yield the rows of files that can be Parquet files, without targets, some at a time.

    Raises:
        DataError: a file cannot be read, or columns are missing.
    """
    plan = plan.without_target()
    data = declare_trained_columns(data, plan)
    files = make_files(data)
    opened = expand_paths(paths, ("data", "path"))
    for path in opened:
        check_trained_columns(files.column_names(path), replace(plan, kept_columns=tuple(keep)))
    columns = {*plan.columns, *keep}
    row_groups = RowGroups.open(data, [files.to_parquet(path, columns) for path in opened])
    return iterate_row_groups(row_groups, data, plan, keep)


@dataclass(frozen=True, slots=True)
class ParquetFiles:
    """The files of a section of type parquet, or of one whose files are converted to Parquet."""

    data: TableConfig

    def bytes_in_memory(self, file: Path, columns: set[str], limit: int) -> int:  # noqa: ARG002 - is always exact
        """Return the bytes that these columns take."""
        return sum(size.decoded_bytes for size in self._measure_groups(file, columns))

    def column_names(self, file: Path) -> list[str]:
        """Return the names of its columns."""
        with self._open_file(file) as source:
            check_column_count(file, source.metadata.num_columns)
            return [name.strip() for name in source.schema_arrow.names]

    def find_repeated_names(self, file: Path) -> dict[str, list[int]]:
        """Return each name that several columns have in the file, with their positions from 1."""
        return list_repeated_names(self.column_names(file))

    def list_unusable_columns(self, file: Path) -> list[str]:
        """Return the columns of lists, mappings and structs, and those of bytes that are not text, which are not used."""
        import pyarrow as pa

        with self._open_file(file) as source:
            return [
                field.name.strip()
                for field in source.schema_arrow
                if pa.types.is_nested(find_storage_type(field.type))
                or (is_bytes_type(field.type) and not self._are_texts(source, field.name))
            ]

    def _are_texts(self, source: Any, name: str) -> bool:
        """Return whether the bytes of a column are UTF-8, as some writers store texts."""
        import pyarrow as pa

        try:
            for batch in source.iter_batches(_MAX_BATCH_ROWS, columns=[name], use_threads=False):
                column = batch.column(0)
                (column.storage if isinstance(column, pa.ExtensionArray) else column).cast(pa.string())
        except _PYARROW_ERRORS:
            return False
        return True

    def read_table(self, file: Path, columns: set[str]) -> Any:
        """Return all rows of these columns."""
        with self._open_file(file) as source:
            try:
                return normalize_table(read_flat_columns(source, columns), self.data)
            except _PYARROW_ERRORS as error:
                _raise_unreadable(file, error)

    def iterate_tables(self, file: Path) -> Iterator[Any]:
        """Yield the rows of all columns that can be used, some at a time; bytes that are texts as texts."""
        import pyarrow as pa

        self.column_names(file)
        unusable = set(self.list_unusable_columns(file))
        with self._open_file(file) as source:
            schema = source.schema_arrow
            names = [
                field.name
                for field in list_flat_fields(schema, {name.strip() for name in schema.names} - unusable)
            ]
            sizes = self._measure_groups(file, {name.strip() for name in names})
            check_expansion(file, sum(size.decoded_bytes for size in sizes))
            try:
                for batch in source.iter_batches(_MAX_BATCH_ROWS, columns=names, use_threads=False):
                    yield normalize_table(pa.Table.from_batches([batch]), self.data)
            except _PYARROW_ERRORS as error:
                _raise_unreadable(file, error)

    def to_parquet(self, file: Path, columns: set[str]) -> tuple[Path, bool]:
        """Return the file, or a copy of these columns with smaller row groups, and that its texts are not trimmed."""
        sizes = self._measure_groups(file, columns)
        check_expansion(file, sum(size.decoded_bytes for size in sizes))
        if max((size.decoded_bytes for size in sizes), default=0) <= _MAX_GROUP_BYTES:
            return file, False
        return Cache.default().get_file(
            file,
            "parquet",
            sorted(columns),
            lambda target: self._split_row_groups(file, target, columns),
            columns,
        ), False

    def locate_value(self, file: Path, column: str, row: int) -> str | None:
        """Return the location of a row, counted from 1; for -1 that of the column's first value, or None."""
        if row >= 0:
            return f"{sanitize_text(str(file))}, row {row + 1}"
        with self._open_file(file) as source:
            flat = list_flat_fields(source.schema_arrow, [column])
            if not flat:
                return sanitize_text(str(file))  # its values may be of any size
            # Few rows at a time: texts may be long.
            for batch in source.iter_batches(_LOCATED_ROWS, columns=[flat[0].name], use_threads=False):
                for value in list_values(batch.column(0).drop_null()[:1]):
                    shown = sanitize_text(str(value), limit=40)
                    return f'{sanitize_text(str(file))}, which has "{shown}"'
        return None

    def _measure_groups(self, file: Path, columns: set[str]) -> tuple[GroupSize, ...]:
        try:
            return measure_groups(file, columns)
        except _PYARROW_ERRORS as error:
            _raise_unreadable(file, error)

    def _open_file(self, file: Path) -> Any:
        from pyarrow import parquet

        try:
            # A buffer would keep the bytes of the last row group.
            return parquet.ParquetFile(file, pre_buffer=False, page_checksum_verification=True)
        except _PYARROW_ERRORS as error:
            _raise_unreadable(file, error)

    def _split_row_groups(self, file: Path, target: Path, columns: set[str]) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        largest = max(size.max_row_bytes for size in self._measure_groups(file, columns))
        batch_rows = max(1, min(_MAX_BATCH_ROWS, _BATCH_BYTES // largest))
        with self._open_file(file) as source:
            names = [field.name for field in list_flat_fields(source.schema_arrow, columns)]
            schema = pa.schema([source.schema_arrow.field(name) for name in names])
            with parquet.ParquetWriter(target, schema) as writer:
                pending, pending_bytes = [], 0
                for batch in source.iter_batches(batch_rows, columns=names, use_threads=False):
                    pending.append(batch)
                    pending_bytes += batch.nbytes
                    if pending_bytes > _BATCH_BYTES:
                        writer.write_table(pa.Table.from_batches(pending, schema).combine_chunks())
                        pending, pending_bytes = [], 0
                if pending:
                    writer.write_table(pa.Table.from_batches(pending, schema).combine_chunks())


def check_expansion(file: Path, decoded_bytes: int) -> None:
    """Check that the file is not made to fill memory or to take forever.

    Raises:
        DataError: its table is large and many times larger than the file.
    """
    available = max(_MAX_EXPANDED_BYTES, _MAX_EXPANSION * file.stat().st_size)
    if decoded_bytes > available:
        raise_too_large(
            f"The table in {sanitize_text(str(file))}",
            decoded_bytes,
            available,
            ("data", "path"),
            "The file repeats the same values again and again; use fewer rows, or fewer columns with `inputs`.",
        )


def _raise_unreadable(file: Path, error: Exception) -> NoReturn:
    reason = sanitize_text(str(error), limit=200).rstrip(".")
    raise_data_error(
        f"Cannot read the Parquet file {sanitize_text(str(file))}: {reason}.", ("data", "path"), None
    )


_reader: Final = TableFileReader(ParquetFiles)
make_files, read_dataset, read_new_dataset, locate_row = (
    _reader.make_files,
    _reader.read_dataset,
    _reader.read_new_dataset,
    _reader.locate_row,
)
