"""Write predictions to CSV, Parquet, JSON Lines or npz files, chunk by chunk."""

from __future__ import annotations

import csv
import json
import math
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, Final, TypeAlias

import numpy as np

from layercli.data.new_examples import JsonText
from layercli.data.types import Array
from layercli.io.csv_cells import escape_formula

ColumnChunk: TypeAlias = Mapping[str, Array]
"""Some rows: column name -> array of shape (rows, ...); a value that is absent is masked, or None."""
MAX_CSV_COLUMNS: Final = 10_000
"""Maximum number of CSV columns for an output with several numbers."""
_GROUP_ROWS: Final = 4096
"""Rows of a row group of a Parquet file."""
_GROUP_BYTES: Final = 1 << 26


def expand_steps(chunk: ColumnChunk, steps: int, horizon: int) -> ColumnChunk:
    """Return a chunk with a row for each predicted step, and in ``step`` the number of rows since the last known one.

    Columns of shape (rows, steps, ...) become columns of shape (rows * steps, ...); the others are repeated. A chunk without
    such columns is unchanged.
    """
    rows = len(next(iter(chunk.values())))
    by_step = [name for name, column in chunk.items() if column.ndim > 1 and column.shape[1] == steps]
    expanded: dict[str, Array] = {}
    for name, column in chunk.items():
        if by_step and name == by_step[0]:
            expanded["step"] = np.tile(np.arange(horizon, horizon + steps), rows)
        expanded[name] = (
            column.reshape(rows * steps, *column.shape[2:])
            if name in by_step
            else column.repeat(steps, axis=0)
        )
    return expanded if by_step else chunk


def write_csv(file: IO[str], chunks: Iterable[ColumnChunk]) -> int:
    """Write rows of CSV with a header, each chunk when it comes; return the number of rows."""
    rows, writer = 0, csv.writer(file, lineterminator="\n")
    for number, chunk in enumerate(chunks):
        flat = _flatten_columns(chunk)
        if not number:
            writer.writerow([escape_formula(name) for name in flat])
        cells = [_format_cells(column) for column in flat.values()]
        writer.writerows(zip(*cells, strict=True))
        file.flush()
        rows += len(cells[0])
    return rows


def write_json_rows(file: IO[str], chunks: Iterable[ColumnChunk]) -> int:
    """Write a JSON object for each row, each chunk when it comes; return the number of rows."""
    rows = 0
    for chunk in chunks:
        for row in iterate_json_rows(chunk):
            file.write(json.dumps(row, ensure_ascii=False, allow_nan=False, default=str) + "\n")
            rows += 1
        file.flush()
    return rows


def iterate_json_rows(chunk: ColumnChunk) -> Iterator[dict[str, Any]]:
    """Yield each row as its values by column; a value that JSON does not have, such as NaN, is None."""
    names, lists = list(chunk), [_to_json_value(column.tolist()) for column in chunk.values()]
    for values in zip(*lists, strict=True):
        yield dict(zip(names, values, strict=True))


def _write_csv_file(path: Path, chunks: Iterable[ColumnChunk]) -> int:
    with path.open("w", encoding="utf-8", newline="") as file:
        return write_csv(file, chunks)


def _write_json_lines_file(path: Path, chunks: Iterable[ColumnChunk]) -> int:
    with path.open("w", encoding="utf-8") as file:
        return write_json_rows(file, chunks)


def _write_parquet(path: Path, chunks: Iterable[ColumnChunk]) -> int:
    import pyarrow as pa
    from pyarrow import parquet

    rows, writer = 0, None
    pending: list[Any] = []
    try:
        for chunk in chunks:
            table = pa.table({name: _to_arrow(column) for name, column in chunk.items()})
            writer = writer or parquet.ParquetWriter(path, table.schema)
            pending.append(table.cast(writer.schema))
            rows += len(table)
            if sum(map(len, pending)) >= _GROUP_ROWS or sum(each.nbytes for each in pending) >= _GROUP_BYTES:
                writer.write_table(pa.concat_tables(pending))
                pending = []
        if writer is not None and pending:
            writer.write_table(pa.concat_tables(pending))
    finally:
        if writer is not None:
            writer.close()
    return rows


