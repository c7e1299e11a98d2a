"""Integer inputs, such as ids for a lookup: check and decode them without loss of precision."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from layercli.data.tables.arrow import is_number_type
from layercli.data.tables.files import LocateRow
from layercli.data.tables.plan import TablePlan
from layercli.data.types import Array, make_data_finding
from layercli.graph.finding import Finding
from layercli.source.nodes import KeyPath, sanitize_text

_MAX_EXACT_INTEGER: Final = 1 << 24
"""Largest integer up to which float32 is exact."""
_MISSING: Final = "is missing"
_INEXACT: Final = "is a decimal number that is too large to be exact"


class IntegerColumnCheck:
    """Check of all columns of integer inputs, some rows at a time."""

    def __init__(self, plan: TablePlan) -> None:
        self._fill_values = plan.fill_values
        self._input_by_column = {column: name for name in plan.integer_dtypes for column in plan.inputs[name]}
        self._bounds = {
            column: np.iinfo(dtype)
            for name, dtype in plan.integer_dtypes.items()
            for column in plan.inputs[name]
        }
        self._errors: dict[tuple[str, str], list[int]] = {}
        """(column, problem) -> first affected row and number of affected rows."""

    @property
    def columns(self) -> list[str]:
        """The columns to check."""
        return list(self._input_by_column)

    def add(self, table: Any, rows: Array) -> None:
        """Check rows of a table; ``rows`` of shape (rows,) are their numbers in the whole table."""
        for name in self._input_by_column:
            self._check_column(name, table.column(name), rows)

    def _check_column(self, name: str, column: Any, rows: Array) -> None:
        if not is_number_type(column.type):
            self._record_error(name, "is text", np.ones(len(rows), bool), rows)
            return
        values, missing = extract_integers(column)
        if name not in self._fill_values:
            self._record_error(name, _MISSING, missing, rows)
        if values.dtype.kind == "f":
            is_fraction = ~missing & (values != np.floor(values))
            is_inexact = ~missing & ~is_fraction & (np.abs(values) > _MAX_EXACT_INTEGER)
            self._record_error(name, "is not an integer", is_fraction, rows)
            self._record_error(name, _INEXACT, is_inexact, rows)
        bounds = self._bounds[name]
        is_outside = ~missing & ((values < bounds.min) | (values > bounds.max))
        self._record_error(name, f"does not fit into {bounds.dtype}", is_outside, rows)

    def _record_error(self, column: str, problem: str, is_wrong: Array, rows: Array) -> None:
        count = int(np.count_nonzero(is_wrong))
        if count:
            self._errors.setdefault((column, problem), [int(rows[is_wrong.argmax()]), 0])[1] += count

    def list_findings(self, locate: LocateRow) -> list[Finding]:
        """Return the problems of all rows so far: the first invalid value of each column and problem."""
        findings = [
            self._make_finding(column, problem, row, count, locate)
            for (column, problem), (row, count) in self._errors.items()
        ]
        return findings + [
            make_data_finding(
                f"The replacement of missing values of `{sanitize_text(column, limit=60)}` must be an integer "
                f"because the model input has an integer dtype, got {value}.",
                ("data", "missing"),
                "Write an integer.",
            )
            for column, value in self._fill_values.items()
            if column in self._input_by_column and float(value) != int(float(value))
        ]

    def _make_finding(self, column: str, problem: str, row: int, count: int, locate: LocateRow) -> Finding:
        name = self._input_by_column[column]
        path: KeyPath = ("data", "inputs", name) if name is not None else ("data",)
        affected = "" if count == 1 else f" ({count:,} rows affected)"
        hints = {
            _MISSING: f"Set a replacement with `missing: {{columns: {{{column}: 0}}}}`, or use `drop`.",
            _INEXACT: "Save the column as integers, and remove it from `types`.",
        }
        return make_data_finding(
            f"`{sanitize_text(column, limit=60)}` {problem} in {locate(column, row)}{affected}; "
            "the model input has an integer dtype.",
            path,
            hints.get(problem, "Correct the data, or set the dtype of the model input to float32."),
        )


def extract_integers(column: Any) -> tuple[Array, Array]:
    """Return the numbers of an Arrow column and a mask of missing numbers, both of shape (rows,).

    The numbers are integers or floating point, and 0 where missing.
    """
    import pyarrow as pa

    missing = np.asarray(column.is_null().to_numpy())
    kind = column.type
    if pa.types.is_null(kind) or pa.types.is_boolean(kind):
        column = column.cast(pa.int64())
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        column = column.cast(pa.float64())
    values = np.asarray(column.fill_null(0).to_numpy())
    if values.dtype.kind == "f":
        missing = missing | np.isnan(values)
        values = np.where(missing, 0, values)
    return values, missing


def decode_integers(
    table: Any, columns: tuple[str, ...], fill_values: Mapping[str, float | str], dtype: str
) -> Array:
    """Return integer columns side by side, of shape (rows, columns); ``IntegerColumnCheck`` must have checked them."""
    out = np.empty((table.num_rows, len(columns)), dtype=dtype)
    for index, name in enumerate(columns):
        values, missing = extract_integers(table.column(name))
        if missing.any():
            values = np.where(missing, int(float(fill_values.get(name, 0))), values)
        out[:, index] = values
    return out
