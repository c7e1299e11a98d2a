"""Open the files of a table, in memory or streamed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from layercli.config.data.tables import TableConfig
from layercli.data.examples import Dataset
from layercli.data.memory import is_too_large_to_load
from layercli.data.paths import expand_paths
from layercli.data.split_datasets import with_split_keys
from layercli.data.tables.arrow import concatenate_tables, map_column_types, merge_column_types
from layercli.data.tables.columns import (
    check_config_columns,
    check_trained_columns,
    make_table_plan,
    select_columns,
)
from layercli.data.tables.decode import find_complete_rows
from layercli.data.tables.files import LocateRow, TableFiles, make_locator, read_common_columns
from layercli.data.tables.in_memory import decode_dataset
from layercli.data.tables.integers import IntegerColumnCheck
from layercli.data.tables.new_rows import list_trained_types
from layercli.data.tables.plan import TablePlan
from layercli.data.tables.row_groups import RowGroups
from layercli.data.tables.split_columns import SplitColumnReader
from layercli.data.tables.streamed import StreamedRows
from layercli.data.tables.streamed_windows import stream_windows
from layercli.data.tables.target_inference import KnownClassCheck, infer_targets, make_inferences
from layercli.data.types import DataError, raise_data_error


def open_table(
    data: TableConfig,
    files: TableFiles,
    memory: int | None,
    integers: Mapping[str | None, str],
) -> Dataset:
    """Return the rows of a table's files; streamed if the config says so or if they need too much memory.

    ``memory`` is the size of the memory in bytes; ``integers`` maps the integer inputs of the model to their dtypes.

    Raises:
        DataError: a file cannot be read, a column does not exist, or a column does not contain numbers.
    """
    paths = expand_paths(data.path, ("data", "path"))
    names = read_common_columns(files, paths)
    check_config_columns(names, data)
    columns = select_columns(names, data)
    if _should_stream(data, files, paths, columns, memory):
        return _open_streamed(data, files, paths, columns, integers)
    tables = [files.read_table(path, columns) for path in paths]
    file_rows = [len(table) for table in tables]
    locate = make_locator(files, paths, file_rows)
    types = merge_column_types([map_column_types(table.schema) for table in tables])
    plan = make_table_plan(types, data, locate, integers)
    table = concatenate_tables(tables)
    complete_rows, row_numbers = _drop_incomplete_rows(table, plan)
    inferences = make_inferences(data)
    for inference in inferences:
        inference.add(complete_rows.column(inference.column), row_numbers)
    integer_check, split_column = IntegerColumnCheck(plan), SplitColumnReader(data)
    integer_check.add(complete_rows, row_numbers)
    split_column.add(complete_rows, row_numbers)
    integer_check.raise_findings(locate)
    dataset = decode_dataset(data, table, file_rows, infer_targets(inferences, plan, locate), locate)
    return with_split_keys(dataset, split_column.finish(locate))


def open_new_table(
    data: TableConfig,
    make_files: Callable[[Any], TableFiles],
    plan: TablePlan,
    memory: int | None,
    *,
    has_targets: bool,
) -> Dataset:
    """Return the rows of new files, read with the columns, classes and replacements of training.

    Without ``has_targets`` the files need no target column, every target is 0 and all rows are kept.

    Raises:
        DataError: a file cannot be read, a column does not exist, or a column has different values than in training.
    """
    plan = plan if has_targets else plan.without_target()
    data = data.with_arguments(types=list_trained_types(plan))
    files = make_files(data)
    paths = expand_paths(data.path, ("data", "path"))
    check_trained_columns(read_common_columns(files, paths), plan)
    if _should_stream(data, files, paths, set(plan.columns), memory):
        return _open_new_streamed(data, files, paths, plan)
    tables = [files.read_table(path, set(plan.columns)) for path in paths]
    table, file_rows = concatenate_tables(tables), [len(table) for table in tables]
    integer_check = IntegerColumnCheck(plan)
    class_checks = [KnownClassCheck(name, target) for name, target in plan.targets.items()]
    complete_rows, row_numbers = _drop_incomplete_rows(table, plan)
    integer_check.add(complete_rows, row_numbers)
    for check in class_checks:
        check.add(complete_rows.column(check.column), row_numbers)
    locate = make_locator(files, paths, file_rows)
    _raise_new_findings(integer_check, class_checks, locate)
    return decode_dataset(data, table, file_rows, plan, locate)


def _open_streamed(
    data: TableConfig,
    files: TableFiles,
    paths: Sequence[Path],
    columns: set[str],
    integers: Mapping[str | None, str],
) -> Dataset:
    row_groups = RowGroups.open(data, [files.to_parquet(path, columns) for path in paths])
    locate = make_locator(files, paths, row_groups.file_rows)
    plan = make_table_plan(merge_column_types(row_groups.column_types()), data, locate, integers)
    inferences = make_inferences(data)
    integer_check, split_column = IntegerColumnCheck(plan), SplitColumnReader(data)
    row_groups = row_groups.without_dropped_rows(plan, inferences, integer_check, split_column)
    integer_check.raise_findings(locate)
    dataset = _apply_windows(StreamedRows(row_groups, infer_targets(inferences, plan, locate)), locate)
    return with_split_keys(dataset, split_column.finish(locate))


def _open_new_streamed(
    data: TableConfig, files: TableFiles, paths: Sequence[Path], plan: TablePlan
) -> Dataset:
    row_groups = RowGroups.open(data, [files.to_parquet(path, set(plan.columns)) for path in paths])
    integer_check = IntegerColumnCheck(plan)
    class_checks = [KnownClassCheck(name, target) for name, target in plan.targets.items()]
    complete_groups = row_groups.without_dropped_rows(plan, class_checks, integer_check)
    locate = make_locator(files, paths, row_groups.file_rows)
    _raise_new_findings(integer_check, class_checks, locate)
    return _apply_windows(StreamedRows(complete_groups, plan), locate)


def _raise_new_findings(
    integer_check: IntegerColumnCheck, class_checks: Sequence[KnownClassCheck], locate: LocateRow
) -> None:
    integer_check.raise_findings(locate)
    findings = [finding for check in class_checks for finding in check.list_findings(locate)]
    if findings:
        raise DataError(*findings)


def _apply_windows(rows: StreamedRows, locate: LocateRow) -> Dataset:
    return rows if rows.row_groups.data.windows is None else stream_windows(rows, locate)


def _should_stream(
    data: TableConfig, files: TableFiles, paths: Sequence[Path], columns: set[str], memory: int | None
) -> bool:
    if data.stream == "always" or memory is None:
        return data.stream == "always"
    size = sum(files.bytes_in_memory(path, columns, memory) for path in paths)
    if data.stream == "never" and size > memory:
        raise_data_error(
            f"The files need {size:,} bytes of memory, but this machine has {memory:,} bytes of memory.",
            ("data", "stream"),
            "Remove `stream: never` to read the rows on demand.",
        )
    file_bytes = sum(path.stat().st_size for path in paths)
    return data.stream == "auto" and is_too_large_to_load(size, file_bytes, memory)


def _drop_incomplete_rows(table: Any, plan: TablePlan) -> tuple[Any, np.ndarray[Any, Any]]:
    """Return the rows with a value in every required column, and their row numbers."""
    mask = find_complete_rows(table, plan)
    return (table, np.arange(len(table))) if mask is None else (table.filter(mask), np.flatnonzero(mask))
