"""Decode Arrow tables into examples, as a table plan says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, NoReturn

import numpy as np

from layercli.data.examples import Examples
from layercli.data.labels import ConvertedForm, convert_target, describe_unknown_label, unwrap_single
from layercli.data.tables.dates import extract_feature
from layercli.data.tables.integers import decode_integers
from layercli.data.tables.label_lists import encode_labels, find_unknown_labels, split_labels
from layercli.data.tables.plan import TablePlan, TargetPlan
from layercli.data.types import Array, DataError, Targets, make_aligned_array
from layercli.graph.finding import Finding
from layercli.source.nodes import KeyPath, sanitize_text

_RELEASED_BYTES = 1 << 25
"""Arrow keeps freed memory for later; it is returned to the system each time after this number of bytes."""
_FREED_ROWS = 1 << 16
"""Most rows that are decoded together before they are freed."""
_SLICE_ROWS = 4096
"""Rows that are copied together, so that they stay in the processor cache."""


def decode_table(table: Any, plan: TablePlan) -> Examples:
    """Return all rows of an Arrow table as examples.

    Inputs have shape (rows, columns): float32 with NaN for missing numbers, integers for integer inputs, objects for text.
    Labels are int32 of shape (rows,); other targets are float32 of shape (rows,) or, with several columns, (rows, columns).
    The weights are float32 of shape (rows,).

    Raises:
        DataError: a label is missing, or is an unknown class.
    """
    x: Any = {name: _decode_input(table, name, plan) for name in plan.inputs}
    return Examples(
        x.get(None, x),
        _decode_targets(table, plan),
        plan.class_names,
        dict(plan.inputs),
        None if plan.weight_column is None else _to_float32(table.column(plan.weight_column)),
        target_columns={name: target.value_names for name, target in plan.targets.items()},
    )


def decode_and_free(held: list[Any], plan: TablePlan, mask: Array | None = None) -> Examples:
    """Return the rows of an Arrow table as examples, as ``decode_table``; its inputs are freed as soon as they are decoded.

    Args:
        held: A list with the table, from which it is removed. The caller must not keep other references to it.
        plan: How rows become examples.
        mask: The rows to keep: bool of shape (rows,); None keeps all.

    Raises:
        DataError: a label is missing, or is an unknown class.
    """
    import pyarrow as pa

    table = held.pop()
    freed_inputs = [name for name in plan.inputs if name not in plan.integer_dtypes]
    others = replace(
        plan, inputs={name: plan.inputs[name] for name in plan.inputs if name not in freed_inputs}
    )
    rest = table.select([name for name in table.column_names if name in set(others.columns)])
    decoded = decode_table(rest if mask is None else rest.filter(mask), others)
    freed_plan = replace(
        plan,
        inputs={name: plan.inputs[name] for name in freed_inputs},
        targets={},
        weight_column=None,
        required_columns=(),
        series_columns=(),
    )
    freed_columns = set(freed_plan.columns)
    batches = table.select([name for name in table.column_names if name in freed_columns]).to_batches(
        _FREED_ROWS
    )
    rows = table.num_rows if mask is None else int(mask.sum())
    del table, rest
    batches.reverse()  # the last is removed first
    x: dict[Any, Array] = dict(decoded.inputs)
    for name in freed_inputs:
        shape = (rows, len(plan.inputs[name]))
        x[name] = np.empty(shape, object) if plan.is_text(name) else make_aligned_array(shape, np.float32)
    seen = done = freed = 0
    while batches:
        batch = batches.pop()
        piece = pa.Table.from_batches([batch])
        if mask is not None:
            piece = piece.filter(mask[seen : seen + len(batch)])
        for name in freed_inputs:
            x[name][done : done + len(piece)] = _decode_input(piece, name, freed_plan)
        seen, done, freed = seen + len(batch), done + len(piece), freed + batch.nbytes
        del batch, piece
        if freed > _RELEASED_BYTES:
            pa.default_memory_pool().release_unused()
            freed = 0
    pa.default_memory_pool().release_unused()
    ordered: Any = {name: x[name] for name in plan.inputs}
    return replace(decoded, x=ordered.get(None, ordered), columns=dict(plan.inputs))


def _decode_input(table: Any, name: str | None, plan: TablePlan) -> Array:
    columns = plan.inputs[name]
    if plan.is_text(name):
        return decode_texts(table, columns, plan.fill_values)
    if name in plan.integer_dtypes:
        return decode_integers(table, columns, plan.fill_values, plan.integer_dtypes[name])
    return decode_numbers(table, columns, plan)


def find_complete_rows(table: Any, plan: TablePlan) -> Array | None:
    """Return which rows have a value in every required column: bool of shape (rows,); None if all rows have them."""
    mask: Array | None = None
    for name in plan.required_columns:
        column = table.column(name)
        if column.null_count:
            is_valid = np.asarray(column.is_valid().to_numpy())
            mask = is_valid if mask is None else mask & is_valid
    return mask


def drop_incomplete_rows(table: Any, plan: TablePlan) -> Any:
    """Return the table without the rows that lack a value of a required column."""
    mask = find_complete_rows(table, plan)
    return table if mask is None else table.filter(mask)


@np.errstate(over="ignore")  # a check reports infinite values
def decode_numbers(table: Any, columns: tuple[str, ...], plan: TablePlan) -> Array:
    """Return number columns side by side: float32 of shape (rows, columns)."""
    fill_values = plan.fill_values
    arrays = [_decode_number(table, name, plan) for name in columns]
    for index, name in enumerate(columns):
        if name in fill_values and arrays[index].dtype.kind == "f":
            missing = np.isnan(arrays[index])
            if missing.any():
                arrays[index] = np.where(missing, np.float32(fill_values[name]), arrays[index])
    out = np.empty((table.num_rows, len(columns)), dtype=np.float32)
    for start in range(0, len(out), _SLICE_ROWS):
        for index, array in enumerate(arrays):
            out[start : start + _SLICE_ROWS, index] = array[start : start + _SLICE_ROWS]
    return out


def _decode_number(table: Any, name: str, plan: TablePlan) -> Array:
    number = plan.dates.get(name)
    if number is None:
        return _to_numeric(table.column(name))
    return extract_feature(table.column(number.column), number.feature) - number.first_day


def find_first_days(tables: Iterable[Any], plan: TablePlan) -> dict[str, float]:
    """Return the first date of each column of elapsed days, in days since 1970; 0 if there is none."""
    first_days = dict.fromkeys(plan.elapsed_columns, np.inf)
    for table in tables if first_days else ():
        for name in first_days:
            days = extract_feature(table.column(plan.source_of(name)), "elapsed")
            first_days[name] = min(
                first_days[name], float(np.min(days, initial=np.inf, where=~np.isnan(days)))
            )
    return {name: day if np.isfinite(day) else 0.0 for name, day in first_days.items()}


def decode_texts(table: Any, columns: tuple[str, ...], fill_values: Mapping[str, float | str]) -> Array:
    """Return text columns side by side: objects of shape (rows, columns)."""
    import pyarrow as pa

    out = np.empty((table.num_rows, len(columns)), dtype=object)
    for index, name in enumerate(columns):
        column = table.column(name).cast(pa.string())  # a column without values has the null type
        if column.null_count:
            column = column.fill_null(str(fill_values.get(name, "")))
        out[:, index] = column.to_numpy()
    return out


def _to_numeric(column: Any) -> Array:
    """Return the numbers of a column in their dtype; as floating point if a number is missing."""
    import pyarrow as pa

    kind = column.type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        column = column.cast(pa.float64())
    return np.asarray(column.to_numpy())


@np.errstate(over="ignore")  # a check reports infinite values
def _to_float32(column: Any) -> Array:
    return _to_numeric(column).astype(np.float32)


def _decode_targets(table: Any, plan: TablePlan) -> Targets:
    if not plan.targets:
        return np.zeros(table.num_rows, dtype=np.int32)
    decoded: Targets = unwrap_single(
        {name: _decode_target(table, name, target) for name, target in plan.targets.items()}
    )
    return decoded


def _decode_target(table: Any, name: str | None, target: TargetPlan) -> Array:
    import pyarrow as pa
    from pyarrow import compute

    if target.has_several_values:
        form = None if target.classes is None else ConvertedForm("labels", target.classes)
        return convert_target(_decode_several_values(table, name, target), form)
    column = table.column(target.columns[0])
    if target.classes is None:
        return _to_float32(column)
    if target.class_names is None:
        numbers = _to_numeric(column)
        is_integral = numbers.dtype.kind in "iu" or bool((numbers == np.floor(numbers)).all())
        return numbers.astype(np.int32 if is_integral else np.float32)
    texts = column.cast(pa.string())
    labels = np.asarray(
        compute.index_in(texts, pa.array(target.class_names, pa.string())).fill_null(-1).to_numpy()
    ).astype(np.int32)
    unknown = np.flatnonzero(labels < 0)
    if len(unknown):
        _raise_bad_label(name, target, texts[int(unknown[0])].as_py())
    return labels


def _decode_several_values(table: Any, name: str | None, target: TargetPlan) -> Array:
    """Return the numbers of several columns, or a 0 or 1 for each label: float32 of shape (rows, values)."""
    if target.labels is None:
        return np.stack([_to_float32(table.column(column)) for column in target.columns], axis=1)
    split = split_labels(table.column(target.columns[0]), str(target.label_separator))
    unknown = find_unknown_labels(split, target.labels)
    if unknown:
        _raise_bad_label(name, target, next(iter(unknown)))
    return encode_labels(split, table.num_rows, target.labels)


def _raise_bad_label(name: str | None, target: TargetPlan, value: str | None) -> NoReturn:
    message = f"The target `{sanitize_text(target.columns[0], limit=60)}` {describe_unknown_label(value)}."
    path: KeyPath = ("data", "target") if name is None else ("data", "target", name)
    raise DataError(Finding(code="bad-label", message=message, path=path, hint="Remove those rows."))