def _to_arrow(column: Array) -> Any:
    """Return a column as an Arrow array, whose type depends only on the dtype."""
    import pyarrow as pa

    if column.dtype.kind == "O":
        array = pa.array(column.tolist())
        return array.cast(pa.string()) if pa.types.is_null(array.type) else array
    if column.ndim == 1:
        return pa.array(np.ma.getdata(column), mask=np.ma.getmaskarray(column))
    kind = pa.from_numpy_dtype(column.dtype)
    for _ in column.shape[1:]:
        kind = pa.list_(kind)
    return pa.array(column.tolist(), kind)


def _write_npz(path: Path, chunks: Iterable[ColumnChunk]) -> int:
    """Write an npz file.

    The header of an npy file contains the length, so each array is first collected in a temporary file next to ``path``.
    """
    with ExitStack() as stack:
        arrays: dict[str, _SpooledArray] = {}
        for chunk in chunks:
            for name, column in chunk.items():
                if name not in arrays:
                    arrays[name] = _SpooledArray(stack.enter_context(TemporaryFile(dir=path.parent)))
                arrays[name].add(column)
        with zipfile.ZipFile(path, "w", allowZip64=True) as archive:
            for name, array in arrays.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    array.write(member)
    return next((array.rows for array in arrays.values()), 0)


class _SpooledArray:
    """The values of one array, collected in a file piece by piece; text gets the width of the longest value."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._pieces: list[tuple[np.dtype[Any], int]] = []
        self._shape: tuple[int, ...] = ()

    @property
    def rows(self) -> int:
        return sum(rows for _, rows in self._pieces)

    def add(self, column: Array) -> None:
        """Append rows of shape (rows, ...)."""
        column = np.ascontiguousarray(_fill_absent(column))
        self._file.write(column.tobytes())
        self._pieces.append((column.dtype, len(column)))
        self._shape = column.shape[1:]

    def write(self, target: IO[bytes]) -> None:
        """Write all rows in npy format."""
        dtype = np.result_type(*(dtype for dtype, _ in self._pieces))
        shape = (self.rows, *self._shape)
        header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(target, header)
        self._file.seek(0)
        for piece, rows in self._pieces:
            data = self._file.read(rows * math.prod(self._shape) * piece.itemsize)
            target.write(np.frombuffer(data, piece).astype(dtype).tobytes())


PREDICTION_WRITERS: Final = {
    ".csv": _write_csv_file,
    ".parquet": _write_parquet,
    ".pq": _write_parquet,
    ".jsonl": _write_json_lines_file,
    ".ndjson": _write_json_lines_file,
    ".npz": _write_npz,
}
"""File suffix -> function that writes the file and returns the number of rows."""
STREAM_WRITERS: Final = {"csv": write_csv, "jsonl": write_json_rows}
"""Format -> function that writes rows to an open stream as they come, and returns their number."""


def _fill_absent(column: Array) -> Array:
    """Return a column with NaN, -1 or an empty text in place of values that are absent."""
    if column.dtype.kind == "O":
        return np.array(["" if value is None else str(value) for value in column.tolist()], dtype=str)
    if isinstance(column, np.ma.MaskedArray):
        return column.filled(np.nan if column.dtype.kind == "f" else -1)
    return column


def _flatten_columns(chunk: ColumnChunk) -> dict[str, Array]:
    """Return columns with one value per row; split an output with several numbers into indexed columns."""
    flat: dict[str, Array] = {}
    for name, column in chunk.items():
        if column.ndim == 1:
            flat[name] = column
            continue
        values = column.reshape(len(column), -1)
        if values.shape[1] > MAX_CSV_COLUMNS:
            raise ValueError(
                f"{name} has {values.shape[1]:,} numbers for each example, too many for a CSV file"
            )
        indices = np.ndindex(column.shape[1:])
        flat |= {
            f"{name}_{'_'.join(map(str, index))}": values[:, column] for column, index in enumerate(indices)
        }
    return flat


def _format_cells(column: Array) -> list[Any]:
    if column.dtype.kind == "f":
        return [
            value if value is None else repr(value) if value.is_integer() else f"{value:.7g}"
            for value in column.tolist()
        ]
    return [escape_formula(value) for value in column.tolist()]


def _to_json_value(value: Any) -> Any:
    """Return the values as JSON has them, with None in place of NaN and infinity, which it does not support."""
    if isinstance(value, list):
        return [_to_json_value(item) for item in value]
    if isinstance(value, JsonText):
        value = value.value
    return None if isinstance(value, float) and not np.isfinite(value) else value
