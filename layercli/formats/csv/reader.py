"""The reader of csv data, which uses pyarrow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NoReturn

from layercli.data.examples import Dataset
from layercli.data.memory import MEMORY_DIVISOR
from layercli.data.new_examples import NewExamples
from layercli.data.reader_state import ReaderState
from layercli.data.tables.arrow import normalize_table
from layercli.data.tables.cache import Cache
from layercli.data.tables.open import open_new_table, open_table
from layercli.data.tables.plan import TablePlan
from layercli.data.types import raise_data_error
from layercli.formats.csv import diagnostics as csv_diagnostics
from layercli.formats.csv import new_rows
from layercli.formats.csv.config import Csv
from layercli.source.nodes import sanitize_text

_MAX_GZIP_RATIO = 1032
"""The largest ratio of the sizes of a text and its gzipped file."""
_BYTES_PER_VALUE = 12
"""Memory of a number while it is decoded, from 64 bits to float32."""
_MAX_UNCOUNTED_BYTES = 1 << 28
"""The values of a file are counted if its table could take more memory than this."""
_BLOCK_BYTES = 1 << 21
_ROW_GROUP_BYTES = 1 << 24
_MAX_PENDING_BYTES = 1 << 26
_MAX_GROUP_ROWS = 1 << 16


def read_dataset(data: Csv, memory: int | None, integers: Mapping[str | None, str]) -> Dataset:
    """Return all examples, in memory or read batch by batch; see ``open_table``.

    Raises:
        DataError: a file cannot be read, or a column is missing or not numeric.
    """
    return open_table(data, _CsvFiles(data), memory, integers)


def read_new_dataset(
    data: Csv, paths: Sequence[str], reader_state: ReaderState, memory: int | None, *, has_targets: bool
) -> Dataset:
    """Return all examples of other files than in training; see ``Reader`` and ``open_new_table``.

    Raises:
        DataError: a file cannot be read, or a column is missing or has other values than in training.
    """
    assert reader_state.table_plan is not None
    located = data.with_arguments(path=list(paths))
    return open_new_table(located, _CsvFiles, reader_state.table_plan, memory, has_targets=has_targets)


def iterate_new_rows(
    data: Csv, streams: Sequence[IO[bytes]], plan: TablePlan, keep: Sequence[str]
) -> Iterator[NewExamples]:
    """Yield the rows of streams of CSV or JSON Lines as they arrive; see ``new_rows``."""
    return new_rows.iterate_new_rows(data, streams, plan, keep, _CsvFiles)


@dataclass(frozen=True, slots=True)
class _CsvFiles:
    """The files of a section of type csv."""

    data: Csv

    def bytes_in_memory(self, file: Path, columns: set[str], limit: int) -> int:  # noqa: ARG002 - all are parsed
        """Return an upper estimate of the bytes that its table takes; above ``limit`` a lower bound."""
        size = file.stat().st_size
        most = _BYTES_PER_VALUE * size * (_MAX_GZIP_RATIO if file.suffix == ".gz" else 1)
        if most <= min(limit // MEMORY_DIVISOR, _MAX_UNCOUNTED_BYTES):
            return most
        return size if size > limit else self._count_table_bytes(file, limit)

    def _count_table_bytes(self, file: Path, limit: int) -> int:
        separator, total = self.data.separator.encode(), 0
        try:
            with csv_diagnostics.open_bytes(file) as stream:
                while total <= limit and (block := stream.read(_BLOCK_BYTES)):
                    values = block.count(separator) + block.count(b"\n") + block.count(b"\r")
                    total += len(block) + _BYTES_PER_VALUE * values
        except (OSError, EOFError, csv_diagnostics.DecompressionError) as error:
            self._raise_unreadable(file, error)
        return total

    def column_names(self, file: Path) -> list[str]:
        """Return the names of its columns."""
        return [name.strip() for name in self._read_header(file)]

    def read_table(self, file: Path, columns: set[str]) -> Any:
        """Return all rows of these columns."""
        import pyarrow as pa
        from pyarrow import csv

        raw_names, options = self._read_options(file)
        options["convert_options"].include_columns = [name for name in raw_names if name.strip() in columns]
        try:
            with open_arrow_stream(file) as stream:
                table = csv.read_csv(stream, **options)
        except (pa.ArrowInvalid, pa.ArrowKeyError, OSError, UnicodeDecodeError) as error:
            self._raise_unreadable(file, error)
        return normalize_table(table, self.data)

    def to_parquet(self, file: Path, columns: set[str]) -> tuple[Path, bool]:  # noqa: ARG002 - all are converted
        """Return the table as a Parquet file in the cache, and that its texts are trimmed."""
        data = self.data
        options = [data.columns, data.separator, data.missing.values, sorted(data.types.items())]
        return Cache.default().get_file(
            file, "csv", options, lambda target: self._convert_to_parquet(file, target)
        ), True

    def locate_value(self, file: Path, column: str, row: int) -> str | None:
        """Return the location of a row; for -1 that of the column's first value that is not a number, or None."""
        if row < 0:
            description = csv_diagnostics.find_non_number(file, self.data, column)
            return description and f"{sanitize_text(str(file))}, {description}"
        return f"{sanitize_text(str(file))}, line {csv_diagnostics.find_line(file, self.data, row)}"

    def _read_header(self, file: Path) -> list[str]:
        try:
            names = csv_diagnostics.read_header_names(file, self.data)
        except (OSError, EOFError, csv_diagnostics.DecompressionError) as error:
            raise_data_error(
                f"{sanitize_text(str(file))} cannot be read: {sanitize_text(str(error), limit=200)}.",
                ("data", "path"),
                None,
            )
        if not names:
            raise_data_error(
                f"{sanitize_text(str(file))} cannot be read: it is empty.", ("data", "path"), None
            )
        return names

    def _read_options(
        self, file: Path, *, types: dict[str, Any] | None = None
    ) -> tuple[list[str], dict[str, Any]]:
        """Return the untrimmed names of the columns, and the options with which pyarrow reads the file."""
        import pyarrow as pa
        from pyarrow import csv

        data = self.data
        arrow = {"text": pa.string(), "number": pa.float64()}
        column_types = types or {name: arrow[kind] for name, kind in data.types.items()}
        raw_names = self._read_header(file)
        paddings = (("", ""), (" ", ""), ("", " "), (" ", " "))
        return raw_names, {
            "read_options": csv.ReadOptions(column_names=data.columns, block_size=_BLOCK_BYTES),
            "parse_options": csv.ParseOptions(delimiter=data.separator, newlines_in_values=True),
            "convert_options": csv.ConvertOptions(
                column_types={
                    name: column_types[name.strip()] for name in raw_names if name.strip() in column_types
                },
                null_values=["", *(f"{a}{value}{b}" for value in data.missing.values for a, b in paddings)],
                strings_can_be_null=True,
            ),
        }

    def _convert_to_parquet(self, file: Path, target: Path) -> None:
        """Write the table as Parquet, one block of rows at a time."""
        import pyarrow as pa

        try:
            try:
                self._write_row_groups(file, target, None)
            except pa.ArrowInvalid:  # a later value has a different type than the first block
                self._write_row_groups(file, target, self._infer_types(file))
        except (pa.ArrowInvalid, pa.ArrowKeyError, OSError, UnicodeDecodeError) as error:
            self._raise_unreadable(file, error)

    def _write_row_groups(self, file: Path, target: Path, types: dict[str, Any] | None) -> None:
        import pyarrow as pa
        from pyarrow import csv, parquet

        _, options = self._read_options(file, types=types)
        with open_arrow_stream(file) as stream, csv.open_csv(stream, **options) as reader:
            writer, pending, rows = None, [], 0
            try:
                for batch in reader:
                    table = _cast_to_float32(normalize_table(pa.Table.from_batches([batch]), self.data))
                    if writer is None:
                        writer = parquet.ParquetWriter(
                            target,
                            table.schema,
                            compression="lz4",
                            use_dictionary=False,
                            write_statistics=False,
                        )
                        group_size = compute_group_rows(table)
                    pending.append(table)
                    rows += len(table)
                    while rows >= group_size:
                        merged = pa.concat_tables(pending)
                        writer.write_table(merged[:group_size], row_group_size=group_size)
                        pending, rows = [merged[group_size:]], rows - group_size
                    if sum(each.nbytes for each in pending) > _MAX_PENDING_BYTES:
                        # Later rows have longer texts than the first ones, which determine the size of a group.
                        writer.write_table(pa.concat_tables(pending), row_group_size=group_size)
                        pending, rows = [], 0
                if writer is None:
                    empty = _cast_to_float32(normalize_table(reader.schema.empty_table(), self.data))
                    writer = parquet.ParquetWriter(target, empty.schema)
                elif rows:
                    writer.write_table(pa.concat_tables(pending), row_group_size=group_size)
            finally:
                if writer is not None:
                    writer.close()

    def _infer_types(self, file: Path) -> dict[str, Any]:
        """Return the type of each column, inferred from all of its values."""
        import pyarrow as pa
        from pyarrow import csv

        text_types = {name.strip(): pa.string() for name in self._read_header(file)}
        inferred: dict[str, Any] = {}
        untyped = self.data.with_arguments(types={})
        _, options = self._read_options(file, types=text_types)
        with open_arrow_stream(file) as stream, csv.open_csv(stream, **options) as reader:
            for batch in reader:
                table = normalize_table(pa.Table.from_batches([batch]), untyped)
                for name in table.column_names:
                    declared = self.data.types.get(name)
                    inferred[name] = (
                        {"text": pa.string(), "number": pa.float64()}[declared]
                        if declared
                        else _widen_type(inferred.get(name), table.column(name))
                    )
        return {name: kind or pa.null() for name, kind in inferred.items()}

    def _raise_unreadable(self, file: Path, error: Exception) -> NoReturn:
        """Raise the error of a file with the location of the defect.

        Raises:
            DataError: always.
        """
        shown_file = sanitize_text(str(file))
        reason = sanitize_text(str(error), limit=300)
        if (
            "Expected" in reason
            and (location := csv_diagnostics.find_ragged_line(file, self.data)) is not None
        ):
            raise_data_error(
                f"{shown_file} cannot be read: {location}.",
                ("data", "path"),
                "Each line must have one value for each column; quote a value that contains the separator.",
            )
        for name, kind in self.data.types.items():
            location = csv_diagnostics.find_non_number(file, self.data, name) if kind == "number" else None
            if location is not None:
                column = sanitize_text(name, limit=60)
                raise_data_error(
                    f"{shown_file} cannot be read: {location} in the column `{column}`, which is not a number.",
                    ("data", "types", name),
                    "Correct it, or list it under `missing: {values: [...]}`.",
                )
        for prefix in ("CSV parse error: ", "CSV conversion error: "):
            reason = reason.replace(prefix, "")
        raise_data_error(
            f"{shown_file} cannot be read: {reason.rstrip('.')}.",
            ("data", "path"),
            "Each line must have one value for each column, and the file must be UTF-8.",
        )


