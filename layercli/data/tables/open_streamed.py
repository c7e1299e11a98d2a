"""Tables that do not fit into memory, opened: their rows, or the sequences of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from layercli.config.data.tables import TableConfig
from layercli.data.examples import Array, Examples
from layercli.data.labels import unwrap_single
from layercli.data.subset import Dataset
from layercli.data.tables.cache import Cache, hash_json
from layercli.data.tables.columns import make_table_plan, merge_column_types, raise_data_error
from layercli.data.tables.integers import IntegerColumnCheck
from layercli.data.tables.open import TableFiles, make_locator
from layercli.data.tables.plan import TablePlan, find_complete_rows
from layercli.data.tables.row_groups import RowGroups
from layercli.data.tables.streamed import StreamedRows
from layercli.data.tables.target_inference import TargetInference, infer_targets
from layercli.data.tables.windows import (
    RowOrder,
    SeriesIds,
    WindowedDataset,
    make_windowed_dataset,
    order_rows,
)
from layercli.source.nodes import sanitize_text


def open_streamed_table(
    data: TableConfig, files: TableFiles, paths: Sequence[Path], integers: Mapping[str | None, str]
) -> Dataset:
    """All rows of a table's files, as they are needed.

    Raises:
        RefusedDataError: a file cannot be read, or a column is not there or not of numbers.
    """
    row_groups = RowGroups.open(data, [files.to_parquet(path) for path in paths])
    locate = make_locator(files, paths, [metadata.num_rows for metadata in row_groups.metadata])
    plan = make_table_plan(merge_column_types(row_groups.column_types()), data, locate, integers)
    inferences, integer_check = (
        [TargetInference(data, name) for name in plan.targets],
        IntegerColumnCheck(plan),
    )
    row_groups = row_groups.without_dropped_rows(plan, inferences, integer_check)
    integer_check.raise_findings(locate)
    plan = infer_targets(inferences, plan, locate)
    return _apply_windows(StreamedRows(row_groups, plan))


def open_new_streamed_table(
    data: TableConfig, files: TableFiles, paths: Sequence[Path], plan: TablePlan
) -> Dataset:
    """All rows of new files, as they are needed, read as the plan says."""
    row_groups = RowGroups.open(data, [files.to_parquet(path) for path in paths])
    integer_check = IntegerColumnCheck(plan)
    counted = row_groups.without_dropped_rows(plan, (), integer_check)
    integer_check.raise_findings(
        make_locator(files, paths, [metadata.num_rows for metadata in row_groups.metadata])
    )
    row_groups = counted
    return _apply_windows(StreamedRows(row_groups, plan))


def _apply_windows(stream: StreamedRows) -> Dataset:
    return stream if stream.row_groups.data.windows is None else stream_windows(stream)


def stream_windows(stream: StreamedRows) -> WindowedDataset:
    """The sequences of rows of a stream; the rows' numbers are laid out in a file of the cache, of which the system keeps
    in memory what there is room for.

    Raises:
        RefusedDataError: an input is of text.
    """
    row_groups, plan, windows = stream.row_groups, stream.plan, stream.row_groups.data.windows
    assert windows is not None
    for name in plan.inputs:
        if plan.is_text(name):
            raise_data_error(f"The input `{sanitize_text(str(name), limit=60)}` is text, of which no windows are streamed.",
                   ("data", "inputs", str(name)), "Leave it out, or read all rows: `stream: never`.")  # fmt: skip
    integer_inputs = [name for name in plan.inputs if name in plan.integer_dtypes]
    float_inputs = [name for name in plan.inputs if name not in plan.integer_dtypes]
    rows, x = _cache_rows(stream, float_inputs, np.float32, include_targets=True)
    if integer_inputs:
        x |= _cache_rows(stream, integer_inputs, np.int64)[1]
    x = {name: x[name] for name in plan.inputs}
    targets = list(plan.targets) or [None]
    y = {name: np.array(rows[:, index - len(targets) - 1]) for index, name in enumerate(targets)}
    for name, target in plan.targets.items():
        y[name] = y[name] if target.classes is None else y[name].astype(np.int32)
    examples = Examples(
        x.get(None, x),
        unwrap_single(y),
        plan.class_names,
        dict(plan.inputs),
        np.array(rows[:, -1]) if plan.weight_column is not None else None,
    )
    return make_windowed_dataset(examples, _read_row_order(row_groups, plan), windows, plan)


def _cache_rows(
    stream: StreamedRows,
    names: Sequence[str | None],
    dtype: type[np.generic],
    *,
    include_targets: bool = False,
) -> tuple[Array, dict[str | None, Any]]:
    """The rows of some inputs in a file of the cache, with ``targets`` then these and the weight; and each input in it."""
    row_groups, plan = stream.row_groups, stream.plan
    ends = np.cumsum([len(plan.inputs[name]) for name in names], dtype=int).tolist()

    def write(target: Path) -> None:
        width = (ends[-1] if ends else 0) + (max(len(plan.targets), 1) + 1 if include_targets else 0)
        file = np.lib.format.open_memmap(target, "w+", dtype, (len(stream), width))
        first = 0
        for number in range(len(row_groups.groups)):
            examples = row_groups.read_examples(number, plan)
            arrays = dict(examples.inputs)
            columns = [arrays[name] for name in names]
            if include_targets:
                weights = np.ones(len(examples)) if examples.weights is None else examples.weights
                columns += [array[:, None] for array in (*(y for _, y in examples.targets), weights)]
            file[first : first + len(examples)] = np.concatenate(columns, axis=1)
            first += len(examples)
        file.flush()

    key = hash_json([*row_groups.cache_key(plan), names, np.dtype(dtype).name])
    rows = np.load(Cache.default().get_entry(f"rows-{key}.npy", write), mmap_mode="r")
    return rows, {
        name: rows[:, end - len(plan.inputs[name]) : end] for name, end in zip(names, ends, strict=True)
    }


def _read_row_order(row_groups: RowGroups, plan: TablePlan) -> RowOrder:
    series_ids, series, kept_masks = SeriesIds(plan.series_columns), [], []
    for number in range(len(row_groups.groups)) if plan.series_columns or plan.required_columns else ():
        table = row_groups.read_table(number, [*plan.series_columns, *plan.required_columns])
        mask = find_complete_rows(table, plan)
        series.append(series_ids.assign(table))
        kept_masks.append(np.ones(len(table), dtype=bool) if mask is None else mask)
    return order_rows(
        np.concatenate([own for own in series if own is not None])
        if plan.series_columns and series
        else None,
        [metadata.num_rows for metadata in row_groups.metadata],
        np.concatenate(kept_masks) if plan.required_columns and kept_masks else None,
    )
