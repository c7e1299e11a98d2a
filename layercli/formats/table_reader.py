"""The functions of ``TableReader``, which are the same for all types of table files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from layercli.config.data.tables import TableConfig
from layercli.data.examples import Dataset
from layercli.data.reader_state import ReaderState
from layercli.data.tables.files import TableFiles
from layercli.data.tables.open import open_new_table, open_table


@dataclass(frozen=True, slots=True)
class TableFileReader:
    """Reads the files of one type of table."""

    make_files: Callable[[Any], TableFiles]
    """Returns the files of a section."""
    make_new_files: Callable[[Any], TableFiles] | None = None
    """Returns other files than those of the section; None: as ``make_files``."""

    def read_dataset(
        self, data: TableConfig, memory: int | None, dtypes: Mapping[str | None, str]
    ) -> Dataset:
        """Return all examples, in memory or read batch by batch; see ``open_table``.

        Raises:
            DataError: a file cannot be read, or a column is missing or not numeric.
        """
        return open_table(data, self.make_files, memory, dtypes)

    def read_new_dataset(
        self,
        data: TableConfig,
        paths: Sequence[str],
        reader_state: ReaderState,
        memory: int | None,
        *,
        has_targets: bool,
    ) -> Dataset:
        """Return all examples of other files than in training; see ``Reader`` and ``open_new_table``.

        Raises:
            DataError: a file cannot be read, or a column is missing or has other values than in training.
        """
        assert reader_state.table_plan is not None
        located = data.with_arguments(path=list(paths))
        make_files = self.make_new_files or self.make_files
        return open_new_table(located, make_files, reader_state.table_plan, memory, has_targets=has_targets)

    def locate_row(self, data: TableConfig, row: int) -> str:
        """Return the file and line of a row, from 0, of a section with one file."""
        return self.make_files(data).locate_value(Path(data.path[0]), "", row) or f"row {row + 1}"