def open_arrow_stream(file: Path) -> Any:
    """Open a file, plain or gzipped; pyarrow itself would decompress other formats, too."""
    import pyarrow as pa

    return pa.input_stream(str(file), compression="gzip" if file.suffix == ".gz" else None)


def compute_group_rows(table: Any) -> int:
    """Return the number of rows in a row group of the cache, so that it takes a few MiB."""
    width = max(1, table.nbytes // max(1, len(table)))
    return int(min(_MAX_GROUP_ROWS, max(1024, _ROW_GROUP_BYTES // width)))


def _cast_to_float32(table: Any) -> Any:
    """Return the table with float64 columns as float32, the precision of training."""
    import pyarrow as pa

    columns = [
        column.cast(pa.float32()) if pa.types.is_float64(column.type) else column for column in table.columns
    ]
    return pa.Table.from_arrays(columns, names=table.column_names)


def _widen_type(current: Any, column: Any) -> Any:
    """Return the type of ``current`` and of a column of texts together; None if all values are missing."""
    import pyarrow as pa

    if column.null_count == len(column):
        return current
    candidates = [pa.int64(), pa.float64(), pa.bool_()] if current is None else [current, pa.float64()]
    for kind in candidates[: 1 if current == pa.bool_() else None]:
        try:
            column.cast(kind)
        except pa.ArrowInvalid:
            continue
        return kind
    return pa.string()
