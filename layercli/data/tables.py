"""Columns of a table as inputs and target, whatever file the table came from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from layercli.config.tables import Table
from layercli.data.arrays import Array, Examples, RefusedDataError
from layercli.data.places import all_files
from layercli.graph.findings import Finding
from layercli.layers.suggestions import did_you_mean
from layercli.source.nodes import KeyPath, printable

_MOST_LABELS = 1000


def read_tables(
    data: Table, memory: int | None, read: Callable[[Path], Any], *, inflation: int = 2
) -> Examples:
    """All examples: numbers as float32 of shape (samples, columns), a column of text as objects of shape (samples, 1).

    A missing number is NaN, a missing text is empty. In memory a table has up to ``inflation`` times its file's size.

    Raises:
        RefusedDataError: a file cannot be read, or a column is not there or not of numbers.
    """
    files = all_files(data.path, ("data", "path"))
    size = sum(file.stat().st_size for file in files)
    if memory is not None and size > memory // inflation:
        refuse(f"The files have {size:,} bytes; this machine has {memory:,} of memory.", ("data", "path"),
               "Use a part of them, or a machine with more memory.")  # fmt: skip
    table = _concatenated([_trimmed(read(file), data) for file in files], files)
    names = table.column_names
    if data.target not in names:
        refuse(
            f'There is no column "{printable(data.target, limit=60)}".',
            ("data", "target"),
            _closest(data.target, names),
        )
    y, class_names = _target(table.column(data.target), data)
    if data.inputs is None:
        others = [name for name in names if name != data.target]
        return Examples(_numbers(table, others, ("data",)), y, class_names, {None: tuple(others)})
    for name, columns in data.inputs.items():
        for column in columns:
            if column not in names:
                message = f'There is no column "{printable(column, limit=60)}".'
                refuse(message, ("data", "inputs", name), _closest(column, names))
    x = {name: _input(table, columns, name) for name, columns in data.inputs.items()}
    return Examples(x, y, class_names, {name: tuple(columns) for name, columns in data.inputs.items()})


def _trimmed(table: Any, data: Table) -> Any:
    """The table without blanks around names and texts; texts that stand for a missing value are missing."""
    import pyarrow as pa
    from pyarrow import compute

    values = pa.array(["", *data.missing.values], pa.string())
    for index, column in enumerate(table.columns):
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if _is_text(column.type):
            text = compute.utf8_trim_whitespace(column.cast(pa.string()))
            column = compute.if_else(compute.is_in(text, values), pa.scalar(None, pa.string()), text)
        table = table.set_column(index, table.column_names[index], column)
    return table.rename_columns([name.strip() for name in table.column_names])


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _concatenated(tables: list[Any], files: list[Path]) -> Any:
    import pyarrow as pa

    for table, file in zip(tables, files, strict=True):
        if table.column_names != tables[0].column_names:
            message = f"{printable(str(file))} has other columns than {printable(str(files[0]))}."
            refuse(message, ("data", "path"), "Files that are read together have the same columns.")
    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowTypeError as error:
        said = printable(str(error), limit=200).rstrip(".")
        refuse(
            f"The files do not fit together: {said}.", ("data", "path"), "A column has values of one type."
        )


def _target(column: Any, data: Table) -> tuple[Array, tuple[str, ...] | None]:
    """Labels from 0 with their names, or numbers of shape (samples,)."""
    import pyarrow as pa

    missing = np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))
    if len(missing):
        refuse(f"The target `{data.target}` is missing in row {missing[0] + 1}, and in {len(missing)} rows in all.",
                ("data", "target"), "Remove those rows: nothing can be learned from them.")  # fmt: skip
    kind = column.type
    if data.target_type == "labels" or not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        texts = np.asarray([str(value) for value in column.to_pylist()], dtype=object)
        names, labels = np.unique(texts, return_inverse=True)
        if data.target_type == "numbers" or len(names) > _MOST_LABELS:
            refuse(f"The target `{data.target}` has {len(names)} different texts.", ("data", "target"),
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
    first = table.column(columns[0])
    if len(columns) == 1 and _is_text(first.type):
        texts = np.asarray(["" if value is None else value for value in first.to_pylist()], dtype=object)
        return texts.reshape(-1, 1)
    return _numbers(table, columns, ("data", "inputs", name))


def _numbers(table: Any, columns: list[str], key: KeyPath) -> Array:
    import pyarrow as pa

    arrays = []
    numbers = (
        pa.types.is_integer,
        pa.types.is_floating,
        pa.types.is_boolean,
        pa.types.is_null,
        pa.types.is_decimal,
    )
    for name in columns:
        column = table.column(name)
        if not any(is_number(column.type) for is_number in numbers):
            _refuse_column(column, name, key)
        arrays.append(column.cast(pa.float64()).to_numpy())
    if not arrays:
        refuse("There is no column but the target.", key, None)
    return np.stack(arrays, axis=1).astype(np.float32)


def _refuse_column(column: Any, name: str, key: KeyPath) -> NoReturn:
    first = next((value for value in column.to_pylist() if value is not None), "")
    what = "text" if _is_text(column.type) else f"of the type {column.type}"
    message = (
        f'The column `{printable(name, limit=60)}` is {what}, such as "{printable(str(first), limit=40)}"; an input of '
        "several columns is of numbers."
    )
    own = (
        f"Give it an input of its own, as in `inputs: {{{name}: {name}}}`, whose first layer is StringLookup."
    )
    refuse(message, key, own if _is_text(column.type) else "Save it as numbers, or leave it out by `inputs`.")


def _closest(name: str, names: list[str]) -> str:
    return did_you_mean(
        name, names, otherwise=f"There are {', '.join(printable(n, limit=40) for n in names[:12])}."
    )


def refuse(message: str, path: KeyPath, hint: str | None) -> NoReturn:
    """Raise that the data cannot be used; ``path`` is where the config names it."""
    raise RefusedDataError(Finding(code="unreadable-data", message=message, path=path, hint=hint))
