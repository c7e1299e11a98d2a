"""Row groups of Parquet files: the files of a config's data, or what was made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

from layercli.config.data.tables import Table
from layercli.data.examples import Array, Examples
from layercli.data.tables.cache import Cache, file_fingerprint
from layercli.data.tables.columns import refuse, trimmed
from layercli.data.tables.integers import WholeSurvey
from layercli.data.tables.open import types_of
from layercli.data.tables.plan import Plan, decode, kept, known
from layercli.data.tables.target_inference import TargetSurvey
from layercli.source.nodes import printable

_PATH = ("data", "path")


class Chunk(NamedTuple):
    """A row group of a Parquet file."""

    file: int
    group: int
    rows: int
    """Without those that are left out."""


@dataclass(frozen=True)
class Stored:
    """Row groups of Parquet files."""

    data: Table
    files: tuple[Path, ...]
    trimmed: tuple[bool, ...]
    """Of each file whether its texts are trimmed already."""
    metadata: tuple[Any, ...]
    """What Parquet says of each file."""
    states: tuple[tuple[int, int], ...]
    """Of each file its size and its time when that was read."""
    chunks: tuple[Chunk, ...]

    @classmethod
    def of(cls, data: Table, files: Sequence[tuple[Path, bool]]) -> Self:
        """Every row group of the files."""
        from pyarrow import parquet

        states = [_state(path) for path, _ in files]
        metadata = [parquet.read_metadata(path) for path, _ in files]
        chunks = [
            Chunk(number, group, known.row_group(group).num_rows)
            for number, known in enumerate(metadata)
            for group in range(known.num_row_groups)
        ]
        return cls(
            data,
            tuple(path for path, _ in files),
            tuple(done for _, done in files),
            tuple(metadata),
            tuple(states),
            tuple(chunks),
        )

    def types(self) -> list[dict[str, Any]]:
        """The Arrow types of each file's columns."""
        return [types_of(self.empty(number).schema) for number in range(len(self.files))]

    def empty(self, file: int = 0) -> Any:
        """The table of a file without its rows."""
        return trimmed(self.metadata[file].schema.to_arrow_schema().empty_table(), self.data)

    def counted(self, plan: Plan, surveys: Sequence[TargetSurvey], whole: WholeSurvey) -> Self:
        """The same without the rows that the plan leaves out; the surveys see the others."""
        if not surveys and not plan.drop and not whole.columns:
            return self
        chunks, first = [], 0
        for number, chunk in enumerate(self.chunks):
            table = self.table(number, [*(survey.column for survey in surveys), *plan.drop, *whole.columns])
            mask = known(table, plan)
            rows = np.arange(first, first + len(table))
            first += len(table)
            if mask is not None:
                table, rows = table.filter(mask), rows[mask]
            whole.add(table, rows)
            for survey in surveys:
                survey.add(table.column(survey.column), rows)
            chunks.append(chunk._replace(rows=len(table)))
        return replace(self, chunks=tuple(chunks))

    @cached_property
    def starts(self) -> Array:
        """The first row of each chunk among all rows, and at the end how many there are: int64 of shape (chunks + 1,)."""
        return np.concatenate([[0], np.cumsum([chunk.rows for chunk in self.chunks], dtype=np.int64)])

    def table(self, number: int, columns: Sequence[str]) -> Any:
        """These columns of a chunk, all rows of it.

        Raises:
            RefusedDataError: the file was changed since it was opened, or is damaged.
        """
        from pyarrow import parquet

        chunk = self.chunks[number]
        file = self.files[chunk.file]
        try:
            with parquet.ParquetFile(file, metadata=self.metadata[chunk.file]) as source:
                names = [name for name in source.schema_arrow.names if name.strip() in columns]
                table = source.read_row_group(chunk.group, columns=names)
        except (OSError, ValueError) as error:  # what pyarrow's own errors are
            self._require_unchanged(chunk.file)
            said = printable(str(error), limit=200).rstrip(".")
            refuse(f"{printable(str(file))} cannot be read from row group {chunk.group + 1} on: {said}.", _PATH,
                   "Restore the file; what lies in the cache may be removed, and is made anew.")  # fmt: skip
        self._require_unchanged(chunk.file)
        return table if self.trimmed[chunk.file] else trimmed(table, self.data)

    def _require_unchanged(self, number: int) -> None:
        file = self.files[number]
        try:
            same = _state(file) == self.states[number]
        except OSError:
            same = False
        if not same:
            refuse(f"{printable(str(file))} was changed or removed while it was being read.", _PATH,
                   "Leave the files as they are until training has ended.")  # fmt: skip

    def examples(self, number: int, plan: Plan) -> Examples:
        """The rows of a chunk that are not left out."""
        return decode(kept(self.table(number, plan.columns), plan), plan)

    def key(self, plan: Plan) -> list[Any]:
        """What tells these rows from others as long as the files stay where they are."""
        folder = Cache.default().folder
        sources = [path.name if path.parent == folder else file_fingerprint(path) for path in self.files]
        return [sources, plan.to_json(), sorted(self.data.types.items()), self.data.missing.values]


def _state(path: Path) -> tuple[int, int]:
    """What is another wherever a file was written to: its size, and its time."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns
