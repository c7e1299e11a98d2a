"""Columns that probably contain the target: they repeat it, determine it, or sum to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np

from layercli.config.data.section import DataConfig
from layercli.config.data.tables import TableConfig
from layercli.data.examples import Dataset
from layercli.data.types import Array
from layercli.graph.finding import Finding
from layercli.source.nodes import sanitize_text

MAX_LEAK_ROWS: Final = 50_000
"""Number of rows that are compared."""
_MAX_COMPARED_VALUES: Final = 10_000_000
_MIN_ROWS: Final = 20
_MIN_ROWS_PER_VALUE: Final = 3
"""Columns with fewer rows for each value, such as ids, determine every target."""
_MAX_PAIRED_COLUMNS: Final = 64
_TOLERANCE: Final = 1e-5
_MAX_CLASSES: Final = 20
"""A target of numbers with more distinct values is a quantity."""


def check_leaks(dataset: Dataset, data: DataConfig) -> Iterator[Finding]:
    """Warn about columns of a table that probably contain the target."""
    columns = dataset.empty_batch.columns
    count = sum(map(len, columns.values()))
    if not count or not len(dataset) or (isinstance(data, TableConfig) and data.windows is not None):
        return
    batch = next(iter(dataset.batches(min(MAX_LEAK_ROWS, max(1, _MAX_COMPARED_VALUES // count)))))
    inputs: dict[str, Array] = {}
    input_of: dict[str, str | None] = {}
    for name, array in batch.inputs:
        for index, column in enumerate(columns.get(name, ())):
            inputs[column] = (
                array[:, index] if array.dtype.kind in "fO" else array[:, index].astype(np.float64)
            )
            input_of[column] = name
    for _, target in batch.targets:
        if target.ndim > 1:
            continue
        for column, reason in find_leaks(inputs, target.astype(np.float64)).items():
            name = input_of[column]
            yield Finding(
                code="probable-leak",
                message=f"`{sanitize_text(column, limit=60)}` {reason}.",
                path=("data",) if name is None else ("data", "inputs", name),
                hint="Leave it out with `inputs`, unless it is known before the target is.",
                severity="warning",
            )


def find_leaks(columns: Mapping[str, Array], target: Array) -> dict[str, str]:
    """Return the columns that probably contain the target, each with the reason as the rest of a sentence.

    The arrays have shape (rows,): floating point with NaN for missing numbers, or objects for texts.
    """
    if len(target) < _MIN_ROWS:
        return {}
    target_codes = _number_values(target)
    class_count = int(target_codes.max()) + 1
    if class_count < 2:
        return {}
    leaks = {
        name: reason
        for name, values in columns.items()
        if (reason := _describe_leak(values, target, target_codes, class_count)) is not None
    }
    if target.dtype.kind == "f" and class_count > _MAX_CLASSES:
        numbers = {
            name: values for name, values in columns.items() if values.dtype.kind == "f" and name not in leaks
        }
        leaks |= _find_sums(numbers, target)
    return leaks


def _number_values(values: Array) -> Array:
    """Return a number from 0 for each distinct value: int64 of shape (rows,)."""
    if values.dtype.kind == "O":  # NumPy would give each text the size of the longest
        numbers: dict[str, int] = {}
        return np.array([numbers.setdefault(str(value), len(numbers)) for value in values], dtype=np.int64)
    return np.asarray(np.unique(values, return_inverse=True, equal_nan=values.dtype.kind == "f")[1]).ravel()


def _describe_leak(values: Array, target: Array, target_codes: Array, class_count: int) -> str | None:
    codes = _number_values(values)
    value_count = int(codes.max()) + 1
    if value_count > 1 and len(codes) >= _MIN_ROWS_PER_VALUE * value_count:
        pairs = np.unique(codes * class_count + target_codes)
        if len(pairs) == value_count:
            return (
                "repeats the target"
                if value_count == class_count
                else "determines the target: each of its values has one value of the target"
            )
    if values.dtype.kind == "f" and target.dtype.kind == "f" and _are_linear(values, target):
        return "is the target in different units"
    return None


@np.errstate(over="ignore", invalid="ignore")  # of numbers whose squares are too large
def _are_linear(values: Array, target: Array) -> bool:
    known = np.isfinite(values) & np.isfinite(target)
    x, y = values[known].astype(np.float64), target[known].astype(np.float64)
    if (
        len(x) < _MIN_ROWS
        or len(x) < len(target) // 2
        or x.std() == 0
        or y.std() == 0
        or len(np.unique(y)) <= 2
    ):
        return False
    slope = ((x - x.mean()) * (y - y.mean())).mean() / x.var()
    residuals = y - y.mean() - slope * (x - x.mean())
    return bool(np.abs(residuals).max() < _TOLERANCE * y.std())


def _is_varying(values: Array) -> bool:
    """Return whether all values are finite numbers, and not all are equal."""
    return bool(np.isfinite(values).all() and values.min() < values.max())


def _find_sums(columns: Mapping[str, Array], target: Array) -> dict[str, str]:
    """Return the pairs of columns whose sum or difference is the target."""
    names = [name for name, values in columns.items() if _is_varying(values)][:_MAX_PAIRED_COLUMNS]
    known = np.isfinite(target)
    if not known.any():
        return {}
    scale = np.abs(target[known]).max(initial=0) * _TOLERANCE
    leaks: dict[str, str] = {}
    for number, first in enumerate(names):
        for second in names[number + 1 :]:
            for sign, title in ((1, "sum"), (-1, "difference")):
                total = columns[first] + sign * columns[second]
                is_equal = np.abs(np.abs(total[known]) - np.abs(target[known])) <= scale
                if is_equal.all():
                    leaks[first] = f"is part of the target, which is the {title} of `{first}` and `{second}`"
                    leaks[second] = leaks[first]
    return leaks
