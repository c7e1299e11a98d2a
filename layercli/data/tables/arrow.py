"""Arrow tables: column types and normalization."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from layercli.config.data.tables import TableConfig
from layercli.data.types import PATH_KEY, raise_data_error
from layercli.source.nodes import sanitize_text


def is_text_type(arrow_type: Any) -> bool:
    """Return whether an Arrow type is a text type."""
    import pyarrow as pa

    return bool(pa.types.is_string(arrow_type) or pa.types.is_large_string(arrow_type))


def is_bytes_type(arrow_type: Any) -> bool:
    """Return whether the values of an Arrow type are bytes, which may be texts."""
    import pyarrow as pa

    checks = (
        pa.types.is_binary,
        pa.types.is_large_binary,
        pa.types.is_fixed_size_binary,
        pa.types.is_binary_view,
    )
    return any(matches(find_storage_type(arrow_type)) for matches in checks)


def find_storage_type(arrow_type: Any) -> Any:
    """Return the type in which values are stored: that of an extension type such as UUIDs, or the type itself."""
    import pyarrow as pa

    return arrow_type.storage_type if isinstance(arrow_type, pa.BaseExtensionType) else arrow_type


def is_number_type(arrow_type: Any) -> bool:
    """Return whether the values of an Arrow type can be read as numbers."""
    import pyarrow as pa

    checks = (
        pa.types.is_integer,
        pa.types.is_floating,
        pa.types.is_boolean,
        pa.types.is_null,
        pa.types.is_decimal,
    )
    return any(matches(arrow_type) for matches in checks)


def map_column_types(schema: Any) -> dict[str, Any]:
    """Return the Arrow type of each column of a schema."""
    return {field.name: field.type for field in schema}


def merge_column_types(schemas: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the Arrow type of each column over several files.

    Raises:
        DataError: a column has numbers in one file and text in another.
    """
    types = dict(schemas[0])
    for schema in schemas[1:]:
        for name, kind in schema.items():
            merged = _merge_types(types[name], kind)
            if merged is None:
                shown = sanitize_text(name, limit=60)
                raise_data_error(
                    f"The column `{shown}` must have the same type in all files, got {types[name]} and {kind}.",
                    ("data", "path"),
                    f"Set `types: {{{name}: text}}` to read it as text in every file.",
                )
            types[name] = merged
    return types


def _merge_types(first: Any, second: Any) -> Any:
    """Return the type that holds the values of both types; None if there is none."""
    import pyarrow as pa

    if second == first or pa.types.is_null(second):
        return first
    if pa.types.is_null(first):
        return second
    if not (is_number_type(first) and is_number_type(second)):
        return None
    return second if pa.types.is_floating(second) else first


def concatenate_tables(tables: Sequence[Any]) -> Any:
    """Return the rows of all tables as one Arrow table."""
    import pyarrow as pa

    return pa.concat_tables(tables, promote_options="permissive")


def normalize_table(table: Any, data: TableConfig) -> Any:
    """Return the table with trimmed names and texts, declared column types, and nulls for missing-value texts.

    Durations become seconds, and bytes texts.

    Raises:
        DataError: a column cannot be converted to its declared type, has bytes that are not UTF-8, or an unknown time zone.
    """
    import pyarrow as pa
    from pyarrow import compute

    names = [name.strip() for name in table.column_names]
    missing_texts = pa.array(["", *data.missing.words], pa.string())
    columns = []
    for name, column in zip(names, table.columns, strict=True):
        declared = data.types.get(name)
        if isinstance(column.type, pa.BaseExtensionType):
            storage = column.type.storage_type
            column = pa.chunked_array([chunk.storage for chunk in column.chunks], storage)
        if pa.types.is_string_view(column.type) or pa.types.is_binary_view(column.type):
            column = column.cast(pa.string() if pa.types.is_string_view(column.type) else pa.binary())
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
            column = _convert_to_text(name, column)
        if len(column) and pa.types.is_timestamp(column.type) and column.type.tz is not None:
            _check_time_zone(name, column.type)
        if pa.types.is_duration(column.type):
            micros = column.cast(pa.duration("us"), safe=False).cast(pa.int64())
            column = compute.divide(micros.cast(pa.float64()), 1e6)
        if declared == "text" and pa.types.is_nested(column.type):
            raise_data_error(
                f"The column `{sanitize_text(name, limit=60)}` must contain text, "
                f"got {sanitize_text(str(column.type), limit=60)}.",
                PATH_KEY,
                "Save each of its values as a column, or leave it out with `inputs`.",
            )
        if declared == "text" and not is_text_type(column.type):
            column = _convert_to_text(name, column)
        if is_text_type(column.type):
            text = compute.utf8_trim_whitespace(column.cast(pa.string()))
            column = compute.if_else(compute.is_in(text, missing_texts), pa.scalar(None, pa.string()), text)
        columns.append(column)
    if not columns:
        return table
    # One new table: replacing column after column would take quadratic time.
    return pa.Table.from_arrays(columns, names=names)


def _check_time_zone(name: str, kind: Any) -> None:
    """Check that the time zone of a type of timestamps is known.

    Raises:
        DataError: it is not.
    """
    import pyarrow as pa
    from pyarrow import compute

    try:
        compute.local_timestamp(pa.array([0], pa.int64()).cast(kind))
    except pa.ArrowInvalid:
        raise_data_error(
            f"The column `{sanitize_text(name, limit=60)}` has the unknown time zone "
            f'"{sanitize_text(kind.tz, limit=40)}".',
            PATH_KEY,
            "Save its times in UTC.",
        )


def _convert_to_text(name: str, column: Any) -> Any:
    """Return the values of a column as texts.

    Raises:
        DataError: they cannot be texts.
    """
    import pyarrow as pa

    try:
        return column.cast(pa.string())
    except pa.ArrowException:
        received = "bytes that are not UTF-8" if is_bytes_type(column.type) else str(column.type)
        raise_data_error(
            f"The column `{sanitize_text(name, limit=60)}` must contain text, got {sanitize_text(received, limit=60)}.",
            PATH_KEY,
            "Save its values as text, or leave it out with `inputs`.",
        )


def list_values(column: Any) -> list[Any]:
    """Return the values of an Arrow column; all as texts if it has dates outside of the years of Python, from 1 to 9999.

    Times in an unknown time zone are returned in UTC.
    """
    import pyarrow as pa

    try:
        values: list[Any] = column.to_pylist()
    except (OverflowError, ValueError):
        if pa.types.is_timestamp(column.type):
            column = column.cast(pa.timestamp(column.type.unit))
        values = column.cast(pa.string()).to_pylist()
    return values
