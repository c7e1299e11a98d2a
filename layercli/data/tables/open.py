"""Rows of tables before they are divided: all in memory, or read as they are needed."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from layercli.config.data.section import DataFacts, Split
from layercli.config.data.tables import Table
from layercli.data.examples import Examples, Parts, whole
from layercli.data.readers.paths import all_files
from layercli.data.subset import Source
from layercli.data.tables.columns import (
    Locate,
    check_columns,
    check_names,
    check_present,
    joined_types,
    make_plan,
    refuse,
    used,
)
from layercli.data.tables.imputation import ROWS, learned
from layercli.data.tables.integers import WholeSurvey
from layercli.data.tables.plan import Plan, decode, fill_in, known
from layercli.data.tables.target_inference import TargetSurvey, conclude
from layercli.data.tables.windows import Keys, line_of, window_source
from layercli.source.nodes import printable

_SHARE = 4
"""Tables that would take more than this share of the memory are streamed."""


class Files(Protocol):
    """What a format knows of its files."""

    def names(self, file: Path) -> list[str]:
        """The names of a file's columns."""

    def bytes_in_memory(self, file: Path) -> int:
        """About how many bytes its table takes."""

    def table(self, file: Path, columns: set[str]) -> Any:
        """The whole table, of these columns."""

    def parquet(self, file: Path) -> tuple[Path, bool]:
        """The table in Parquet with row groups of a moderate size, and whether its texts are trimmed."""

    def place(self, file: Path, column: str, row: int) -> str | None:
        """Where a row (from 0) stands; for -1 where the first value of the column stands that is no number, or None."""


def open_rows(data: Table, files: Files, memory: int | None, integers: Mapping[str | None, str]) -> Source:
    """The rows of a table's files; streamed where the config says so or they would fill the memory.

    ``integers`` are the inputs that the model takes as whole numbers, and their dtypes.

    Raises:
        RefusedDataError: a file cannot be read, or a column is not there or not of numbers.
    """
    paths, names = _found(data, files)
    check_present(names, data)
    if _streamed(data, files, paths, memory):
        from layercli.data.tables.open_streamed import open_stream

        return open_stream(data, files, paths, integers)
    tables = [files.table(path, used(names, data)) for path in paths]
    locate = locator(files, paths, [len(table) for table in tables])
    plan = make_plan(joined_types([types_of(table.schema) for table in tables]), data, locate, integers)
    table = _together(tables)
    mask = known(table, plan)
    there = table if mask is None else table.filter(mask)
    numbers = np.arange(len(table)) if mask is None else np.flatnonzero(mask)
    surveys, whole_survey = [TargetSurvey(data, name) for name in plan.targets], WholeSurvey(plan)
    for survey in surveys:
        survey.add(there.column(survey.column), numbers)
    whole_survey.add(there, numbers)
    whole_survey.conclude(locate)
    return _in_memory(data, table, [len(table) for table in tables], conclude(surveys, plan, locate))


def open_new(
    data: Table, format_: Callable[[Any], Files], plan: Plan, memory: int | None, *, targets: bool
) -> Source:
    """Rows of files that came after training, read as those were: its columns, its classes, its values for missing ones.

    Without ``targets`` no column of the target is needed, every target is 0 and no row is left out.

    Raises:
        RefusedDataError: a file cannot be read, or a column is not there or of other values than in training.
    """
    plan = plan if targets else plan.without_target()
    types = {
        column: "text" if column in plan.texts else "number"
        for name, own in plan.inputs.items()
        for column in own
        if name not in plan.integers
    }
    types |= {
        target.column: "text"
        for target in plan.targets.values()
        if not {"true", "false"}.issuperset(target.class_names or ["true"])
    }
    data = data.replace(types={name: kind for name, kind in types.items() if name in plan.columns})
    files = format_(data)
    paths, names = _found(data, files)
    check_columns(names, plan)
    if _streamed(data, files, paths, memory):
        from layercli.data.tables.open_streamed import open_new_stream

        return open_new_stream(data, files, paths, plan)
    tables = [files.table(path, set(plan.columns)) for path in paths]
    table, counts = _together(tables), [len(table) for table in tables]
    mask = known(table, plan)
    survey = WholeSurvey(plan)
    survey.add(
        *((table, np.arange(len(table))) if mask is None else (table.filter(mask), np.flatnonzero(mask)))
    )
    survey.conclude(locator(files, paths, counts))
    return _in_memory(data, table, counts, plan)


def _found(data: Table, files: Files) -> tuple[list[Path], list[str]]:
    """The files, and the names of their columns."""
    paths = all_files(data.path, ("data", "path"))
    names = [files.names(path) for path in paths]
    check_names(names, paths)
    return paths, names[0]


def _streamed(data: Table, files: Files, paths: Sequence[Path], memory: int | None) -> bool:
    if data.stream == "always" or memory is None:
        return data.stream == "always"
    size = sum(map(files.bytes_in_memory, paths))
    if data.stream == "never" and size > memory:
        refuse(f"The files take {size:,} bytes in memory; this machine has {memory:,} of memory.", ("data", "stream"),
               "Remove `stream: never`, so that they are read as they are needed.")  # fmt: skip
    return data.stream == "auto" and size > memory // _SHARE


def types_of(schema: Any) -> dict[str, Any]:
    """The Arrow type of each column."""
    return {field.name: field.type for field in schema}


def _together(tables: Sequence[Any]) -> Any:
    import pyarrow as pa

    return pa.concat_tables(tables, promote_options="permissive")


def _in_memory(data: Table, table: Any, files: Sequence[int], plan: Plan) -> Source:
    """The rows of a table that is made of so many rows of each file, or the sequences of them."""
    mask = known(table, plan)
    keys = Keys(plan.keys).of(table)
    read = decode(table if mask is None else table.filter(mask), plan)
    rows = TableExamples(read.x, read.y, read.class_names, read.columns, read.weights, plan=plan)
    return (
        rows if data.windows is None else window_source(rows, line_of(keys, files, mask), data.windows, plan)
    )


def locator(files: Files, paths: Sequence[Path], rows: Sequence[int]) -> Locate:
    """Where a row of all files stands, given how many rows each file has."""
    ends = list(accumulate(rows))

    def locate(column: str, row: int) -> str:
        if row < 0:
            found = (files.place(path, column, -1) for path in paths)
            return next((place for place in found if place), f"`{printable(column, limit=60)}`")
        number = bisect_right(ends, row)
        return (
            files.place(paths[number], column, row - (ends[number - 1] if number else 0)) or f"row {row + 1}"
        )

    return locate


@dataclass(frozen=True, slots=True)
class TableExamples(Examples):
    """Rows that are all in memory, each an example."""

    plan: Plan = field(kw_only=True)
    """How they came of the table; what the training rows are to tell is still open."""

    def facts(self) -> DataFacts:
        """What a model must fit."""
        return self.plan.facts(Examples.facts(self), len(self))

    def divide(self, split: Split, *, seed: int, shuffle: bool) -> Parts:
        """The parts, missing numbers filled by what the training rows tell."""
        divided = Examples.divide(self, split, seed=seed, shuffle=shuffle)
        fill = learned(partial(divided.train.batches, ROWS), self.plan)
        parts = [
            whole(part).mapped(lambda name, array: fill_in(array, self.plan, fill, name))
            for part in divided.all
        ]
        return Parts(*parts, plan=self.plan.filled(fill))
