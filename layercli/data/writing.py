"""Predictions in a file: CSV, Parquet, JSON Lines or npz, written as they come."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np

from layercli.data.arrays import Array
from layercli.data.written import safe_cell

Columns: TypeAlias = Mapping[str, Array]
"""Some rows: names of columns -> arrays of shape (rows, ...)."""
MOST_COLUMNS: Final = 10_000
"""Columns that a CSV file gets of an output of several numbers."""


def _write_csv(path: Path, chunks: Iterable[Columns]) -> int:
    rows = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        for chunk in chunks:
            flat = _flat(chunk)
            if not rows:
                writer.writerow([safe_cell(name) for name in flat])
            cells = [_cells(column) for column in flat.values()]
            writer.writerows(zip(*cells, strict=True))
            rows += len(cells[0])
    return rows


def _write_json_lines(path: Path, chunks: Iterable[Columns]) -> int:
    rows = 0
    with path.open("w", encoding="utf-8") as file:
        for chunk in chunks:
            names, lists = list(chunk), [_finite(column.tolist()) for column in chunk.values()]
            for values in zip(*lists, strict=True):
                row = dict(zip(names, values, strict=True))
                file.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")
                rows += 1
    return rows


def _write_parquet(path: Path, chunks: Iterable[Columns]) -> int:
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


def _write_npz(path: Path, chunks: Iterable[Columns]) -> int:
    """All rows are held until the end: an array says how long it is before its first value."""
    parts = list(chunks)
    together = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    plain: dict[str, Any] = {
        name: array.astype(str) if array.dtype.kind == "O" else array for name, array in together.items()
    }
    with path.open("wb") as file:
        np.savez(file, **plain)
    return sum(len(next(iter(part.values()))) for part in parts)


WRITERS: Final = {
    ".csv": _write_csv, ".parquet": _write_parquet, ".pq": _write_parquet,
    ".jsonl": _write_json_lines, ".ndjson": _write_json_lines, ".npz": _write_npz,
}  # fmt: skip
"""Suffix of a file -> what writes it and says how many rows there were."""


def _flat(chunk: Columns) -> dict[str, Array]:
    """Columns of one value a row: of an output of several numbers each with its place."""
    flat: dict[str, Array] = {}
    for name, column in chunk.items():
        if column.ndim == 1:
            flat[name] = column
            continue
        values = column.reshape(len(column), -1)
        if values.shape[1] > MOST_COLUMNS:
            raise ValueError(
                f"{name} has {values.shape[1]:,} numbers for each example, too many for a CSV file"
            )
        places = np.ndindex(column.shape[1:])
        flat |= {f"{name}_{'_'.join(map(str, place))}": values[:, at] for at, place in enumerate(places)}
    return flat


def _cells(column: Array) -> list[Any]:
    if column.dtype.kind == "f":
        return [repr(value) if value.is_integer() else f"{value:.7g}" for value in column.tolist()]
    return [safe_cell(value) for value in column.tolist()]


def _finite(value: Any) -> Any:
    """The values with null for NaN and infinity, which JSON lacks."""
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
