"""Tables of text, read by pyarrow."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from layercli.config.files import Csv
from layercli.data.arrays import Array, Examples, RefusedDataError
from layercli.data.places import all_files
from layercli.graph.findings import Finding
from layercli.layers.suggestions import did_you_mean
from layercli.source.nodes import KeyPath, printable

_MOST_LABELS = 1000


def read(data: Csv, memory: int | None) -> Examples:
    """All examples: numbers as float32 of shape (samples, columns), a column of text as objects of shape (samples, 1).

    A missing number is NaN, a missing text is empty.

    Raises:
        RefusedDataError: a file cannot be read, or a column is not there or not of numbers.
    """
    files = all_files(data.path, ("data", "path"))
    size = sum(file.stat().st_size for file in files)
    if memory is not None and size > memory // 2:
        _refuse(f"The files have {size:,} bytes; this machine has {memory:,} of memory.", ("data", "path"),
                "Use a part of them, or a machine with more memory.")  # fmt: skip
    table = _concatenated([_table(file, data) for file in files], files)
    names = table.column_names
    if data.target not in names:
        _refuse(
            f'There is no column "{printable(data.target, limit=60)}".',
            ("data", "target"),
            _closest(data.target, names),
        )
    y, class_names = _target(table.column(data.target), data)
    if data.inputs is None:
        others = [name for name in names if name != data.target]
        return Examples(_numbers(table, others, ("data",)), y, class_names)
    for name, columns in data.inputs.items():
        for column in columns:
            if column not in names:
                message = f'There is no column "{printable(column, limit=60)}".'
                _refuse(message, ("data", "inputs", name), _closest(column, names))
    return Examples(
        {name: _input(table, columns, name) for name, columns in data.inputs.items()}, y, class_names
    )


def _table(file: Path, data: Csv) -> Any:
    import pyarrow as pa
    from pyarrow import compute, csv

    options = {
        "read_options": csv.ReadOptions(column_names=data.columns),
        "parse_options": csv.ParseOptions(delimiter=data.separator),
        "convert_options": csv.ConvertOptions(
            null_values=["", *data.missing.values, *(f" {value}" for value in data.missing.values)],
            strings_can_be_null=True,
        ),
    }
    try:
        table = csv.read_csv(file, **options)
    except (pa.ArrowInvalid, pa.ArrowKeyError, OSError, UnicodeDecodeError) as error:
        said = printable(
            str(error).replace("CSV parse error: ", "").replace("CSV conversion error to", "no"), limit=300
        )
        _refuse(f"{printable(str(file))} cannot be read: {said.rstrip('.')}.", ("data", "path"),
                "Each line needs as many values as there are columns, and a column values of one type.")  # fmt: skip
    if len(set(table.column_names)) < len(table.column_names):
        _refuse(f"{printable(str(file))} has two columns of the same name.", ("data", "path"),
                "Rename one, or give names by `columns`.")  # fmt: skip
    for index, column in enumerate(table.columns):
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            table = table.set_column(
                index, table.column_names[index].strip(), compute.utf8_trim_whitespace(column)
            )
    return table.rename_columns([name.strip() for name in table.column_names])


def _concatenated(tables: list[Any], files: list[Path]) -> Any:
    import pyarrow as pa

    for table, file in zip(tables, files, strict=True):
        if table.column_names != tables[0].column_names:
            message = f"{printable(str(file))} has other columns than {printable(str(files[0]))}."
            _refuse(message, ("data", "path"), "Files that are read together have the same columns.")
    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowTypeError as error:
        said = printable(str(error), limit=200).rstrip(".")
        _refuse(
            f"The files do not fit together: {said}.", ("data", "path"), "A column has values of one type."
        )


def _target(column: Any, data: Csv) -> tuple[Array, tuple[str, ...] | None]:
    """Labels from 0 with their names, or numbers of shape (samples,)."""
    import pyarrow as pa

    missing = np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))
    if len(missing):
        _refuse(f"The target `{data.target}` is missing in row {missing[0] + 1}, and in {len(missing)} rows in all.",
                ("data", "target"), "Remove those rows: nothing can be learned from them.")  # fmt: skip
    kind = column.type
    if data.target_type == "labels" or not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        texts = np.asarray([str(value) for value in column.to_pylist()], dtype=object)
        names, labels = np.unique(texts, return_inverse=True)
        if data.target_type == "numbers" or len(names) > _MOST_LABELS:
            _refuse(f"The target `{data.target}` has {len(names)} different texts.", ("data", "target"),
                    f"Labels are of at most {_MOST_LABELS} classes; numbers are written as such.")  # fmt: skip
        return labels.astype(np.int32), tuple(map(str, names))
    values = column.to_numpy()
    found = np.unique(values[:1_000_000])
    without_gaps = (
        pa.types.is_integer(kind) and len(found) <= _MOST_LABELS and (found == np.arange(len(found))).all()
    )
    if data.target_type is None and without_gaps:
        return values.astype(np.int32), None
    return values.astype(np.float32), None


def _input(table: Any, columns: list[str], name: str) -> Array:
    import pyarrow as pa

    first = table.column(columns[0])
    if len(columns) == 1 and (pa.types.is_string(first.type) or pa.types.is_large_string(first.type)):
        texts = np.asarray(["" if value is None else value for value in first.to_pylist()], dtype=object)
        return texts.reshape(-1, 1)
    return _numbers(table, columns, ("data", "inputs", name))


def _numbers(table: Any, columns: list[str], key: KeyPath) -> Array:
    import pyarrow as pa

    arrays = []
    for name in columns:
        column = table.column(name)
        kind = column.type
        if not (
            pa.types.is_integer(kind)
            or pa.types.is_floating(kind)
            or pa.types.is_boolean(kind)
            or pa.types.is_null(kind)
        ):
            example = printable(
                str(next((value for value in column.to_pylist() if value is not None), "")), limit=40
            )
            hint = f"Give it an input of its own, as in `inputs: {{{name}: {name}}}`, whose first layer is StringLookup."
            _refuse(f"The column `{printable(name, limit=60)}` is text, such as \"{example}\"; an input of several "
                    "columns is of numbers.", key, hint)  # fmt: skip
        arrays.append(column.cast(pa.float64()).to_numpy())
    if not arrays:
        _refuse("There is no column but the target.", key, None)
    return np.stack(arrays, axis=1).astype(np.float32)


def _closest(name: str, names: list[str]) -> str:
    return did_you_mean(
        name, names, otherwise=f"There are {', '.join(printable(n, limit=40) for n in names[:12])}."
    )


def _refuse(message: str, path: KeyPath, hint: str | None) -> NoReturn:
    raise RefusedDataError(Finding(code="unreadable-data", message=message, path=path, hint=hint))
