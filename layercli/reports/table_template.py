"""The `data` and `model` sections of a new config for a table."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from layercli.config.data.tables import DEFAULT_WORD
from layercli.config.names import RESERVED_NAMES
from layercli.formats.preview import ColumnPreview, TablePreview
from layercli.reports.config_template import (
    ConfigTemplate,
    ModelSize,
    TemplateTarget,
    describe_target,
    format_split,
)
from layercli.reports.template_layers import list_hidden_layers, list_vectorization_arguments
from layercli.reports.template_quotes import quote_always, quote_yaml_text

_MAX_LISTED_VALUES = 30
"""Maximum number of values of a category that are listed in the config."""
_MAX_LISTED_COLUMNS = 12
"""Columns that are not used, of which each has a comment; more are counted."""
_LINE_WIDTH = 110
_MIN_PIXELS: Final = 32
"""Columns of integers from 0 with one scale, such as pixels, are normalized together if there are as many."""
_MAX_PIXEL: Final = 255
_MAX_WINDOW_LENGTH: Final = 24
_WINDOWS_IN_TABLE: Final = 20
"""A tenth of the rows, such as the validation set, must contain at least two windows."""
_FORECAST_UNITS: Final[dict[ModelSize, int]] = {"small": 16, "medium": 32, "large": 64}
_CURVES: Final = 8
_MAX_CURVED_NUMBERS: Final = 100
"""Tables with more columns of numbers have enough weights without curves."""


@dataclass(frozen=True, slots=True)
class DateUse:
    """The numbers that a column of dates becomes."""

    features: tuple[str, ...]
    order: str | None
    """The form of its dates; see ``DATE_ORDERS``."""


@dataclass(frozen=True, slots=True)
class TableColumns:
    """The use of each column of a table."""

    target: ColumnPreview
    target_reason: str
    """Why this column is the target."""
    class_names: tuple[str, ...] | None
    """The classes in the order of their numbers; None if the target is a number."""
    numbers: list[ColumnPreview]
    categories: list[ColumnPreview]
    texts: list[ColumnPreview]
    dates: dict[str, DateUse] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    """Columns that are not used -> the reason."""
    infinity_words: list[str] = field(default_factory=list)
    """The texts that are infinite numbers in the columns of numbers."""
    series: str | None = None
    """The column whose dates make the rows a series in time."""
    series_keys: tuple[str, ...] = ()
    """The columns whose values identify several series."""
    series_count: int = 1
    group: str | None = None
    """A column that identifies persons or things, each of which has several rows."""
    more_targets: list[ColumnPreview] = field(default_factory=list)
    """Columns that are one target together with ``target``."""
    target_form: TemplateTarget = "value"
    held_out: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """The separate files of the validation and test sets."""
    split_column: str | None = None
    """The column that names the set of each row."""
    label_separator: str | None = None
    """The text between several labels in a value of the target; None: a value is one label or a number."""

    @property
    def targets(self) -> list[ColumnPreview]:
        """The columns of the target."""
        return [self.target, *self.more_targets]

    @property
    def is_forecast(self) -> bool:
        """Whether past values of the target are the only sensible inputs: there are only dates and numbers over time."""
        used = (*self.numbers, *self.categories, *self.texts)
        others = {column.name for column in used} - set(self.series_keys)
        is_number = self.class_names is None and self.target_form == "value" and self.label_separator is None
        return self.series is not None and is_number and not others

    @property
    def is_grouped(self) -> bool:
        """Whether rows with the same value of ``group`` are in the same set, as it is not an input."""
        return self.group is not None and self.group in self.left_out

    @property
    def is_ordered(self) -> bool:
        """Whether the sets follow each other in time: random rows of a series are almost equal to their neighbours."""
        has_sets = self.held_out or self.split_column is not None
        return self.series is not None and not self.is_forecast and not has_sets

    @property
    def number_names(self) -> list[str]:
        """The names of all numbers, including those of dates."""
        dates = [f"{name}.{feature}" for name, use in self.dates.items() for feature in use.features]
        return [*(column.name for column in self.numbers), *dates]


def template_from_table(
    name: str, paths: Sequence[str], table: TablePreview, columns: TableColumns, size: ModelSize = "medium"
) -> ConfigTemplate:
    """Return choices that fit a table: normalized numbers, category lookups, and a loss for the target."""
    if columns.is_forecast:
        return _make_forecast_template(name, paths, table, columns, size)
    used = [*columns.numbers, *columns.categories, *columns.texts]
    names = _make_input_names([*columns.categories, *columns.texts])
    has_inputs = bool(names or columns.left_out or columns.dates or table.nested)
    data = [*_describe_table(table, columns), *_list_data_keys(paths, table, columns)]
    if has_inputs:
        data.append("  inputs:                      # input of the model: its columns")
        if columns.number_names:
            data += _wrap_list("    numbers: ", [*map(quote_yaml_text, columns.number_names)])
        data += [
            f"    {names[column.name]}: {quote_yaml_text(column.name)}"
            for column in used
            if column.name in names
        ]
    missing = _list_missing_policies(table, columns)
    if missing:
        data.append(f"  missing: {{{', '.join(missing)}}}{_explain_missing(missing)}")
    is_stratified = columns.class_names is not None and columns.target_form == "value"
    data += [
        *_explain_split(columns),
        format_split(
            table.row_count,
            is_stratified=is_stratified and not columns.is_grouped and not columns.is_ordered,
            group=quote_yaml_text(str(columns.group)) if columns.is_grouped else None,
            order=quote_yaml_text(str(columns.series)) if columns.is_ordered else None,
            files=columns.held_out,
        )
        if columns.split_column is None or columns.held_out
        else f"  split: {{column: {quote_yaml_text(columns.split_column)}}}   # it names the set of each row",
    ]
    return ConfigTemplate(
        name,
        "vectors",
        (len(columns.number_names),),
        None if columns.class_names is None else len(columns.class_names),
        size,
        data,
        _list_model_lines(columns, names, size, table.row_count, has_inputs=has_inputs),
        class_names=columns.class_names or (),
        row_count=table.row_count,
        is_table=True,
        output_units=len(columns.targets),
        target_form=columns.target_form,
    )


def _make_forecast_template(
    name: str, paths: Sequence[str], table: TablePreview, columns: TableColumns, size: ModelSize
) -> ConfigTemplate:
    """Return choices for a forecast of the next row from the rows before it."""
    targets, count = [quote_yaml_text(column.name) for column in columns.targets], len(columns.targets)
    # A sequence does not contain rows without a target.
    gaps = sum(column.missing_count for column in columns.targets)
    run_length = (table.row_count - gaps) // (gaps + columns.series_count)
    per_series = table.row_count // columns.series_count // _WINDOWS_IN_TABLE
    length = max(2, min(_MAX_WINDOW_LENGTH, per_series, run_length // 2))
    keys = ", ".join(map(quote_yaml_text, columns.series_keys))
    by = f", by: {keys if len(columns.series_keys) == 1 else f'[{keys}]'}" if keys else ""
    windows = f"{{length: {length}, horizon: 1, time: {quote_yaml_text(str(columns.series))}{by}}}"
    missing = _list_missing_policies(table, columns)
    # Without a declared form, a few new dates could be read differently.
    dates = {
        name: DateUse(("elapsed",), use.order)
        for name, use in columns.dates.items()
        if name == columns.series and (use.order != "ymd" or _are_compact(table, name))
    }
    data = [
        *_describe_table(table, columns),
        *_list_data_keys(paths, table, replace(columns, dates=dates)),
        *(_wrap_list("  inputs: {past: ", targets, "}")),
        f"  windows: {windows}   # input: {length} rows; output: the target of the next row",
        *([f"  missing: {{{', '.join(missing)}}}"] if missing else []),
        format_split(table.row_count, is_stratified=False, files=columns.held_out)
        if columns.held_out
        else "  split: {validation: 0.1, test: 0.1}   # the last rows",
    ]
    return ConfigTemplate(
        name,
        "sequences",
        (length, count),
        None,
        size,
        data,
        [
            f"  inputs: {{past: [{length}, {count}]}}",
            "  layers:",
            "    - {type: Normalization, name: rows}",
            f"    - {{type: GRU, name: pattern, units: {_FORECAST_UNITS[size]}}}",
        ],
        [
            "    - {type: Flatten, name: numbers, inputs: rows}",
            "    - {type: Concatenate, inputs: [pattern, numbers]}   # a linear model of the rows next to the GRU",
            f"    - {{type: Dense, name: change, units: {count}, kernel_initializer: zeros}}",
            f"    - {{type: Cropping1D, inputs: rows, cropping: [{length - 1}, 0]}}",
            "    - {type: Flatten, name: last}",
            "    - {type: Add, inputs: [last, change]}   # the model starts with the last number as its forecast",
            "    - {type: Normalization, invert: true}   # to the target's units: its mean and variance are learned",
        ],
        output_units=count,
        row_count=table.row_count,
    )


def _are_compact(table: TablePreview, name: str) -> bool:
    """Return whether the dates of a column are integers such as 20210304."""
    return any(column.name == name and column.values[0].isdigit() for column in table.columns)


def _describe_table(table: TablePreview, columns: TableColumns) -> list[str]:
    left_out = [*columns.left_out.items()]
    lines = [f"  # Based on {table.row_count:,} rows of {len(table.columns):,} columns."]
    lines += [
        f"  # not used: {quote_yaml_text(name)}, {reason}" for name, reason in left_out[:_MAX_LISTED_COLUMNS]
    ]
    if len(left_out) > _MAX_LISTED_COLUMNS:
        lines.append(f"  # not used: {len(left_out) - _MAX_LISTED_COLUMNS:,} more, for reasons such as these")
    return lines


def _list_data_keys(paths: Sequence[str], table: TablePreview, columns: TableColumns) -> list[str]:
    quoted = [*map(quote_yaml_text, paths)]
    path_lines = [f"  path: {quoted[0]}"] if len(quoted) == 1 else _wrap_list("  path: ", quoted)
    lines = [f"  type: {table.type_name}", *path_lines]
    for key, value in table.keys.items():
        if key == "columns":
            lines += _wrap_list("  columns: ", [*map(quote_yaml_text, value)])
        elif key != "missing":
            lines.append(f"  {key}: {quote_always(value) if isinstance(value, str) else json.dumps(value)}")
    lines += _list_target_keys(columns)
    targets = columns.targets if columns.label_separator is None else []
    codes = [column.name for column in (*targets, *columns.categories, *columns.texts) if column.is_code]
    if codes:
        lines.append(f"  types: {{{', '.join(f'{quote_yaml_text(name)}: text' for name in codes)}}}")
    if columns.dates:
        lines.append("  dates:                       # the numbers that each date becomes")
        lines += [
            f"    {quote_yaml_text(name)}: {_format_date_use(use)}" for name, use in columns.dates.items()
        ]
    return lines


def _list_target_keys(columns: TableColumns) -> list[str]:
    target = columns.target
    if columns.more_targets:
        return _wrap_list("  target: ", [quote_yaml_text(column.name) for column in columns.targets])
    lines = [f"  target: {quote_yaml_text(target.name)}   # {describe_target(columns.class_names)}"]
    if columns.label_separator is not None:
        separator = f"{quote_yaml_text(target.name)}: {quote_always(columns.label_separator)}"
        return [*lines, f"  label_separators: {{{separator}}}   # a value of the target lists several labels"]
    if target.kind in ("integer", "number") and (target.kind == "integer" or columns.class_names is not None):
        lines.append(f"  target_type: {'numbers' if columns.class_names is None else 'labels'}")
    return lines


def _format_date_use(use: DateUse) -> str:
    features = f"[{', '.join(use.features)}]"
    return features if use.order in (None, "ymd") else f"{{order: {use.order}, features: {features}}}"


def list_dropping_columns(table: TablePreview, columns: TableColumns) -> list[str]:
    """Return the columns whose rows without a value are left out: those of totals and notes, and targets."""
    numbers = [] if columns.is_forecast else columns.numbers
    used = {column.name for column in (*numbers, *columns.categories, *columns.texts, *columns.targets)}
    used |= columns.dates.keys()
    footers = [name for name in table.keys.get("missing", {}).get("columns", {}) if name in used]
    targets = [column.name for column in columns.targets if column.missing_count]
    return list(dict.fromkeys([*footers, *(targets if columns.label_separator is None else [])]))


def _list_missing_policies(table: TablePreview, columns: TableColumns) -> list[str]:
    words = [*table.keys.get("missing", {}).get("values", [])]
    if columns.infinity_words:
        words = [*(words or [DEFAULT_WORD]), *columns.infinity_words]
    policies = [f"values: [{', '.join(map(quote_yaml_text, words))}]"] if words else []
    dates = [column for column in table.columns if column.name in columns.dates]
    numbers = [] if columns.is_forecast else columns.numbers
    has_missing = any(column.missing_count or column.stray_count for column in [*numbers, *dates])
    if has_missing or columns.infinity_words:
        policies.append("numbers: median")
    dropped = list_dropping_columns(table, columns)
    if dropped:
        policies.append(f"columns: {{{', '.join(f'{quote_yaml_text(name)}: drop' for name in dropped)}}}")
    return policies


def _explain_missing(policies: Sequence[str]) -> str:
    if "numbers: median" in policies:
        return "   # medians of the training examples"
    if any(policy.startswith("columns:") for policy in policies):
        return "   # their rows are left out"
    return ""


def _explain_split(columns: TableColumns) -> list[str]:
    """Return a comment on a better split that only a person can choose."""
    if columns.is_ordered:
        return [
            "  # The rows are a series in time: the latest rows are the test set, those before them validation."
        ]
    if columns.group is not None and not columns.is_grouped:
        name = quote_yaml_text(columns.group)
        return [
            f"  # To predict for new values of {name}, add `group: {name}`: rows with the same value are in the same set."
        ]
    return []


def _wrap_list(start: str, items: Sequence[str], end: str = "") -> list[str]:
    """Return a YAML list after its key, on as many lines as it needs."""
    text = f"{start}[{', '.join(items)}]{end}"
    if len(text) <= _LINE_WIDTH:
        return [text]
    indent = " " * (len(start) - len(start.lstrip()) + 4)
    lines = [f"{start}["]
    for item in items:
        if len(lines) == 1 or len(lines[-1]) + len(item) + 2 > _LINE_WIDTH:
            lines.append(f"{indent}{item},")
        else:
            lines[-1] += f" {item},"
    return [*lines, f"{indent[:-2]}]{end}"]


def _make_input_names(columns: Iterable[ColumnPreview]) -> dict[str, str]:
    """Return a valid input name for each column, which neither a number nor a layer of the config has."""
    names: dict[str, str] = {}
    taken = {*RESERVED_NAMES, "numbers", "scaled", "curves", "features", "hidden"}
    for column in columns:
        base = re.sub(r"[^A-Za-z0-9]+", "_", column.name).strip("_") or "column"
        if not base[0].isalpha() or base.lower() in ("null", "true", "false"):
            base = f"column_{base}"  # YAML reads 2024 and 0x1 as numbers
        name, number = base, 1
        while name in taken or name.endswith("_vector"):
            number += 1
            name = f"{base}_{number}"
        taken.add(name)
        names[column.name] = name
    return names


def _list_model_lines(
    columns: TableColumns, names: dict[str, str], size: ModelSize, row_count: int, *, has_inputs: bool
) -> list[str]:
    count = len(columns.number_names)
    lines = ["  inputs:"] if has_inputs else [f"  input: [{count}]                   # numbers in a row"]
    if has_inputs and count:
        lines.append(f"    numbers: [{count}]")
    lines += [f"    {name}: {{shape: [1], dtype: string}}" for name in names.values()]
    lines.append("  layers:")
    parts = []
    if count:
        lines.append(_normalization_line(columns.numbers, has_inputs=has_inputs))
        parts.append("scaled")
        if count <= _MAX_CURVED_NUMBERS and not are_pixels(columns.numbers):
            lines += _list_curve_lines(count)
            parts.append("curves")
    for column in columns.categories:
        lines += _list_category_lines(column, names[column.name])
    for column in columns.texts:
        lines += _list_text_lines(names[column.name], row_count)
    parts += [f"{name}_vector" for name in names.values()]
    features = parts[0]
    if len(parts) > 1:
        features = "features"
        lines += _wrap_list("    - {type: Concatenate, name: features, inputs: ", parts, "}")
    return [
        *lines,
        *list_hidden_layers(size, row_count, name="hidden"),
        f"    - {{type: Concatenate, inputs: [hidden, {features}]}}   # a linear model next to the hidden layers",
    ]


def _normalization_line(numbers: Sequence[ColumnPreview], *, has_inputs: bool) -> str:
    arguments = ", inputs: numbers" if has_inputs else ""
    if are_pixels(numbers):
        # A rare dark pixel in a white corner would become huge if it had a mean and variance of its column.
        arguments += ", axis: null"
        comment = "one mean and variance for all columns"
    else:
        comment = "learned from the training examples"
    return f"    - {{type: Normalization, name: scaled{arguments}}}   # {comment}"


def _list_curve_lines(count: int) -> list[str]:
    """Return layers that compute ReLU functions of each number, from which a linear layer can learn any curve."""
    return [
        f"    # {_CURVES} ReLU functions of each number, from which the next layers learn steps and curves",
        "    - type: EinsumDense",
        f'      equation: "bf,fd->bfd"            # batch, features; {_CURVES} weights for each feature',
        f"      output_shape: [{count}, {_CURVES}]",
        "      bias_axes: fd",
        "      activation: relu",
        "      kernel_initializer: {type: RandomNormal, stddev: 1.0}",
        "      bias_initializer: {type: RandomUniform, minval: -1.5, maxval: 1.5}   # where each function starts to rise",
        "    - {type: Flatten, name: curves}",
    ]


def are_pixels(columns: Sequence[ColumnPreview]) -> bool:
    """Return whether the columns have integers on one scale from 0, such as the pixels of images."""
    columns = [column for column in columns if column.values]
    if len(columns) < _MIN_PIXELS or any(column.kind != "integer" for column in columns):
        return False
    highest = max(float(column.values[-1]) for column in columns)
    lowest = min(float(column.values[0]) for column in columns)
    is_shared = sum(float(column.values[-1]) >= highest / 4 for column in columns)
    return lowest == 0 and highest <= _MAX_PIXEL and is_shared >= len(columns) // 2


def _list_category_lines(column: ColumnPreview, name: str) -> list[str]:
    value_count = column.distinct_count or len(column.values)
    if value_count > _MAX_LISTED_VALUES:
        tokens, length = value_count + 50, _choose_embedding_length(value_count)
        return [
            f"    # learned from the training examples: a vector for each of {value_count} values",
            f"    - {{type: StringLookup, inputs: {name}, max_tokens: {tokens}}}",
            f"    - {{type: Embedding, input_dim: {tokens}, output_dim: {length}}}",
            f"    - {{type: Flatten, name: {name}_vector}}",
        ]
    words = [quote_always(value) for value in column.values]
    start = (
        f"    - {{type: StringLookup, name: {name}_vector, inputs: {name}, output_mode: one_hot, vocabulary: "
    )
    return _wrap_list(start, words, "}")


def _choose_embedding_length(value_count: int) -> int:
    """Return the length of a vector for each value of a category, which grows slowly with the number of values."""
    return min(50, round(1.6 * math.pow(value_count, 0.56)))


def _list_text_lines(name: str, rows: int) -> list[str]:
    return [
        "    # which of the most frequent words and pairs of words are in the text, learned from the training examples",
        "    - type: TextVectorization",
        f"      name: {name}_vector",
        f"      inputs: {name}",
        *list_vectorization_arguments(rows),
    ]
