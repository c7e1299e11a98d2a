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

from layercli.config.data.section import DataFacts, SplitConfig
from layercli.config.data.tables import TableConfig
from layercli.data.examples import Examples, Splits, load_examples
from layercli.data.paths import expand_paths
from layercli.data.subset import Dataset
from layercli.data.tables.columns import (
    LocateRow,
    check_config_columns,
    check_same_columns,
    check_trained_columns,
    make_table_plan,
    merge_column_types,
    raise_data_error,
    select_columns,
)
from layercli.data.tables.imputation import BATCH_ROWS, learn_fill_values
from layercli.data.tables.integers import IntegerColumnCheck
from layercli.data.tables.plan import TablePlan, decode_table, fill_missing, find_complete_rows
from layercli.data.tables.target_inference import TargetInference, infer_targets
from layercli.data.tables.windows import SeriesIds, make_windowed_dataset, order_rows
from layercli.source.nodes import sanitize_text

_MEMORY_DIVISOR = 4
"""Tables that would take more than this share of the memory are streamed."""


class TableFiles(Protocol):
    """What a format knows of its files."""

    def column_names(self, file: Path) -> list[str]:
        """The names of a file's columns."""

    def bytes_in_memory(self, file: Path) -> int:
        """About how many bytes its table takes."""

    def read_table(self, file: Path, columns: set[str]) -> Any:
        """The whole table, of these columns."""

    def to_parquet(self, file: Path) -> tuple[Path, bool]:
        """The table in Parquet with row groups of a moderate size, and whether its texts are trimmed."""

    def locate_value(self, file: Path, column: str, row: int) -> str | None:
        """Where a row (from 0) stands; for -1 where the first value of the column stands that is no number, or None."""


def open_table(
    data: TableConfig, files: TableFiles, memory: int | None, integers: Mapping[str | None, str]
) -> Dataset:
    """The rows of a table's files; streamed where the config says so or they would fill the memory.

    ``integers`` are the inputs that the model takes as whole numbers, and their dtypes.

    Raises:
        RefusedDataError: a file cannot be read, or a column is not there or not of numbers.
    """
    paths, names = _find_files(data, files)
    check_config_columns(names, data)
    if _should_stream(data, files, paths, memory):
        from layercli.data.tables.open_streamed import open_streamed_table

        return open_streamed_table(data, files, paths, integers)
    tables = [files.read_table(path, select_columns(names, data)) for path in paths]
    locate = make_locator(files, paths, [len(table) for table in tables])
    plan = make_table_plan(
        merge_column_types([map_column_types(table.schema) for table in tables]), data, locate, integers
    )
    table = _concat_tables(tables)
    mask = find_complete_rows(table, plan)
    complete_rows = table if mask is None else table.filter(mask)
    row_numbers = np.arange(len(table)) if mask is None else np.flatnonzero(mask)
    inferences, integer_check = (
        [TargetInference(data, name) for name in plan.targets],
        IntegerColumnCheck(plan),
    )
    for inference in inferences:
        inference.add(complete_rows.column(inference.column), row_numbers)
    integer_check.add(complete_rows, row_numbers)
    integer_check.raise_findings(locate)
    return _build_in_memory(
        data, table, [len(table) for table in tables], infer_targets(inferences, plan, locate)
    )


def open_new_table(
    data: TableConfig,
    make_files: Callable[[Any], TableFiles],
    plan: TablePlan,
    memory: int | None,
    *,
    targets: bool,
) -> Dataset:
    """Rows of files that came after training, read as those were: its columns, its classes, its values for missing ones.

    Without ``targets`` no column of the target is needed, every target is 0 and no row is left out.

    Raises:
        RefusedDataError: a file cannot be read, or a column is not there or of other values than in training.
    """
    plan = plan if targets else plan.without_target()
    types = {
        column: "text" if column in plan.text_columns else "number"
        for name, own in plan.inputs.items()
        for column in own
        if name not in plan.integer_dtypes
    }
    types |= {
        target.column: "text"
        for target in plan.targets.values()
        if not {"true", "false"}.issuperset(target.class_names or ["true"])
    }
    data = data.with_arguments(types={name: kind for name, kind in types.items() if name in plan.columns})
    files = make_files(data)
    paths, names = _find_files(data, files)
    check_trained_columns(names, plan)
    if _should_stream(data, files, paths, memory):
        from layercli.data.tables.open_streamed import open_new_streamed_table

        return open_new_streamed_table(data, files, paths, plan)
    tables = [files.read_table(path, set(plan.columns)) for path in paths]
    table, counts = _concat_tables(tables), [len(table) for table in tables]
    mask = find_complete_rows(table, plan)
    integer_check = IntegerColumnCheck(plan)
    integer_check.add(
        *((table, np.arange(len(table))) if mask is None else (table.filter(mask), np.flatnonzero(mask)))
    )
    integer_check.raise_findings(make_locator(files, paths, counts))
    return _build_in_memory(data, table, counts, plan)


