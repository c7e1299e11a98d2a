"""The columns of a Parquet file that have one value for each row."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from layercli.data.tables.arrow import find_storage_type


def list_flat_fields(schema: Any, columns: Collection[str]) -> list[Any]:
    """Return the fields of these columns without lists, mappings and structs; names are compared without blanks."""
    import pyarrow as pa

    names = set(columns)
    return [
        field
        for field in schema
        if field.name.strip() in names and not pa.types.is_nested(find_storage_type(field.type))
    ]


def read_flat_columns(source: Any, columns: Collection[str], group_index: int | None = None) -> Any:
    """Return these columns of an open Parquet file, or of one of its row groups.

    Lists, mappings and structs cannot be used, and may be of any size: they are returned without their values.
    """
    import pyarrow as pa

    names = [field.name for field in list_flat_fields(source.schema_arrow, columns)]
    if group_index is not None or not source.num_row_groups:
        table = source.read_row_groups([] if group_index is None else [group_index], columns=names)
    else:  # one group after the other, so that compressed data is in memory only for one of them
        tables = []
        for index in range(source.num_row_groups):
            tables.append(source.read_row_group(index, columns=names))
            pa.default_memory_pool().release_unused()
        table = pa.concat_tables(tables)
    known, wanted = set(names), set(columns)
    for field in source.schema_arrow:
        if field.name.strip() in wanted and field.name not in known:
            table = table.append_column(field, pa.nulls(table.num_rows, field.type))
    return table
