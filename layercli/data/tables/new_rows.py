"""New rows of a table, some at a time, decoded with the plan of training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from layercli.data.examples import Examples
from layercli.data.labels import are_number_names
from layercli.data.new_examples import NewExamples, make_row_columns, read_separately
from layercli.data.tables.decode import decode_table
from layercli.data.tables.integers import IntegerColumnCheck
from layercli.data.tables.plan import TablePlan
from layercli.data.tables.row_groups import RowGroups
from layercli.data.types import DataError
from layercli.source.nodes import sanitize_text

_BATCH_ROWS = 4096
"""Rows that are decoded together."""


def list_trained_types(plan: TablePlan) -> dict[str, str]:
    """Return the type of each column, "text" or "number", as in training."""
    types = {
        column: "text" if column in plan.text_columns else "number"
        for name, columns in plan.inputs.items()
        for column in columns
        if name not in plan.integer_dtypes
    }
    types |= {
        column: "text"
        for target in plan.targets.values()
        for column in target.columns
        if not (
            {"true", "false"}.issuperset(target.class_names or ["true"])
            or are_number_names(target.class_names or ())
        )
    }
    return {name: kind for name, kind in types.items() if name in plan.columns}


def decode_new_table(table: Any, plan: TablePlan) -> Examples:
    """Return all rows of an Arrow table as examples; see ``decode_table``.

    Raises:
        DataError: a value of an integer column is missing or no integer.
    """
    check = IntegerColumnCheck(plan)
    check.add(table, np.arange(len(table)))
    check.raise_findings(lambda _column, _row: "the row")
    return decode_table(table, plan)


def iterate_row_groups(row_groups: RowGroups, plan: TablePlan, keep: Sequence[str]) -> Iterator[NewExamples]:
    """Yield the rows of row groups, some at a time, without targets."""
    rows_before = 0
    for number in range(len(row_groups.groups)):
        table = row_groups.read_table(number, list(dict.fromkeys([*plan.columns, *keep])))
        for first in range(0, len(table), _BATCH_ROWS):
            rows = table[first : first + _BATCH_ROWS]
            yield _read_rows(rows, plan, keep, rows_before)
            rows_before += len(rows)


def _read_rows(table: Any, plan: TablePlan, keep: Sequence[str], rows_before: int) -> NewExamples:
    def describe(_row: int, error: DataError) -> str:
        return sanitize_text(error.findings[0].message, limit=200).rstrip(".")

    found, errors = read_separately(
        len(table), lambda first, last: decode_new_table(table[first:last], plan), describe
    )
    examples = decode_table(table[:0], plan) if found is None else found
    kept = {name: table.column(name).to_pylist() for name in keep}
    columns = make_row_columns(rows_before, len(table), kept)
    return NewExamples(examples, tuple(errors), columns).without_non_finite()
