"""Open the files of a table, in memory or streamed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from layercli.config.data.tables import TableConfig
from layercli.data.examples import Dataset
from layercli.data.labels import are_number_names
from layercli.data.memory import is_too_large_to_load
from layercli.data.paths import expand_paths
from layercli.data.split_datasets import with_split_keys
from layercli.data.split_keys import SplitKeys
from layercli.data.tables.arrow import concatenate_tables, map_column_types, merge_column_types
from layercli.data.tables.columns import (
    check_config_columns,
    check_trained_columns,
    check_trained_targets,
    check_trained_types,
    make_table_plan,
    select_columns,
)
from layercli.data.tables.conversions import (
    ColumnUse,
    convert_table,
    declare_texts,
    inspect_texts,
    list_column_uses,
)
from layercli.data.tables.decode import find_complete_rows, find_first_days
from layercli.data.tables.files import (
    LocateRow,
    TableFiles,
    check_repeated_names,
    make_locator,
    read_common_columns,
)
from layercli.data.tables.in_memory import decode_dataset
from layercli.data.tables.integers import IntegerColumnCheck
from layercli.data.tables.plan import TablePlan
from layercli.data.tables.row_groups import RowGroups
from layercli.data.tables.split_columns import SplitColumnReader
from layercli.data.tables.streamed import StreamedRows
from layercli.data.tables.streamed_windows import stream_windows
from layercli.data.tables.target_inference import (
    KnownClassCheck,
    TargetInference,
    infer_targets,
    make_inferences,
)
from layercli.data.types import DataError, raise_data_error
from layercli.graph.finding import Finding
from layercli.source.nodes import sanitize_text

T = TypeVar("T", bound=TableConfig)


def open_table(
    data: TableConfig,
    make_files: Callable[[Any], TableFiles],
    memory: int | None,
    dtypes: Mapping[str | None, str],
) -> Dataset:
    """Return the rows of a table's files; streamed if the config says so or if they need too much memory.

    ``memory`` is the size of the memory in bytes; ``dtypes`` maps the inputs of the model to their dtypes.

    Raises:
        DataError: a file cannot be read, a column does not exist, or a column does not contain numbers.
    """
    paths = expand_paths(data.path, ("data", "path"))
    names = read_common_columns(make_files(data), paths)
    check_config_columns(names, data)
    columns = select_columns(names, data)
    uses = list_column_uses(names, data, dtypes)
    files = make_files(declare_texts(data, uses))
    if _should_stream(data, files, paths, columns, memory):
        return _open_streamed(data, files, paths, columns, dtypes, uses)
    tables = [files.read_table(path, columns) for path in paths]
    file_rows = [len(table) for table in tables]
    _require_rows(paths, file_rows)
    locate = make_locator(files, paths, file_rows)
    types = merge_column_types([map_column_types(table.schema) for table in tables])
    table = concatenate_tables(tables)
    del tables
    inspection = inspect_texts(types, [(table, np.arange(len(table)))], data, uses, locate)
    table = convert_table(table, inspection.conversions, data)
    plan, findings = make_table_plan(map_column_types(table.schema), data, locate, dtypes, inspection)
    plan = plan.with_findings(check_repeated_names(files, paths[0]))
    plan = plan.with_first_days(find_first_days([table], plan))
    complete_rows, row_numbers = _drop_incomplete_rows(table, plan)
    inferences = make_inferences(data)
    for inference in inferences:
        inference.add(complete_rows.column(inference.column), row_numbers)
    integer_check, split_column = IntegerColumnCheck(plan), SplitColumnReader(data)
    integer_check.add(complete_rows, row_numbers)
    split_column.add(complete_rows, row_numbers)
    held = [table]
    del table, complete_rows  # decoding frees it
    findings += integer_check.list_findings(locate)
    try:
        plan, keys = _finish_plan(plan, findings, inferences, split_column, locate)
    except DataError as error:
        raise DataError(*error.findings, inputs=_decode_inputs(data, held, file_rows, plan, locate)) from None
    return with_split_keys(decode_dataset(data, held, file_rows, plan, locate), keys)


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
    data = declare_trained_columns(data, plan)
    files = make_files(data)
    paths = expand_paths(data.path, ("data", "path"))
    check_trained_columns(read_common_columns(files, paths), plan)
    if _should_stream(data, files, paths, set(plan.columns), memory):
        return _open_new_streamed(data, files, paths, plan)
    tables = [files.read_table(path, set(plan.columns)) for path in paths]
    table, file_rows = concatenate_tables(tables), [len(table) for table in tables]
    del tables
    locate = make_locator(files, paths, file_rows)
    conversions = convert_new(
        map_column_types(table.schema), [(table, np.arange(len(table)))], data, plan, locate
    )
    table = convert_table(table, conversions, data)
    check_trained_targets(map_column_types(table.schema), plan, locate)
    integer_check = IntegerColumnCheck(plan)
    class_checks = [KnownClassCheck(name, target) for name, target in plan.targets.items()]
    complete_rows, row_numbers = _drop_incomplete_rows(table, plan)
    integer_check.add(complete_rows, row_numbers)
    for check in class_checks:
        check.add(complete_rows.column(check.column), row_numbers)
    held = [table]
    del table, complete_rows  # decoding frees it
    findings = _list_new_findings(integer_check, class_checks, locate)
    if findings:
        raise DataError(*findings, inputs=_decode_inputs(data, held, file_rows, plan, locate))
    return decode_dataset(data, held, file_rows, plan, locate)


def _open_streamed(
    data: TableConfig,
    files: TableFiles,
    paths: Sequence[Path],
    columns: set[str],
    dtypes: Mapping[str | None, str],
    uses: Mapping[str, ColumnUse],
) -> Dataset:
    row_groups = RowGroups.open(
        declare_texts(data, uses), [files.to_parquet(path, columns) for path in paths]
    )
    _require_rows(paths, row_groups.file_rows)
    locate = make_locator(files, paths, row_groups.file_rows)
    types = merge_column_types(row_groups.column_types())
    types = {name: kind for name, kind in types.items() if name in columns}
    inspection = inspect_texts(types, row_groups.iterate_texts(types, data), data, uses, locate)
    row_groups = replace(row_groups, conversions=inspection.conversions)
    types = merge_column_types(row_groups.column_types())
    plan, findings = make_table_plan(types, data, locate, dtypes, inspection)
    plan = plan.with_findings(check_repeated_names(files, paths[0]))
    plan = plan.with_first_days(find_first_days(row_groups.iterate_dates(plan), plan))
    inferences = make_inferences(data)
    integer_check, split_column = IntegerColumnCheck(plan), SplitColumnReader(data)
    row_groups = row_groups.without_dropped_rows(plan, inferences, integer_check, split_column)
    findings += integer_check.list_findings(locate)
    try:
        plan, keys = _finish_plan(plan, findings, inferences, split_column, locate)
    except DataError as error:
        raise DataError(*error.findings, inputs=_stream_inputs(row_groups, plan, locate)) from None
    return with_split_keys(_apply_windows(StreamedRows(row_groups, plan, locate=locate), locate), keys)


def _open_new_streamed(
    data: TableConfig, files: TableFiles, paths: Sequence[Path], plan: TablePlan
) -> Dataset:
    row_groups = RowGroups.open(data, [files.to_parquet(path, set(plan.columns)) for path in paths])
    locate = make_locator(files, paths, row_groups.file_rows)
    types = merge_column_types(row_groups.column_types())
    types = {name: kind for name, kind in types.items() if name in plan.columns}
    conversions = convert_new(types, row_groups.iterate_texts(types, data), data, plan, locate)
    row_groups = replace(row_groups, conversions=conversions)
    check_trained_targets(merge_column_types(row_groups.column_types()), plan, locate)
    integer_check = IntegerColumnCheck(plan)
    class_checks = [KnownClassCheck(name, target) for name, target in plan.targets.items()]
    complete_groups = row_groups.without_dropped_rows(plan, class_checks, integer_check)
    findings = _list_new_findings(integer_check, class_checks, locate)
    if findings:
        raise DataError(*findings, inputs=_stream_inputs(complete_groups, plan, locate))
    return _apply_windows(StreamedRows(complete_groups, plan, locate=locate), locate)


def _require_rows(paths: Sequence[Path], file_rows: Sequence[int]) -> None:
    """Check that there is a row to learn from.

    Raises:
        DataError: all files are empty tables.
    """
    if not any(file_rows):
        shown = sanitize_text(str(paths[0]))
        raise_data_error(
            f"{shown} {'and the other files have' if len(paths) > 1 else 'has'} no rows of values.",
            ("data", "path"),
            None,
        )


def _finish_plan(
    plan: TablePlan,
    findings: Sequence[Finding],
    inferences: Sequence[TargetInference],
    split_column: SplitColumnReader,
    locate: LocateRow,
) -> tuple[TablePlan, SplitKeys | None]:
    """Return the plan with the kinds of all targets, and the keys of the split.

    Raises:
        DataError: there are errors in the targets or the keys, or ``findings``, those of the inputs; with all of them.
    """
    all_findings, keys = [*findings], None
    try:
        plan = infer_targets(inferences, plan, locate)
    except DataError as error:
        all_findings += error.findings
    try:
        keys = split_column.finish(locate)
    except DataError as error:
        all_findings += error.findings
    if all_findings:
        raise DataError(*all_findings)
    return plan, keys


def _decode_inputs(
    data: TableConfig, held: list[Any], file_rows: Sequence[int], plan: TablePlan, locate: LocateRow
) -> Dataset | None:
    """Return the inputs of the rows if other values cannot be read; see ``decode_dataset``."""
    inputs = plan.select_readable_inputs()
    data = data.with_arguments(windows=None)
    return None if inputs is None else decode_dataset(data, held, file_rows, inputs, locate)


def _stream_inputs(row_groups: RowGroups, plan: TablePlan, locate: LocateRow) -> Dataset | None:
    """Return the inputs of the rows if other values cannot be read."""
    inputs = plan.select_readable_inputs()
    return None if inputs is None else StreamedRows(row_groups, inputs, locate=locate)


def _list_new_findings(
    integer_check: IntegerColumnCheck, class_checks: Sequence[KnownClassCheck], locate: LocateRow
) -> list[Finding]:
    targets = [finding for check in class_checks for finding in check.list_findings(locate)]
    return [*integer_check.list_findings(locate), *targets]


def convert_new(
    types: Mapping[str, Any],
    batches: Iterable[tuple[Any, np.ndarray[Any, Any]]],
    data: TableConfig,
    plan: TablePlan,
    locate: LocateRow,
) -> dict[str, str]:
    """Return how the columns of new files are converted.

    Raises:
        DataError: a column does not contain numbers or dates as in training; it reports all of them.
    """
    uses = list_trained_uses(plan)
    inspection = inspect_texts(types, batches, data, uses, locate, is_trained=True)
    findings = [*inspection.errors, *check_trained_types(types, plan, locate, inspection)]
    if findings:
        raise DataError(*findings)
    return inspection.conversions


def _apply_windows(rows: StreamedRows, locate: LocateRow) -> Dataset:
    return rows if rows.row_groups.data.windows is None else stream_windows(rows, locate)


def declare_trained_columns(data: T, plan: TablePlan) -> T:
    """Return the section that reads columns as in training: the same types, and dates of the same form."""
    uses = list_trained_uses(plan)
    types: dict[str, str] = dict.fromkeys(plan.kept_columns, "text")
    types |= {name: use for name, use in uses.items() if use in ("text", "number")}
    dates: dict[str, Any] = {}
    for column, feature, _ in plan.dates.values():
        dates.setdefault(column, {"order": plan.conversions.get(column), "features": []})["features"].append(
            feature
        )
    time = plan.time_column
    if time is not None and time in plan.conversions and time not in dates:
        dates[time] = {"order": plan.conversions[time], "features": ["elapsed"]}
    return data.with_arguments(types=types, dates=dates)


def list_trained_uses(plan: TablePlan) -> dict[str, ColumnUse]:
    """Return what each column was used as in training."""
    uses: dict[str, ColumnUse] = {
        column: "text" if column in plan.text_columns else "number"
        for columns in plan.inputs.values()
        for column in columns
        if column not in plan.dates
    }
    for target in plan.targets.values():
        names = target.class_names
        is_text = target.labels is not None or (names is not None and not are_number_names(names))
        uses |= dict.fromkeys(target.columns, "text" if is_text else "any")
    if plan.weight_column is not None:
        uses[plan.weight_column] = "number"
    return uses | {number.column: "date" for number in plan.dates.values()}


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
