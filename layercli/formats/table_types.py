"""The types of table files, by the suffixes of their names."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from layercli.config.data.tables import TableConfig
from layercli.formats.csv.config import Csv
from layercli.formats.feather.config import Feather
from layercli.formats.jsonl.config import Jsonl
from layercli.formats.parquet.config import Parquet

_TYPES: Final[dict[str, type[TableConfig]]] = {
    ".csv": Csv,
    ".tsv": Csv,
    ".parquet": Parquet,
    ".pq": Parquet,
    ".jsonl": Jsonl,
    ".ndjson": Jsonl,
    ".feather": Feather,
    ".arrow": Feather,
}
TABLE_SUFFIXES: Final = tuple(_TYPES)
"""The file name suffixes of tables, in lower case."""
_COMPRESSED: Final = (".gz", ".zst", ".bz2", ".xz", ".zip")


def find_table_type(path: str | Path) -> type[TableConfig]:
    """Return the type of a table by the suffix of its name, also before one such as ``.gz``; csv for other names."""
    suffixes = [suffix.lower() for suffix in Path(path).suffixes]
    if suffixes and suffixes[-1] in _COMPRESSED:
        suffixes.pop()
    return _TYPES.get(suffixes[-1] if suffixes else "", Csv)
