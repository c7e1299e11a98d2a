"""Table files that are read as Parquet files, to which they are converted once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from layercli.config.data.tables import TableConfig
from layercli.data.cache import Cache
from layercli.data.tables.files import list_repeated_names
from layercli.formats.parquet.config import Parquet
from layercli.formats.parquet.reader import ParquetFiles
from layercli.formats.table_types import find_binary_type


class ConvertedFiles(ABC):
    """The files of a section whose format is converted; see ``TableFiles``."""

    kind: ClassVar[str]
    """The name of the format in the cache."""

    def __init__(self, data: TableConfig) -> None:
        self._parquet = ParquetFiles(data)

    @abstractmethod
    def convert_file(self, file: Path, target: Path) -> None:
        """Write a file as a Parquet file.

        Raises:
            DataError: it cannot be read.
        """

    @abstractmethod
    def locate_value(self, file: Path, column: str, row: int) -> str | None:
        """Return the location of a row; see ``TableFiles``."""

    def get_parquet(self, file: Path) -> Path:
        """Return the Parquet file of a file; the file itself if it is one, such as that of a request to a service."""
        with file.open("rb") as stream:
            if find_binary_type(stream.read(4)) is Parquet:
                return file
        return Cache.default().get_file(file, self.kind, [], lambda target: self.convert_file(file, target))

    def bytes_in_memory(self, file: Path, columns: set[str], limit: int) -> int:
        """Return the bytes that these columns take."""
        return self._parquet.bytes_in_memory(self.get_parquet(file), columns, limit)

    def column_names(self, file: Path) -> list[str]:
        """Return the names of its columns."""
        return self._parquet.column_names(self.get_parquet(file))

    def find_repeated_names(self, file: Path) -> dict[str, list[int]]:
        """Return each name that several columns have in the file, with their positions from 1."""
        return list_repeated_names(self.column_names(file))

    def list_unusable_columns(self, file: Path) -> list[str]:
        """Return the columns of lists, mappings and structs, and those of bytes that are not text, which are not used."""
        return self._parquet.list_unusable_columns(self.get_parquet(file))

    def read_table(self, file: Path, columns: set[str]) -> Any:
        """Return all rows of these columns."""
        return self._parquet.read_table(self.get_parquet(file), columns)

    def iterate_tables(self, file: Path) -> Iterator[Any]:
        """Yield the rows of all columns, some at a time."""
        return self._parquet.iterate_tables(self.get_parquet(file))

    def to_parquet(self, file: Path, columns: set[str]) -> tuple[Path, bool]:
        """Return the Parquet file, and that its texts are not trimmed."""
        return self._parquet.to_parquet(self.get_parquet(file), columns)
