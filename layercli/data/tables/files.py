"""Files of a table: what a file format provides, and the location of rows."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, Final, Protocol

from layercli.data.types import PATH_KEY, raise_data_error
from layercli.graph.finding import Finding
from layercli.source.nodes import sanitize_text

_MAX_COLUMNS: Final = 100_000

LocateRow = Callable[[str, int], str]
"""Return file and line of a row (from 0), given a column; for row -1, of the column's first value that is not a number."""


class TableFiles(Protocol):
    """Access to the table files of one format."""

    def column_names(self, file: Path) -> list[str]:
        """Return the column names of a file."""

    def find_repeated_names(self, file: Path) -> dict[str, list[int]]:
        """Return each name that several columns have in the file, with their positions from 1."""

    def bytes_in_memory(self, file: Path, columns: set[str], limit: int) -> int:
        """Return the approximate size of these columns of a file in memory, in bytes; above ``limit`` a lower bound."""

    def read_table(self, file: Path, columns: set[str]) -> Any:
        """Return these columns of a file as an Arrow table."""

    def to_parquet(self, file: Path, columns: set[str]) -> tuple[Path, bool]:
        """Return the table, or these columns of it, as a Parquet file with moderate row groups.

        Also return whether its texts are trimmed.
        """

    def locate_value(self, file: Path, column: str, row: int) -> str | None:
        """Return the location of a row (from 0); for row -1, of the column's first value that is not a number, or None."""


def check_column_count(file: Path, count: int) -> None:
    """Check that a table does not have more columns than can be inspected in a minute.

    Raises:
        DataError: it has.
    """
    if count > _MAX_COLUMNS:
        raise_data_error(
            f"{sanitize_text(str(file))} has {count:,} columns, and a table at most {_MAX_COLUMNS:,}.",
            PATH_KEY,
            "Save the numbers as one array with `numpy.savez`, and use `type: npz`.",
        )


def read_common_columns(files: TableFiles, paths: Sequence[Path]) -> list[str]:
    """Return the column names that all files share.

    Raises:
        DataError: a file cannot be read, has different columns than the first, or has a column twice.
    """
    names = [files.column_names(path) for path in paths]
    for columns, path in zip(names, paths, strict=True):
        if len(set(columns)) < len(columns):
            name, positions = next(iter(files.find_repeated_names(path).items()))
            raise_data_error(
                f"{sanitize_text(str(path))} has two columns with the name `{sanitize_text(name, limit=60)}`: "
                f"columns {positions[0]} and {positions[1]}.",
                ("data", "path"),
                "Rename one in the file.",
            )
        if columns != names[0]:
            raise_data_error(
                f"{sanitize_text(str(path))} has different columns than {sanitize_text(str(paths[0]))}.",
                ("data", "path"),
                "Files that are read together must have the same columns.",
            )
    return names[0]


def list_repeated_names(names: Sequence[str]) -> dict[str, list[int]]:
    """Return each name that occurs several times, with its positions from 1."""
    positions: dict[str, list[int]] = {}
    for position, name in enumerate(names, 1):
        positions.setdefault(name, []).append(position)
    return {name: found for name, found in positions.items() if len(found) > 1}


def check_repeated_names(files: TableFiles, file: Path) -> Iterator[Finding]:
    """Warn about columns that have another name than in the file, because it names several columns the same."""
    names = files.column_names(file)
    for name, positions in files.find_repeated_names(file).items():
        if name:
            shown = sanitize_text(name, limit=60)
            others = " and ".join(
                f"`{sanitize_text(names[position - 1], limit=60)}`" for position in positions[1:]
            )
            listed = " and ".join(map(str, positions))
            yield Finding(
                code="repeated-column",
                message=f"{sanitize_text(str(file))} names the columns {listed} `{shown}`; the later ones are {others} here.",
                path=("data", "path"),
                hint="Rename them in the file.",
                severity="warning",
            )


def make_locator(files: TableFiles, paths: Sequence[Path], file_rows: Sequence[int]) -> LocateRow:
    """Return a function that locates a row of all files, given the number of rows of each file."""
    ends = list(accumulate(file_rows))

    def locate(column: str, row: int) -> str:
        if row < 0:
            found = (files.locate_value(path, column, -1) for path in paths)
            return next((location for location in found if location), f"`{sanitize_text(column, limit=60)}`")
        number = bisect_right(ends, row)
        row_in_file = row - (ends[number - 1] if number else 0)
        return files.locate_value(paths[number], column, row_in_file) or f"row {row + 1}"

    return locate
