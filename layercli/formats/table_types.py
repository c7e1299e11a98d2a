"""The types of table files, by the suffixes of their names or their first bytes."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

from layercli.config.data.section import DATA_TYPES
from layercli.config.data.tables import TableConfig

_COMPRESSED: Final = (".gz", ".zst", ".bz2", ".xz", ".zip")


@cache
def list_table_types() -> tuple[type[TableConfig], ...]:
    """Return the data types that are tables."""
    types = map(DATA_TYPES.load, DATA_TYPES.names)
    return tuple(data_type for data_type in types if issubclass(data_type, TableConfig))


@cache
def _map_suffixes() -> dict[str, type[TableConfig]]:
    return {suffix: table_type for table_type in list_table_types() for suffix in table_type.suffixes}


def has_table_suffix(path: Path) -> bool:
    """Return whether the name of a file has the suffix of a table."""
    return path.suffix.lower() in _map_suffixes()


def find_table_type(path: str | Path) -> type[TableConfig]:
    """Return the type of a table by the suffix of its name, ignoring one such as ``.gz`` after it; csv for other names."""
    suffixes = [suffix.lower() for suffix in Path(path).suffixes]
    if suffixes and suffixes[-1] in _COMPRESSED:
        suffixes.pop()
    by_suffix = _map_suffixes()
    return by_suffix.get(suffixes[-1] if suffixes else "", by_suffix[".csv"])


def find_binary_type(start: bytes) -> type[TableConfig] | None:
    """Return the type of a table that begins with these bytes; None if it may be text."""
    for table_type in list_table_types():
        if table_type.signature is not None and start.startswith(table_type.signature):
            return table_type
    return None
