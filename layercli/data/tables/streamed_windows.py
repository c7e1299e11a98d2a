"""Windows of streamed rows: the numbers are stored in a cache file that is memory-mapped."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from layercli.data.cache import Cache, hash_json
from layercli.data.examples import Examples
from layercli.data.labels import unwrap_single
from layercli.data.new_examples import to_object_array
from layercli.data.tables.arrow import list_values
from layercli.data.tables.decode import find_complete_rows
from layercli.data.tables.files import LocateRow
from layercli.data.tables.plan import TablePlan
from layercli.data.tables.row_groups import RowGroups
from layercli.data.tables.row_order import SeriesIds, order_rows
from layercli.data.tables.streamed import StreamedRows
from layercli.data.tables.times import check_steps, read_times
from layercli.data.tables.windows import WindowedDataset, make_windowed_dataset
from layercli.data.types import Array, raise_data_error
from layercli.graph.finding import Finding
from layercli.source.nodes import sanitize_text


def stream_windows(streamed_rows: StreamedRows, locate: LocateRow) -> WindowedDataset:
    """Return the windows of streamed rows; the rows are memory-mapped.

    Raises:
        DataError: an input contains text, or the time of a row is missing.
    """
    row_groups, plan, windows = (
        streamed_rows.row_groups,
        streamed_rows.plan,
        streamed_rows.row_groups.data.windows,
    )
    assert windows is not None
    _require_number_inputs(plan)
    x, targets_and_weights = _cache_inputs(streamed_rows)
    y = _split_targets(targets_and_weights, plan)
    weights = np.array(targets_and_weights[:, -1]) if plan.weight_column is not None else None
    target_columns = {name: target.columns for name, target in plan.targets.items()}
    rows = Examples(
        x.get(None, x),
        unwrap_single(y),
        plan.class_names,
        dict(plan.inputs),
        weights,
        target_columns=target_columns,
    )
    times = None
    if plan.time_column is not None:
        name = plan.time_column
        pieces = (
            row_groups.read_table(number, [name]).column(name) for number in range(len(row_groups.groups))
        )
        times = read_times(pieces, name, locate)
    series_ids, kept_mask = _read_series(row_groups, plan)
    row_order = order_rows(
        series_ids, row_groups.file_rows, kept_mask, None if times is None else times.values
    )
    findings: list[Finding] = []
    if times is not None:
        all_rows = order_rows(series_ids, row_groups.file_rows, None, times.values)
        findings += check_steps(times, all_rows, locate)
    row_columns = {} if plan.targets else _read_row_columns(row_groups, plan)
    return make_windowed_dataset(rows, row_order, windows, plan, findings, row_columns)


def _read_row_columns(row_groups: RowGroups, plan: TablePlan) -> dict[str, Array]:
    """Return the columns that are shown with predictions, such as the series and the time of each row, as objects."""
    columns: dict[str, list[Any]] = {name: [] for name in plan.row_columns}
    for number in range(len(row_groups.groups)) if columns else ():
        table = row_groups.read_table(number, list(columns))
        for name, values in columns.items():
            values += list_values(table.column(name))
    return {name: to_object_array(values) for name, values in columns.items()}


def _require_number_inputs(plan: TablePlan) -> None:
    for name in plan.inputs:
        if plan.is_text(name):
            raise_data_error(
                f"The input `{sanitize_text(str(name), limit=60)}` contains text, but streamed windows support only numbers.",
                ("data", "inputs", str(name)),
                "Leave it out, or read all rows into memory: `stream: never`.",
            )


def _cache_inputs(streamed_rows: StreamedRows) -> tuple[Any, Array]:
    """Return the inputs by name in the order of the plan, and the columns of targets and weights, all memory-mapped."""
    plan = streamed_rows.plan
    integer_inputs = [name for name in plan.inputs if name in plan.integer_dtypes]
    float_inputs = [name for name in plan.inputs if name not in plan.integer_dtypes]
    rows, x = _cache_rows(streamed_rows, float_inputs, np.float32, include_targets=True)
    if integer_inputs:
        x |= _cache_rows(streamed_rows, integer_inputs, np.int64)[1]
    return {name: x[name] for name in plan.inputs}, rows[:, -_target_width(plan) :]


def _target_width(plan: TablePlan) -> int:
    """Return the number of cached columns for the targets and the weight."""
    return max(sum(len(target.columns) for target in plan.targets.values()), 1) + 1


def _split_targets(targets_and_weights: Array, plan: TablePlan) -> dict[str | None, Array]:
    if not plan.targets:
        return {None: np.array(targets_and_weights[:, 0])}
    y: dict[str | None, Array] = {}
    first = 0
    for name, target in plan.targets.items():
        values = np.array(targets_and_weights[:, first : first + len(target.columns)])
        values = values if len(target.columns) > 1 else values[:, 0]
        y[name] = values if target.classes is None else values.astype(np.int32)
        first += len(target.columns)
    return y


def _cache_rows(
    streamed_rows: StreamedRows,
    names: Sequence[str | None],
    dtype: type[np.generic],
    *,
    include_targets: bool = False,
) -> tuple[Array, dict[str | None, Any]]:
    """Return the memory-mapped rows of some inputs and a view of each input; with targets, append targets and weight."""
    row_groups, plan = streamed_rows.row_groups, streamed_rows.plan
    ends = np.cumsum([len(plan.inputs[name]) for name in names], dtype=int).tolist()

    width = (ends[-1] if ends else 0) + (_target_width(plan) if include_targets else 0)
    shape = (len(streamed_rows), width)

    def write(target: Path) -> None:
        file = np.lib.format.open_memmap(target, "w+", dtype, shape)
        first = 0
        for number in range(len(row_groups.groups)):
            examples = row_groups.read_examples(number, plan)
            arrays = dict(examples.inputs)
            columns = [arrays[name] for name in names]
            if include_targets:
                weights = np.ones(len(examples)) if examples.weights is None else examples.weights
                columns += [
                    array.reshape(len(array), math.prod(array.shape[1:]))
                    for array in (*(y for _, y in examples.targets), weights)
                ]
            file[first : first + len(examples)] = np.concatenate(columns, axis=1)
            first += len(examples)
        file.flush()

    key = hash_json([*row_groups.cache_key(plan), names, np.dtype(dtype).name])
    rows = np.load(
        Cache.default().get_entry(f"rows-{key}.npy", write, lambda path: _has_rows(path, shape, dtype)),
        mmap_mode="r",
    )
    return rows, {
        name: rows[:, end - len(plan.inputs[name]) : end] for name, end in zip(names, ends, strict=True)
    }


def _has_rows(path: Path, shape: tuple[int, int], dtype: type[np.generic]) -> bool:
    """Return whether a file is an array of this shape and dtype."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        return bool(array.shape == shape and array.dtype == dtype)
    except (OSError, ValueError, EOFError, AttributeError, SyntaxError):
        return False


def _read_series(row_groups: RowGroups, plan: TablePlan) -> tuple[Array | None, Array | None]:
    """Return the series of each row, and which rows are not dropped; None if all rows are one series, or none is dropped."""
    series_ids, series, kept_masks = SeriesIds(plan.series_columns), [], []
    for number in range(len(row_groups.groups)) if plan.series_columns or plan.required_columns else ():
        table = row_groups.read_table(number, [*plan.series_columns, *plan.required_columns])
        mask = find_complete_rows(table, plan)
        series.append(series_ids.assign(table))
        kept_masks.append(np.ones(len(table), dtype=bool) if mask is None else mask)
    return (
        np.concatenate([ids for ids in series if ids is not None])
        if plan.series_columns and series
        else None,
        np.concatenate(kept_masks) if plan.required_columns and kept_masks else None,
    )
