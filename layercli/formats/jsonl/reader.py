"""The reader of jsonl data: its files are converted to Parquet once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from layercli.data.examples import Dataset
from layercli.data.reader_state import ReaderState
from layercli.data.tables.open import open_new_table, open_table
from layercli.formats.jsonl import convert
from layercli.formats.jsonl.config import Jsonl
from layercli.formats.parquet.converted import ConvertedFiles
from layercli.source.nodes import sanitize_text


def read_dataset(data: Jsonl, memory: int | None, dtypes: Mapping[str | None, str]) -> Dataset:
    """Return all examples, in memory or read batch by batch; see ``open_table``.

    Raises:
        DataError: a file cannot be read, or a column is missing or not numeric.
    """
    return open_table(data, JsonlFiles, memory, dtypes)


def read_new_dataset(
    data: Jsonl, paths: Sequence[str], reader_state: ReaderState, memory: int | None, *, has_targets: bool
) -> Dataset:
    """Return all examples of other files than in training; see ``Reader`` and ``open_new_table``.

    Raises:
        DataError: a file cannot be read, or a column is missing or has other values than in training.
    """
    assert reader_state.table_plan is not None
    located = data.with_arguments(path=list(paths))
    return open_new_table(located, JsonlFiles, reader_state.table_plan, memory, has_targets=has_targets)


def locate_row(data: Jsonl, row: int) -> str:
    """Return the file and line of a row, from 0, of a section with one file."""
    return JsonlFiles(data).locate_value(Path(data.path[0]), "", row) or f"row {row + 1}"


class JsonlFiles(ConvertedFiles):
    """The files of a section of type jsonl."""

    kind = "jsonl"

    def convert(self, file: Path, target: Path) -> None:
        convert.write_parquet(file, target)

    def locate_value(self, file: Path, column: str, row: int) -> str | None:
        """Return the location of a row; for -1 that of the column's first text, or None."""
        if row >= 0:
            return f"{sanitize_text(str(file))}, line {convert.find_line(file, row)}"
        found = convert.describe_first_text(file, column)
        return found and f"{sanitize_text(str(file))}, {found}"
