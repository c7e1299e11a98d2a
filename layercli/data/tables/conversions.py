"""Conversion of the texts in a table to the numbers, booleans and dates that the config needs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, TypeAlias

import numpy as np

from layercli.activity import track_items
from layercli.config.data.tables import DEFAULT_WORD, TableConfig
from layercli.data.tables.arrow import is_text_type
from layercli.data.tables.dates import DateContent, convert_date_column, is_date_type
from layercli.data.tables.files import LocateRow
from layercli.data.tables.number_texts import (
    BOOLEAN_WORDS,
    NumberFormat,
    TextContent,
    convert_booleans,
    convert_numbers,
)
from layercli.data.types import Array, make_data_finding
from layercli.graph.finding import Finding
from layercli.source.nodes import sanitize_text

ColumnUse: TypeAlias = Literal["number", "text", "date", "any"]
"""What a column is used as; any: a target, or an input whose dtype is unknown."""
_INSPECTED_ROWS: Final = 1 << 15
"""The number of texts that are converted together."""
_MAX_HINT_VALUES: Final = 6


@dataclass(frozen=True, slots=True)
class Inspection:
    """The contents of the texts of a table."""

    conversions: dict[str, str] = field(default_factory=dict)
    """Column -> integer, number, boolean, or the form of its dates, one of ``DATE_ORDERS``."""
    contents: dict[str, TextContent] = field(default_factory=dict)
    """What the columns with texts contain."""
    errors: tuple[Finding, ...] = ()
    """Dates that cannot be read."""
    warnings: tuple[Finding, ...] = ()


def list_column_uses(
    names: Iterable[str], data: TableConfig, dtypes: Mapping[str | None, str]
) -> dict[str, ColumnUse]:
    """Return what each column is used as; columns without a use, such as the ids of series, are left out.

    ``dtypes`` maps the inputs of the model to their dtypes; None is the name of the only one.
    """
    uses: dict[str, ColumnUse] = {}
    inputs = data.inputs
    if inputs is None:
        others = {
            *(column for _, column, _ in data.target_references),
            data.weights,
            *((data.windows.by or []) if data.windows else []),
            data.windows.time if data.windows else None,
            *data.split.key_columns.values(),
        }
        inputs = {None: [name for name in names if name not in others]}  # type: ignore[dict-item]
    for name, columns in inputs.items():
        dtype = dtypes.get(name, dtypes.get(None))
        use: ColumnUse = "number"
        if dtype == "string":
            use = "text"
        elif dtype is None and name is not None:
            use = "any"
        # Texts may be both an input of texts and another one.
        uses |= {column: use for column in columns if uses.get(column) != "text"}
    for output, column, _ in data.target_references:
        are_numbers = len(data.target_columns[output]) > 1 or data.target_type_of(output) == "numbers"
        kind: ColumnUse = "text" if column in data.label_separators else "number" if are_numbers else "any"
        uses.setdefault(column, kind)
    if data.weights is not None:
        uses[data.weights] = "number"
    kinds: dict[str, ColumnUse] = {"text": "text", "number": "number"}
    uses |= {name: kinds[kind] for name, kind in data.types.items()}
    return uses | dict.fromkeys(data.dates, "date")


def declare_texts(data: TableConfig, uses: Mapping[str, ColumnUse]) -> TableConfig:
    """Return the section with the type text for the columns of inputs of texts, so that they keep their spelling."""
    texts = {name: "text" for name, use in uses.items() if use == "text"}
    return data.with_arguments(types=texts | data.types)


def inspect_texts(
    types: Mapping[str, Any],
    batches: Iterable[tuple[Any, Array]],
    data: TableConfig,
    uses: Mapping[str, ColumnUse],
    locate: LocateRow,
    *,
    is_trained: bool = False,
) -> Inspection:
    """Return what the columns of texts contain, and how those that are used as numbers or dates are converted.

    ``batches`` are Arrow tables with these column types, and the numbers of their rows. ``is_trained`` says that the uses
    are those of training, so that a number may have signs that others lack.
    """
    number_format = NumberFormat.of(data)
    contents = {
        name: TextContent(number_format)
        for name, kind in types.items()
        if is_text_type(kind) and name in uses and name not in data.dates
    }
    dates = {
        name: DateContent.of_order(declared.order)
        for name, declared in data.date_columns.items()
        if name in types and not is_date_type(types[name])
    }
    for table, rows in batches if contents or dates else ():
        parts = [  # looking at texts takes several copies of them
            (name, slice(first, first + _INSPECTED_ROWS))
            for name in contents
            for first in range(0, len(rows), _INSPECTED_ROWS)
        ]
        for name, part in track_items(parts, len(parts)):
            contents[name].add(table.column(name)[part], rows[part])
        for name, date_content in dates.items():
            date_content.add(table.column(name), rows)
    conversions = {
        name: conversion
        for name, content in contents.items()
        if (conversion := _choose_conversion(content, uses[name], is_trained=is_trained)) is not None
    }
    conversions |= {name: declared.order for name, declared in data.date_columns.items() if declared.order}
    conversions |= {name: content.order for name, content in dates.items() if content.order is not None}
    errors = [
        finding
        for name, content in dates.items()
        if (finding := _check_dates(name, content, locate)) is not None
    ]
    return Inspection(
        conversions, contents, tuple(errors), tuple(_list_warnings(contents, dates, data, uses, locate))
    )


def _choose_conversion(content: TextContent, use: ColumnUse, *, is_trained: bool) -> str | None:
    if use == "text":
        return None
    if content.are_numbers or (is_trained and use == "number" and content.values == content.numbers):
        return "integer" if content.is_integral else "number"
    return "boolean" if use == "number" and content.are_booleans else None


def convert_table(table: Any, conversions: Mapping[str, str], data: TableConfig) -> Any:
    """Return the table with converted columns; a text that cannot be converted becomes a missing value."""
    import pyarrow as pa

    if not conversions and not data.dates:
        return table
    columns = [
        _convert_column(column, name, conversions.get(name), data)
        for name, column in zip(table.column_names, table.columns, strict=True)
    ]
    return pa.Table.from_arrays(columns, names=table.column_names)


def _convert_column(column: Any, name: str, conversion: str | None, data: TableConfig) -> Any:
    import pyarrow as pa

    if name in data.dates:
        return convert_date_column(column, conversion)
    if conversion is None or not is_text_type(column.type):
        return column
    if conversion == "boolean":
        return convert_booleans(column)
    numbers = convert_numbers(column, NumberFormat.of(data))
    return numbers if conversion == "integer" else numbers.cast(pa.float64(), safe=False)


def describe_strays(column: str, content: TextContent, locate: LocateRow) -> tuple[str, str] | None:
    """Return where the first value that is not a number is, and a hint; None if most values are not numbers.

    Numbers in another format, such as 1,5, count as numbers.
    """
    strays = list(content.strays)
    if not content.are_mostly_numbers and (
        not strays or find_other_format(strays, content.number_format) is None
    ):
        return None
    place = _locate_stray(column, content, locate)
    return place, _suggest_number_key(column, content)


def describe_no_boolean(column: str, content: TextContent, locate: LocateRow) -> str | None:
    """Return where the first value is that is not a boolean word like the others; None for other columns."""
    words = [text for text in content.strays if any(text.lower() in pair for pair in BOOLEAN_WORDS)]
    others = [(row, text) for text, row in content.strays.items() if text not in words]
    if not words or not others or len(others) > len(words):
        return None
    row, text = min(others)
    return f'{locate(column, row)} has "{sanitize_text(text, limit=40)}"'


def count_numbers(content: TextContent) -> str:
    """Return how many values of a column are numbers, as a part of a sentence."""
    if not content.are_mostly_numbers:
        return "its values seem to be numbers in another format"
    return f"{content.numbers:,} of its {content.values:,} values are numbers"


def _locate_stray(column: str, content: TextContent, locate: LocateRow) -> str:
    first = content.first_stray
    assert first is not None
    row, text = first
    return f'{locate(column, row)} has "{sanitize_text(text, limit=40)}"'


def _suggest_number_key(column: str, content: TextContent) -> str:
    """Return a hint for a column of which most values are numbers."""
    shown = sanitize_text(column, limit=60)
    strays = list(content.strays)
    other = find_other_format(strays, content.number_format)
    if other is not None:
        keys = [f'`decimal: "{other.decimal}"`'] if other.decimal != content.number_format.decimal else []
        keys += (
            [f'`thousands: "{other.thousands}"`']
            if other.thousands not in (None, content.number_format.thousands)
            else []
        )
        return f"Set {' and '.join(keys)}."
    if not strays:
        return f"Write all of its values with the same sign, or read it as text: `types: {{{shown}: text}}`."
    listed = ", ".join(quote_word(stray) for stray in strays[:_MAX_HINT_VALUES])
    more = ", ..." if len(strays) > _MAX_HINT_VALUES else ""
    return (
        f"If this means a missing value, set `missing: {{values: [{DEFAULT_WORD}, {listed}{more}]}}`; if the column is "
        f"text, set `types: {{{shown}: text}}`."
    )


def are_dates(content: TextContent | None) -> bool:
    """Return whether the first distinct values of a column of texts are dates."""
    if content is None or not content.strays:
        return False
    dates = DateContent()
    dates.add(pa_texts(content.strays), np.arange(len(content.strays)))
    return dates.order in ("ymd", "dmy", "mdy", "time") and not dates.bad_count


def pa_texts(texts: Iterable[str]) -> Any:
    """Return texts as an Arrow array."""
    import pyarrow as pa

    return pa.array(list(texts), pa.string())


def quote_word(text: str) -> str:
    """Return a text as a YAML value in quotes."""
    return json.dumps(sanitize_text(text, limit=40), ensure_ascii=False)


def find_other_format(texts: list[str], current: NumberFormat) -> NumberFormat | None:
    """Return the format of numbers that all texts have, other than the current one; None if there is none."""
    formats = (
        current._replace(thousands="," if current.decimal == "." else "."),
        NumberFormat(","),
        NumberFormat(",", "."),
        NumberFormat(".", ","),
    )
    for number_format in formats:
        content = TextContent(number_format)
        content.add(pa_texts(texts), np.arange(len(texts)))
        if number_format != current and content.are_numbers:
            return number_format
    return None


def _check_dates(name: str, content: DateContent, locate: LocateRow) -> Finding | None:
    title = f"`{sanitize_text(name, limit=60)}`"
    bad = content.first_bad
    if not content.values or (content.order is not None and bad is None):
        return None
    if content.order is None or bad is None:
        return make_data_finding(
            f"The column {title} must contain dates ({locate(name, content.first_row)}).",
            ("data", "dates", name),
            "Write the dates as 2020-12-31, 31.12.2020, 12/31/2020 or seconds since 1970; or remove the column from `dates`.",
        )
    row, text = bad
    count = content.bad_count
    affected = "" if count == 1 else f" ({count:,} rows affected)"
    return make_data_finding(
        f'The column {title} must contain dates, got "{sanitize_text(text, limit=40)}" in {locate(name, row)}{affected}.',
        ("data", "dates", name),
        f"Correct it, or set `missing: {{values: [{DEFAULT_WORD}, {quote_word(text)}]}}` if it means a missing value.",
    )


def _list_warnings(
    contents: Mapping[str, TextContent],
    dates: Mapping[str, DateContent],
    data: TableConfig,
    uses: Mapping[str, ColumnUse],
    locate: LocateRow,
) -> Iterator[Finding]:
    for name, content in contents.items():
        if uses[name] == "number" or name in data.types:
            continue
        found = describe_strays(name, content, locate)
        if found is not None:
            place, hint = found
            yield replace(
                make_data_finding(
                    f"`{sanitize_text(name, limit=60)}` is read as text, although {count_numbers(content)}: {place}.",
                    ("data",),
                    hint,
                ),
                code="mixed-column",
                severity="warning",
            )
    for name, content_of_dates in dates.items():
        if content_of_dates.is_ambiguous:
            order = content_of_dates.order
            other = "mdy" if order == "dmy" else "dmy"
            features = ", ".join(data.date_columns[name].features)
            yield replace(
                make_data_finding(
                    f"The dates of `{sanitize_text(name, limit=60)}` are valid with the day first and with the month first; "
                    f"they are read with the {'day' if order == 'dmy' else 'month'} first.",
                    ("data", "dates", name),
                    f"Declare it: `{name}: {{order: {order}, features: [{features}]}}`, or `order: {other}`.",
                ),
                code="ambiguous-dates",
                severity="warning",
            )
