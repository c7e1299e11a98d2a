"""New rows of a table, some at a time, decoded with the plan of training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from layercli.config.data.tables import TRUE_WORDS, TableConfig
from layercli.data.examples import Examples
from layercli.data.new_examples import NewExamples, make_row_columns, read_separately
from layercli.data.tables.arrow import list_values, map_column_types
from layercli.data.tables.conversions import convert_table, pa_texts
from layercli.data.tables.dates import parse_dates
from layercli.data.tables.decode import decode_table
from layercli.data.tables.integers import IntegerColumnCheck
from layercli.data.tables.number_texts import BOOLEAN_WORDS, NumberFormat, strip_signs
from layercli.data.tables.open import convert_new
from layercli.data.tables.plan import TablePlan
from layercli.data.tables.row_groups import RowGroups
from layercli.data.types import DataError
from layercli.source.nodes import sanitize_text

_BATCH_ROWS = 4096
"""Rows that are decoded together."""


def decode_new_table(table: Any, data: TableConfig, plan: TablePlan) -> Examples:
    """Return all rows of an Arrow table as examples, converted as those of training; see ``decode_table``.

    ``data`` is the section of ``declare_trained_columns``.

    Raises:
        DataError: a value is not of the kind of its column in training.
    """
    rows = np.arange(len(table))
    types = {name: kind for name, kind in map_column_types(table.schema).items() if name in plan.columns}
    conversions = convert_new(types, [(table, rows)], data, plan, _locate_nothing)
    converted = convert_table(table, conversions, data)
    check = IntegerColumnCheck(plan)
    check.add(converted, rows)
    findings = check.list_findings(_locate_nothing)
    if findings:
        raise DataError(*findings)
    return decode_table(converted, plan)


def _locate_nothing(_column: str, _row: int) -> str:
    return "the row"


def describe_wrong_values(
    name: str, values: Sequence[str], data: TableConfig, plan: TablePlan
) -> list[str | None]:
    """Return what is wrong with each text of a column; None for those that are of the kind of the column in training.

    It finds most wrong values of many rows at once; reading the others finds the rest.
    """
    title = sanitize_text(name, limit=60)
    texts = pa_texts(value.strip() for value in values)
    words = {word for pair in BOOLEAN_WORDS for word in pair}
    is_missing = np.array([text in ("", *data.missing.words) for text in texts.to_pylist()], dtype=bool)
    is_wrong, expected = np.zeros(len(values), dtype=bool), "a number"
    if name in data.dates:
        order, expected = data.date_columns[name].order, "a date"
        if order is not None:
            is_wrong = np.isnat(parse_dates(texts, order))
    elif data.types.get(name) == "number":
        is_number = strip_signs(texts, NumberFormat.of(data)).texts.is_valid().to_numpy(zero_copy_only=False)
        is_wrong = ~is_number & np.array(
            [text.lower() not in words for text in texts.to_pylist()], dtype=bool
        )
    errors: list[str | None] = [
        f'`{title}` must be {expected}, got "{sanitize_text(value.strip(), limit=40)}"' if wrong else None
        for value, wrong in zip(values, is_wrong & ~is_missing, strict=True)
    ]
    integers = {column for input_name in plan.integer_dtypes for column in plan.inputs[input_name]}
    if name in integers and name not in plan.fill_values:
        errors = [
            f"`{title}` is missing" if missing else error
            for error, missing in zip(errors, is_missing, strict=True)
        ]
    return errors


def unify_boolean(value: str) -> str:
    """Return 1 or 0 for a boolean word, so that rows with words of different pairs can be read together."""
    word = value.strip().lower()
    if not any(word in pair for pair in BOOLEAN_WORDS):
        return value
    return "1" if word in TRUE_WORDS else "0"


def unify_number(value: str, number_format: NumberFormat) -> str:
    """Return a number that is written in a format of numbers as a plain one; other texts unchanged.

    Raises:
        ValueError: it is a number in the usual format only, so that its meaning would change with the format.
    """
    if number_format == NumberFormat() and value[:1].isdigit():
        return value
    texts = pa_texts([value.strip()])
    plain = strip_signs(texts, number_format).texts[0].as_py()
    if plain is None and strip_signs(texts, NumberFormat()).texts[0].as_py() is not None:
        raise ValueError
    return value if plain is None else str(plain)


def iterate_row_groups(
    row_groups: RowGroups, data: TableConfig, plan: TablePlan, keep: Sequence[str]
) -> Iterator[NewExamples]:
    """Yield the rows of row groups, some at a time, without targets."""
    rows_before = 0
    for number in range(len(row_groups.groups)):
        table = row_groups.read_table(number, list(dict.fromkeys([*plan.columns, *keep])))
        for first in range(0, len(table), _BATCH_ROWS) or (0,):  # without rows the output has its columns
            rows = table[first : first + _BATCH_ROWS]
            yield _read_rows(rows, data, plan, keep, rows_before)
            rows_before += len(rows)


def _read_rows(
    table: Any, data: TableConfig, plan: TablePlan, keep: Sequence[str], rows_before: int
) -> NewExamples:
    def describe(_row: int, error: DataError) -> str:
        return sanitize_text(error.findings[0].message, limit=200).rstrip(".")

    found, errors = read_separately(
        len(table), lambda first, last: decode_new_table(table[first:last], data, plan), describe
    )
    examples = decode_new_table(table[:0], data, plan) if found is None else found
    kept = {name: list_values(table.column(name)) for name in keep}
    columns = make_row_columns(rows_before, len(table), kept)
    return NewExamples(examples, tuple(errors), columns).without_non_finite()
