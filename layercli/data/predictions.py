"""Write predictions to CSV, Parquet, JSON Lines or npz files, chunk by chunk."""

from __future__ import annotations

import csv
import json
import math
import zipfile
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, Final, TypeAlias

import numpy as np

from layercli.data.types import Array

ColumnChunk: TypeAlias = Mapping[str, Array]
"""Some rows: column name -> array of shape (rows, ...)."""
MAX_CSV_COLUMNS: Final = 10_000
"""Maximum number of CSV columns for an output with several numbers."""
_FORMULA_PREFIXES = ("=", "+", "-", "@", "\t", "\r")


def escape_formula(value: Any) -> Any:
    """Return a CSV cell value; quote a text that a spreadsheet would run as a formula."""
    if not isinstance(value, str) or not value.startswith(_FORMULA_PREFIXES):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value


def _write_csv(path: Path, chunks: Iterable[ColumnChunk]) -> int:
    rows = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        for chunk in chunks:
            flat = _flatten_columns(chunk)
            if not rows:
                writer.writerow([escape_formula(name) for name in flat])
            cells = [_format_cells(column) for column in flat.values()]
            writer.writerows(zip(*cells, strict=True))
            rows += len(cells[0])
    return rows


def _write_json_lines(path: Path, chunks: Iterable[ColumnChunk]) -> int:
    rows = 0
    with path.open("w", encoding="utf-8") as file:
        for chunk in chunks:
            names, lists = list(chunk), [_replace_nonfinite(column.tolist()) for column in chunk.values()]
            for values in zip(*lists, strict=True):
                row = dict(zip(names, values, strict=True))
                file.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")
                rows += 1
    return rows


def _write_parquet(path: Path, chunks: Iterable[ColumnChunk]) -> int:
    import pyarrow as pa
    from pyarrow import parquet

    rows, writer = 0, None
    try:
        for chunk in chunks:
            arrays = {
                name: pa.array(column.tolist() if column.ndim > 1 or column.dtype.kind == "O" else column)
                for name, column in chunk.items()
            }
            table = pa.table(arrays)
            writer = writer or parquet.ParquetWriter(path, table.schema)
            writer.write_table(table.cast(writer.schema))
            rows += len(table)
    finally:
        if writer is not None:
            writer.close()
    return rows


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
    return next(iter(arrays.values())).rows


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
        column = np.ascontiguousarray(column.astype(str) if column.dtype.kind == "O" else column)
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
    ".csv": _write_csv,
    ".parquet": _write_parquet,
    ".pq": _write_parquet,
    ".jsonl": _write_json_lines,
    ".ndjson": _write_json_lines,
    ".npz": _write_npz,
}
"""File suffix -> function that writes the file and returns the number of rows."""


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
        return [repr(value) if value.is_integer() else f"{value:.7g}" for value in column.tolist()]
    return [escape_formula(value) for value in column.tolist()]


def _replace_nonfinite(value: Any) -> Any:
    """Return the values with None in place of NaN and infinity, which JSON does not support."""
    if isinstance(value, list):
        return [_replace_nonfinite(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
