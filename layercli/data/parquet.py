"""Tables in Parquet files, read by pyarrow."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from layercli.config.tables import Parquet
from layercli.data.arrays import Examples
from layercli.data.tables import read_tables, refuse
from layercli.source.nodes import printable


def read(data: Parquet, memory: int | None) -> Examples:
    """All examples, as ``read_tables`` gives them; only the columns that are used are read.

    Raises:
        RefusedDataError: a file cannot be read, or a column is not there or not of numbers.
    """
    return read_tables(data, memory, partial(_table, data=data, memory=memory), inflation=1)


def _table(file: Path, *, data: Parquet, memory: int | None) -> Any:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(file) as source:
            metadata = source.metadata
            declared = sum(metadata.row_group(n).total_byte_size for n in range(metadata.num_row_groups))
            if memory is not None and declared > memory // 2:
                message = (
                    f"{printable(str(file))} holds {declared:,} bytes; this machine has {memory:,} of memory."
                )
                refuse(message, ("data", "path"), "Use a part of it, or a machine with more memory.")
            return source.read(columns=_wanted(source.schema_arrow.names, data))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        said = printable(str(error), limit=200).rstrip(".")
        refuse(f"{printable(str(file))} is no Parquet file that can be read: {said}.", ("data", "path"), None)


def _wanted(names: list[str], data: Parquet) -> list[str]:
    if data.inputs is None:
        return names
    used = {data.target}.union(*data.inputs.values())
    return [name for name in names if name in used]
