"""Tables of text, read by pyarrow."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from layercli.config.tables import Csv
from layercli.data.arrays import Examples
from layercli.data.tables import read_tables, refuse
from layercli.source.nodes import printable


def read(data: Csv, memory: int | None) -> Examples:
    """All examples, as ``read_tables`` gives them.

    Raises:
        RefusedDataError: a file cannot be read, or a column is not there or not of numbers.
    """
    return read_tables(data, memory, partial(_table, data=data))


def _table(file: Path, data: Csv) -> Any:
    import pyarrow as pa
    from pyarrow import csv

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
        refuse(f"{printable(str(file))} cannot be read: {said.rstrip('.')}.", ("data", "path"),
                "Each line needs as many values as there are columns, and a column values of one type.")  # fmt: skip
    if len(set(table.column_names)) < len(table.column_names):
        refuse(f"{printable(str(file))} has two columns of the same name.", ("data", "path"),
                "Rename one, or give names by `columns`.")  # fmt: skip
    return table
