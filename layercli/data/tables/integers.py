"""Inputs of whole numbers, such as ids for a lookup: each number is the one that the file has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from layercli.data.examples import Array, DataError
from layercli.graph.finding import Finding
from layercli.source.nodes import KeyPath, sanitize_text

if TYPE_CHECKING:
    from layercli.data.tables.columns import LocateRow
    from layercli.data.tables.plan import TablePlan

_MAX_EXACT_INTEGER: Final = 1 << 24
"""Up to here every whole number is a number in floating point, too."""


class IntegerColumnCheck:
    """Looks at all columns of inputs that are whole numbers, some rows at a time, and then tells what is wrong."""

    def __init__(self, plan: TablePlan) -> None:
        self._fill_values = plan.fill_values
        self._input_by_column = {column: name for name in plan.integer_dtypes for column in plan.inputs[name]}
        self._bounds = {
            column: np.iinfo(dtype)
            for name, dtype in plan.integer_dtypes.items()
            for column in plan.inputs[name]
        }
        self._errors: dict[tuple[str, str], list[int]] = {}
        """A column and what is wrong -> the first row, and how many."""

    @property
    def columns(self) -> list[str]:
        """What it looks at."""
        return list(self._input_by_column)

    def add(self, table: Any, rows: Array) -> None:
        """These rows of a table."""
        from layercli.data.tables.columns import is_number_type

        for name in self._input_by_column:
            column = table.column(name)
            if not is_number_type(column.type):
                self._record_error(name, "is text", np.ones(len(rows), bool), rows)
                continue
            values, missing = extract_integers(column)
            if name not in self._fill_values:
                self._record_error(name, "is missing", missing, rows)
            bounds = self._bounds[name]
            if values.dtype.kind == "f":
                fraction = ~missing & (values != np.floor(values))
                self._record_error(name, "is no whole number", fraction, rows)
                self._record_error(name, "has a decimal point, and is too large to be exact so",
                           ~missing & ~fraction & (np.abs(values) > _MAX_EXACT_INTEGER), rows)  # fmt: skip
            self._record_error(
                name, f"does not fit into {bounds.dtype}",
                ~missing & ((values < bounds.min) | (values > bounds.max)), rows,
            )  # fmt: skip

    def _record_error(self, column: str, problem: str, is_wrong: Array, rows: Array) -> None:
        count = int(np.count_nonzero(is_wrong))
        if count:
            self._errors.setdefault((column, problem), [int(rows[is_wrong.argmax()]), 0])[1] += count

    def raise_findings(self, locate: LocateRow) -> None:
        """Say what is wrong.

        Raises:
            RefusedDataError: there are such numbers; of each column the first is told.
        """
        from layercli.data.tables.columns import make_data_finding

        findings = [
            self._make_finding(column, what, row, count, locate)
            for (column, what), (row, count) in self._errors.items()
        ]
        findings += [
            make_data_finding(
                f"A missing number of `{sanitize_text(column, limit=60)}` becomes {value}, but the input is of whole numbers.",
                ("data", "missing"), "Write a whole number.",
            )
            for column, value in self._fill_values.items()
            if column in self._input_by_column and float(value) != int(float(value))
        ]  # fmt: skip
        if findings:
            raise DataError(*findings)

    def _make_finding(self, column: str, problem: str, row: int, count: int, locate: LocateRow) -> Finding:
        from layercli.data.tables.columns import make_data_finding

        name = self._input_by_column[column]
        path: KeyPath = ("data", "inputs", name) if name is not None else ("data",)
        others = "" if count == 1 else f", and in {count:,} rows in all"
        hints = {
            "is missing": "Say what stands in its place: `missing: {columns: {" + column + ": 0}}`, or `drop`.",
            "has a decimal point, and is too large to be exact so": "Save it as whole numbers, and leave it out of `types`.",
        }  # fmt: skip
        return make_data_finding(
            f"`{sanitize_text(column, limit=60)}` {problem} in {locate(column, row)}{others}; the model's input is of whole numbers.",
            path,
            hints.get(problem, "Correct the data, or give the model's input the dtype float32."),
        )


def extract_integers(column: Any) -> tuple[Array, Array]:
    """The numbers of an Arrow column, 0 where they are missing: int64 or floating point; and which are missing."""
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
    """Columns of whole numbers side by side, of shape (rows, columns); a ``WholeSurvey`` has looked at them."""
    out = np.empty((table.num_rows, len(columns)), dtype=dtype)
    for index, name in enumerate(columns):
        values, missing = extract_integers(table.column(name))
        out[:, index] = (
            np.where(missing, int(float(fill_values.get(name, 0))), values) if missing.any() else values
        )
    return out