def _find_files(data: TableConfig, files: TableFiles) -> tuple[list[Path], list[str]]:
    """The files, and the names of their columns."""
    paths = expand_paths(data.path, ("data", "path"))
    names = [files.column_names(path) for path in paths]
    check_same_columns(names, paths)
    return paths, names[0]


def _should_stream(data: TableConfig, files: TableFiles, paths: Sequence[Path], memory: int | None) -> bool:
    if data.stream == "always" or memory is None:
        return data.stream == "always"
    size = sum(map(files.bytes_in_memory, paths))
    if data.stream == "never" and size > memory:
        raise_data_error(f"The files take {size:,} bytes in memory; this machine has {memory:,} of memory.", ("data", "stream"),
               "Remove `stream: never`, so that they are read as they are needed.")  # fmt: skip
    return data.stream == "auto" and size > memory // _MEMORY_DIVISOR


def map_column_types(schema: Any) -> dict[str, Any]:
    """The Arrow type of each column."""
    return {field.name: field.type for field in schema}


def _concat_tables(tables: Sequence[Any]) -> Any:
    import pyarrow as pa

    return pa.concat_tables(tables, promote_options="permissive")


def _build_in_memory(data: TableConfig, table: Any, file_rows: Sequence[int], plan: TablePlan) -> Dataset:
    """The rows of a table that is made of so many rows of each file, or the sequences of them."""
    mask = find_complete_rows(table, plan)
    series_ids = SeriesIds(plan.series_columns).assign(table)
    decoded = decode_table(table if mask is None else table.filter(mask), plan)
    rows = TableExamples(
        decoded.x, decoded.y, decoded.class_names, decoded.columns, decoded.weights, plan=plan
    )
    return (
        rows
        if data.windows is None
        else make_windowed_dataset(rows, order_rows(series_ids, file_rows, mask), data.windows, plan)
    )


def make_locator(files: TableFiles, paths: Sequence[Path], rows: Sequence[int]) -> LocateRow:
    """Where a row of all files stands, given how many rows each file has."""
    ends = list(accumulate(rows))

    def locate(column: str, row: int) -> str:
        if row < 0:
            found = (files.locate_value(path, column, -1) for path in paths)
            return next((place for place in found if place), f"`{sanitize_text(column, limit=60)}`")
        number = bisect_right(ends, row)
        return (
            files.locate_value(paths[number], column, row - (ends[number - 1] if number else 0))
            or f"row {row + 1}"
        )

    return locate


@dataclass(frozen=True, slots=True)
class TableExamples(Examples):
    """Rows that are all in memory, each an example."""

    plan: TablePlan = field(kw_only=True)
    """How they came of the table; what the training rows are to tell is still open."""

    def facts(self) -> DataFacts:
        """What a model must fit."""
        return self.plan.data_facts(Examples.facts(self), len(self))

    def split(self, split: SplitConfig, *, seed: int, shuffle: bool) -> Splits:
        """The parts, missing numbers filled by what the training rows tell."""
        splits = Examples.split(self, split, seed=seed, shuffle=shuffle)
        fill_values = learn_fill_values(partial(splits.train.batches, BATCH_ROWS), self.plan)
        filled_splits = [
            load_examples(part).map_inputs(
                lambda name, array: fill_missing(array, self.plan, fill_values, name)
            )
            for part in splits.subsets
        ]
        return Splits(*filled_splits, table_plan=self.plan.with_fill_values(fill_values))
