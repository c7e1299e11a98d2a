"""The reader of feather data: its files are converted to Parquet once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from layercli.data.memory import describe_excess
from layercli.data.new_examples import NewExamples
from layercli.data.tables.arrow_check import ColumnCheck
from layercli.data.tables.dates import remove_far_dates
from layercli.data.tables.files import check_column_count
from layercli.data.tables.plan import TablePlan
from layercli.data.types import PATH_KEY, Array, raise_data_error
from layercli.formats.csv.source import refuse_other_formats
from layercli.formats.feather.config import Feather
from layercli.formats.feather.sizes import measure_batches
from layercli.formats.parquet.converted import ConvertedFiles
from layercli.formats.parquet.reader import check_expansion, iterate_file_rows
from layercli.formats.table_reader import TableFileReader
from layercli.formats.table_types import find_binary_type
from layercli.source.nodes import sanitize_text

_MAX_BATCH_BYTES: Final = 1 << 30
_ROWS_AT_ONCE: Final = 1 << 16
_BYTES_AT_ONCE: Final = 1 << 26
"""Bytes of texts that are written together."""
_MAX_PRECISION: Final = 76
"""Digits of the longest decimal numbers of Arrow."""
_ARROW_ERRORS: Final = (OSError, ValueError, NotImplementedError, LookupError)
"""The base classes of pyarrow's errors."""


def iterate_new_rows(
    data: Feather, paths: Sequence[str], plan: TablePlan, keep: Sequence[str]
) -> Iterator[NewExamples]:
    """Yield the rows of files without targets, some at a time; see ``iterate_file_rows``."""
    return iterate_file_rows(data, FeatherFiles, paths, plan, keep)


class FeatherFiles(ConvertedFiles):
    """The files of a section of type feather."""

    kind = "feather"

    def convert_file(self, file: Path, target: Path) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        with file.open("rb") as raw:
            start = raw.read(4096)
        if find_binary_type(start) is not Feather:
            refuse_other_formats(file, start)
        try:
            sizes = measure_batches(file)
            _check_batches(file, sizes)
            with pa.memory_map(str(file)) as source:
                reader = pa.ipc.open_file(source)
                check_column_count(file, len(reader.schema))
                schema = pa.schema(list(map(_simplify_field, reader.schema)))
                with parquet.ParquetWriter(target, schema, compression="lz4") as writer:
                    check, expanded = ColumnCheck(file), sum(sizes)
                    converted: dict[int, tuple[list[int | None], Any]] = {}
                    for number in range(reader.num_record_batches):
                        batch = reader.get_batch(number)
                        row_bytes = check.measure_rows(batch)
                        expanded += int(row_bytes.sum())
                        check_expansion(file, expanded + check.view_bytes)
                        batch = _convert_views(batch, converted)
                        for rows in _divide(batch, row_bytes):
                            arrays = [
                                _simplify_column(column, field.type)
                                for column, field in zip(rows.columns, schema, strict=True)
                            ]
                            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
        except _ARROW_ERRORS as error:
            reason = sanitize_text(str(error), limit=200).rstrip(".")
            raise_data_error(
                f"Cannot read the Feather file {sanitize_text(str(file))}: {reason}.",
                PATH_KEY,
                "Copy or download it again.",
            )

    def locate_value(self, file: Path, column: str, row: int) -> str | None:
        """Return the location of a row, counted from 1; for -1 the file."""
        shown = sanitize_text(str(file))
        return (
            f"{shown}, row {row + 1}" if row >= 0 else f"{shown}, column `{sanitize_text(column, limit=60)}`"
        )


def _check_batches(file: Path, sizes: Sequence[int]) -> None:
    """Check that the file is not made to fill memory.

    Raises:
        DataError: a batch or the table is large, and many times larger than the file.
    """
    check_expansion(file, sum(sizes))
    largest, limit = max(sizes, default=0), max(_MAX_BATCH_BYTES, file.stat().st_size)
    if largest > limit:
        raise_data_error(
            f"A batch of {sanitize_text(str(file))} needs {describe_excess(largest, limit)}.",
            PATH_KEY,
            "Write it in smaller batches, for example with `pyarrow.feather.write_feather(table, path)`.",
        )


def _divide(batch: Any, row_bytes: Array) -> Iterator[Any]:
    """Yield some rows of a batch at a time, whose texts take little memory."""
    ends = np.cumsum(row_bytes)
    first = 0
    while first < batch.num_rows:
        before = ends[first - 1] if first else 0
        last = int(np.searchsorted(ends, before + _BYTES_AT_ONCE, side="right"))
        count = min(max(1, last - first), _ROWS_AT_ONCE)
        yield batch.slice(first, count)
        first += count


def _simplify_field(field: Any) -> Any:
    """Return the field of a column in the Parquet file; values that Parquet lacks or that are not used become empty lists."""
    import pyarrow as pa

    kind = field.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_string_view(kind):
        kind = pa.large_string()
    if pa.types.is_fixed_size_binary(kind) and not kind.byte_width:
        kind = pa.binary()
    if pa.types.is_decimal(kind) and kind.scale < 0:
        kind = pa.decimal256(min(_MAX_PRECISION, kind.precision - kind.scale), 0)
    is_unused = any(
        check(kind) for check in (pa.types.is_nested, pa.types.is_interval, pa.types.is_run_end_encoded)
    )
    if is_unused or isinstance(kind, pa.BaseExtensionType):
        kind = pa.list_(pa.string())
    return pa.field(field.name, kind)


def _convert_views(batch: Any, converted: dict[int, tuple[list[int | None], Any]]) -> Any:
    """Return a batch whose dictionaries have texts instead of views of texts, as Polars writes categories.

    ``converted`` has the addresses of the last dictionary of each column, which batches share, and its texts.
    """
    import pyarrow as pa

    columns = list(batch.columns)
    for position, column in enumerate(columns):
        if not (pa.types.is_dictionary(column.type) and pa.types.is_string_view(column.type.value_type)):
            continue
        addresses = [each and each.address for each in column.dictionary.buffers()]
        if position not in converted or converted[position][0] != addresses:
            converted[position] = (addresses, column.dictionary.cast(pa.large_string()))
        columns[position] = pa.DictionaryArray.from_arrays(column.indices, converted[position][1])
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _simplify_column(column: Any, kind: Any) -> Any:
    import pyarrow as pa

    if pa.types.is_list(kind):
        return pa.nulls(len(column), kind)
    if pa.types.is_timestamp(column.type):  # Parquet has no seconds, and fewer milliseconds
        return remove_far_dates(column, column.type.unit)
    return column.cast(kind) if column.type != kind else column


_reader: Final = TableFileReader(FeatherFiles)
make_files, read_dataset, read_new_dataset, locate_row = (
    _reader.make_files,
    _reader.read_dataset,
    _reader.read_new_dataset,
    _reader.locate_row,
)
