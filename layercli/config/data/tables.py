"""The base of the data types whose examples are rows of a table."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import Field, PlainValidator, WithJsonSchema

from layercli.config.data.section import DataConfig, TargetFacts, TargetTypeField, check_target_type
from layercli.config.names import INPUT
from layercli.schema.addresses import join_directory
from layercli.schema.section_hints import MISSING_HINTS, TABLE_HINTS, WINDOWS_HINTS
from layercli.schema.strict_model import ArgumentError, ExpectedText, StrictModel, value_error
from layercli.source.nodes import KeyPath, quote_value, sanitize_text

_MAX_REPEATED_COLUMNS: Final = 8
"""Longest list of columns that a hint repeats."""
_ONE_OR_LIST_SCHEMA = WithJsonSchema({"type": ["string", "array"]})


def _parse_texts(value: Any) -> list[str]:
    items = [value] if isinstance(value, str) else value
    if isinstance(items, list) and items and all(isinstance(item, str) and item for item in items):
        return items
    raise value_error("wrong-type", f"Expected text or a list of texts, got {quote_value(value)}.")


def _parse_columns(value: Any) -> dict[str, list[str]] | None:
    if value is None:
        return None
    if not isinstance(value, dict) or not value:
        hint = "For example `inputs: {numbers: [age, hours], job: occupation}`."
        if is_column_choice(value) and len(value) <= _MAX_REPEATED_COLUMNS:
            hint = f"For a model with one input: `inputs: {{{INPUT}: {quote_value(value)}}}`."
        raise value_error(
            "wrong-type",
            f"`inputs` must map inputs of the model to columns, got {quote_value(value)}.",
            hint,
        )
    return {name: _parse_texts(columns) for name, columns in value.items()}


def _parse_target(value: Any) -> str | list[str] | dict[str, str | list[str]]:
    if isinstance(value, dict) and value and all(is_column_choice(item) for item in value.values()):
        return value
    if not isinstance(value, dict) and is_column_choice(value):
        return value  # type: ignore[no-any-return]
    message = (
        "`target` must be a column, a list of columns, or a mapping of outputs of the model to columns, got "
        f"{quote_value(value)}."
    )
    raise value_error("wrong-type", message, "For example `target: price` or `target: [price, rent]`.")


def is_column_choice(value: Any) -> bool:
    """Return whether a value is a column or a list of columns."""
    items = value if isinstance(value, list) else [value]
    return bool(items) and all(isinstance(item, str) and item for item in items)


def _parse_policies(value: Any) -> dict[str, str | float]:
    hint = "For example `columns: {age: median, job: unknown, sold: drop}`."
    if not isinstance(value, dict):
        message = f"`columns` must map columns to replacements, got {quote_value(value)}."
        raise value_error("wrong-type", message, hint)
    for name, replacement in value.items():
        if not isinstance(replacement, (str, int, float)) or isinstance(replacement, bool):
            message = (
                f"The replacement of `{name}` must be a text or a number, got {quote_value(replacement)}."
            )
            raise value_error("wrong-type", message, hint)
    return value


def _parse_separators(value: Any) -> dict[str, str]:
    hint = 'For example `label_separators: {tags: ";"}`.'
    if not isinstance(value, dict):
        message = f"`label_separators` must map columns to texts, got {quote_value(value)}."
        raise value_error("wrong-type", message, hint)
    for name, separator in value.items():
        if not isinstance(separator, str) or not 0 < len(separator) <= MAX_SEPARATOR_LENGTH:
            message = (
                f"The separator of `{name}` must be a text of 1 to {MAX_SEPARATOR_LENGTH} characters, got "
            )
            raise value_error("wrong-type", f"{message}{quote_value(separator)}.", hint)
    return value


def _parse_dates(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise value_error(
            "wrong-type",
            f"`dates` must map columns to lists of numbers, got {quote_value(value)}.",
            "For example `dates: {when: [year, month, weekday, hour, elapsed]}`.",
        )
    return {name: _parse_date_column(name, entry) for name, entry in value.items()}


def _parse_date_column(name: str, value: Any) -> Any:
    features = value
    if isinstance(value, dict):
        features = value.get("features")
        if set(value) != {"order", "features"} or value["order"] not in DATE_ORDERS:
            orders = ", ".join(DATE_ORDERS)
            raise value_error(
                "wrong-type",
                f"`{name}` must have `features` and an `order`, one of {orders}; got {quote_value(value)}.",
                f"For example `dates: {{{name}: {{order: dmy, features: [year, month]}}}}`.",
            )
    if not isinstance(features, list) or not features or not all(item in DATE_FEATURES for item in features):
        raise value_error(
            "wrong-type",
            f"`{name}` must be a list of {', '.join(DATE_FEATURES)}, got {quote_value(features)}.",
            f"For example `dates: {{{name}: [year, month, weekday, hour, elapsed]}}`.",
        )
    return value


DEFAULT_MISSING_VALUES: Final = (
    "?",
    *("NA", "N/A", "n/a", "<NA>", "#N/A", "#N/A N/A", "#NA", "NULL", "null", "None"),
    *("NaN", "nan", "-NaN", "-nan", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN"),
)
"""The texts that mean a missing value by default, in addition to the empty text: those of pandas, and the question mark."""
DEFAULT_WORD: Final = "default"
"""The item of ``missing.values`` that means the default texts."""
TRUE_WORDS: Final = ("true", "yes", "y", "t", "on")
"""The words that are 1 in an input of numbers, in lower case."""
FALSE_WORDS: Final = ("false", "no", "n", "f", "off")
"""The words that are 0, each the opposite of the word of 1 at its place."""
DATE_FEATURES: Final = ("year", "month", "day", "weekday", "hour", "minute", "elapsed")
"""The numbers that a date can become."""
DATE_ORDERS: Final = ("ymd", "dmy", "mdy", "seconds", "milliseconds", "excel", "time")
"""The formats of dates: the order of year, month and day; seconds or milliseconds since 1970; the numbers of Excel, which are
days since 1899-12-30; only a time of day."""

_DATES_SCHEMA: Final = {
    "type": "object",
    "additionalProperties": {
        "anyOf": [
            {"type": "array", "items": {"enum": list(DATE_FEATURES)}},
            {
                "type": "object",
                "properties": {"order": {"enum": list(DATE_ORDERS)}, "features": {"type": "array"}},
            },
        ]
    },
}
MAX_MISSING_VALUES: Final = 1000
MAX_MISSING_BYTES: Final = 4096
"""Limits of the texts that mean a missing value. Arrow crashes if their prefixes, with spaces around them, are over 32,767."""


def _count_bytes(text: str) -> int:
    return len(text.encode("utf-8", "replace"))


TextOrList = Annotated[
    list[str], PlainValidator(_parse_texts), _ONE_OR_LIST_SCHEMA, ExpectedText("text, or a list of texts")
]


TargetColumns = Annotated[
    str | list[str] | dict[str, str | list[str]],
    PlainValidator(_parse_target),
    WithJsonSchema({"type": ["string", "array", "object"]}),
    ExpectedText("a column, a list of columns, or a mapping of outputs to columns"),
    Field(
        description="Column of the target; a list of columns: one target with a value for each; or output of the model -> "
        "column or columns, if the model has several outputs.",
        examples=["species", ["price", "rent"]],
    ),
]


@dataclass(frozen=True, slots=True)
class DateColumn:
    """The numbers that the dates of a column become."""

    features: tuple[str, ...]
    order: str | None = None
    """One of ``DATE_ORDERS``; None: inferred from all values."""


class MissingValues(StrictModel):
    """The texts that mean a missing value, and the replacements of missing values."""

    example: ClassVar[str | None] = 'missing: {values: ["?"], numbers: median}'
    hints: ClassVar[dict[str, str]] = MISSING_HINTS

    values: Annotated[
        list[str],
        Field(
            description="Texts that mean a missing value, in addition to the empty text; the item `default` means the "
            "default texts.",
            examples=[["default", "-"]],
        ),
    ] = [DEFAULT_WORD]  # noqa: RUF012
    numbers: Annotated[
        Literal["refuse", "median", "mean", "zero", "drop"],
        Field(
            description="Replacement of a missing number; median and mean are computed from the training examples, and drop "
            "removes the row."
        ),
    ] = "refuse"
    texts: Annotated[str, Field(description="Replacement of a missing text.", examples=["unknown"])] = ""
    columns: Annotated[
        dict[str, str | float],
        PlainValidator(_parse_policies),
        WithJsonSchema({"type": "object"}),
        ExpectedText("a mapping of columns to replacements of missing values"),
        Field(
            description="Column -> refuse, median, mean, zero, drop, or the number or text that replaces it."
        ),
    ] = {}  # noqa: RUF012

    @classmethod
    def title(cls) -> str:
        return "`missing`"

    def check(self) -> None:
        if len(self.values) > MAX_MISSING_VALUES or sum(map(_count_bytes, self.values)) > MAX_MISSING_BYTES:
            raise ArgumentError(
                "values",
                f"`values` must be at most {MAX_MISSING_VALUES:,} texts of {MAX_MISSING_BYTES:,} bytes in total, got "
                f"{len(self.values):,} texts of {sum(map(_count_bytes, self.values)):,} bytes.",
                "Replace the values in the file by an empty text.",
            )

    @property
    def words(self) -> list[str]:
        """The texts that mean a missing value, with the default texts instead of their item."""
        return [
            word
            for value in self.values
            for word in (DEFAULT_MISSING_VALUES if value == DEFAULT_WORD else (value,))
        ]

    def policy_of(self, column: str, *, text: bool) -> str | float:
        """Return how a column's missing values are replaced: a value of ``numbers`` or a number; for text a text or drop."""
        return self.columns.get(column, self.texts if text else self.numbers)


class WindowsConfig(StrictModel):
    """Sequences of consecutive rows, each with the target of a later row."""

    example: ClassVar[str | None] = "windows: {length: 24, horizon: 1}"
    hints: ClassVar[dict[str, str]] = WINDOWS_HINTS

    length: Annotated[
        int, Field(ge=1, le=1_000_000, description="Number of rows in a sequence.", examples=[24])
    ]
    horizon: Annotated[
        int,
        Field(
            ge=0,
            le=1_000_000,
            description="Number of rows from a sequence's last row to its target; 0: the target is in the last row.",
        ),
    ] = 1
    stride: Annotated[
        int,
        Field(
            ge=1,
            le=1_000_000,
            description="Number of rows from the start of a sequence to the start of the next.",
        ),
    ] = 1
    by: Annotated[
        TextOrList | None,
        Field(
            description="Columns that identify a series, such as a station; null: all rows are one series.",
            examples=["station"],
        ),
    ] = None
    steps: Annotated[
        int | None,
        Field(
            ge=1,
            le=100_000,
            description="Number of consecutive rows that are the target; null: one row, and the target has no axis for it.",
            examples=[24],
        ),
    ] = None
    time: Annotated[
        str | None,
        Field(
            min_length=1,
            description="Column of dates, times or numbers by which the rows of each series are sorted; null: the order of "
            "the file.",
            examples=["date"],
        ),
    ] = None

    @classmethod
    def title(cls) -> str:
        return "`windows`"

    @property
    def first_target_offset(self) -> int:
        """Number of rows from the first row of a sequence to its first target."""
        return self.length - 1 + self.horizon

    @property
    def span(self) -> int:
        """Number of rows of a sequence and its targets."""
        return self.first_target_offset + (self.steps or 1)

    def check(self) -> None:
        if self.time is not None and self.time in (self.by or ()):
            message = f"`time` and `by` name the same column, `{sanitize_text(self.time, limit=60)}`."
            raise ArgumentError("time", message, "Remove it from one of them.")


MAX_SEPARATOR_LENGTH: Final = 8
"""Maximum length of the text between two labels."""
TABLE_FORMATS: Final = "CSV, Parquet, JSON lines or Feather"
"""The formats of tables, for descriptions."""


class TableConfig(DataConfig):
    """Columns by name, one or more of which are targets."""

    hints: ClassVar[dict[str, str]] = TABLE_HINTS
    has_text_labels: ClassVar[bool] = True
    file_noun: ClassVar[str]
    """What one of its files is, for messages: "a Parquet file"."""
    suffixes: ClassVar[tuple[str, ...]]
    """The suffixes of its files, in lower case."""
    signature: ClassVar[bytes | None] = None
    """The first bytes of its files; None if they are text."""

    path: Annotated[
        TextOrList,
        Field(
            description="The file or files, relative to the config; * and ? match any characters.",
            examples=["iris.csv"],
        ),
    ]
    target: TargetColumns
    target_type: TargetTypeField = None
    inputs: Annotated[
        dict[str, list[str]] | None,
        PlainValidator(_parse_columns),
        WithJsonSchema({"type": ["object", "null"]}),
        ExpectedText("a mapping of inputs of the model to columns"),
        Field(description="Input of the model -> its columns; null: one input of all other columns."),
    ] = None
    label_separators: Annotated[
        dict[str, str],
        PlainValidator(_parse_separators),
        WithJsonSchema({"type": "object", "additionalProperties": {"type": "string", "minLength": 1}}),
        ExpectedText("a mapping of columns to the texts between labels"),
        Field(
            description="Column of a target whose values list several labels -> the text between two labels; the target has a "
            "0 or 1 for each label.",
            examples=[{"tags": ";"}],
        ),
    ] = {}  # noqa: RUF012
    types: Annotated[
        dict[str, Literal["number", "text"]],
        WithJsonSchema({"type": "object", "additionalProperties": {"enum": ["number", "text"]}}),
        Field(
            description="Column -> number or text, if the type cannot be inferred from the values.",
            examples=[{"zip": "text"}],
        ),
    ] = {}  # noqa: RUF012
    decimal: Annotated[
        Literal[".", ","], Field(description="The character before the fraction of a number.")
    ] = "."
    thousands: Annotated[
        Literal[".", ",", " ", "'", "_"] | None,
        Field(description="The character between the thousands of a number.", examples=["."]),
    ] = None
    dates: Annotated[
        dict[str, Any],
        PlainValidator(_parse_dates),
        WithJsonSchema(_DATES_SCHEMA),
        ExpectedText("a mapping of columns to lists of numbers"),
        Field(
            description="Column of dates -> the numbers that its dates become: year, month, day, weekday (Monday is 0), "
            "hour, minute, or elapsed (days since the first training date).",
            examples=[{"when": ["year", "month", "weekday"]}],
        ),
    ] = {}  # noqa: RUF012
    weights: Annotated[
        str | None,
        Field(description="Column of the weight of each row.", examples=["weight"]),
    ] = None
    missing: Annotated[
        MissingValues, Field(description="How missing values are recognized and replaced.")
    ] = MissingValues.model_construct()
    windows: Annotated[
        WindowsConfig | None,
        Field(
            description="Makes each sequence of rows an example, for time series; null: each row is an example."
        ),
    ] = None
    stream: Annotated[
        Literal["auto", "always", "never"],
        Field(
            description="Read rows batch by batch; auto: if they would take more than a quarter of the memory."
        ),
    ] = "auto"

    @property
    def date_features(self) -> dict[str, tuple[str, str]]:
        """The column of each number of a date, such as ``when.year`` -> its column of dates and the feature."""
        return {
            f"{column}.{feature}": (column, feature)
            for column, dates in self.date_columns.items()
            for feature in dates.features
        }

    @property
    def date_columns(self) -> dict[str, DateColumn]:
        """The columns of dates, with the numbers that they become."""
        return {
            column: DateColumn(tuple(entry["features"]), entry["order"])
            if isinstance(entry, dict)
            else DateColumn(tuple(entry))
            for column, entry in self.dates.items()
        }

    @property
    def target_columns(self) -> dict[str | None, tuple[str, ...]]:
        """The columns of each output's target; None is the name of the only output."""
        columns: dict[str | None, list[str]] = {}
        for name, column, _ in self.target_references:
            columns.setdefault(name, []).append(column)
        return {name: tuple(each) for name, each in columns.items()}

    @property
    def target_references(self) -> list[tuple[str | None, str, KeyPath]]:
        """Each column of a target: its output, None for the only one, its name, and the path of its name in the config."""
        is_mapping = isinstance(self.target, dict)
        entries = self.target.items() if isinstance(self.target, dict) else [(None, self.target)]
        references: list[tuple[str | None, str, KeyPath]] = []
        for name, choice in entries:
            output = name if len(entries) > 1 else None
            path: KeyPath = ("data", "target", str(name)) if is_mapping and output else ("data", "target")
            if isinstance(choice, str):
                references.append((output, choice, path))
            else:
                path = ("data", "target", str(name)) if is_mapping else path
                references += [(output, column, (*path, index)) for index, column in enumerate(choice)]
        return references

    def find_declared_target(self, output: str) -> TargetFacts | None:
        steps = self.windows.steps if self.windows is not None else None
        name = output if len(self.target_columns) > 1 else None
        columns = self.target_columns.get(name)
        if columns is None or columns[0] in self.label_separators:
            return None
        if steps is not None:
            return TargetFacts(shape=(steps, len(columns)) if len(columns) > 1 else (steps,))
        if len(columns) == 1:
            return TargetFacts(kind=self.target_type_of(name))
        return TargetFacts(shape=(len(columns),)) if self.windows is None else None

    def with_absolute_paths(self, directory: Path) -> Self:
        return self.with_arguments(path=[join_directory(directory, path) for path in self.path])

    @property
    def has_random_sets(self) -> bool:
        return self.windows is None and super().has_random_sets

    def check(self) -> None:
        super().check()
        self._check_inputs()
        self._check_targets()
        if self.decimal == self.thousands:
            message = f"`thousands` and `decimal` must be different characters, got {quote_value(self.decimal)} twice."
            raise ArgumentError("thousands", message, "Remove `thousands`, or change one of them.")
        if self.windows is not None:
            self._check_windows_split()

    def _check_inputs(self) -> None:
        if self.windows is not None and self.windows.horizon:
            return
        for name, columns in (self.inputs or {}).items():
            for output, target, _ in self.target_references:
                several = self.target_columns[output]
                is_autoencoder = len(several) > 1 and {*several} == {*columns}
                if target in columns and not is_autoencoder:
                    message = f"`{target}` is the target; it cannot be part of the input `{name}`."
                    raise ArgumentError("inputs", message, "Remove it from the input's columns.")

    def _check_targets(self) -> None:
        columns = [column for _, column, _ in self.target_references]
        if len(set(columns)) < len(columns):
            raise ArgumentError("target", "`target` names the same column twice.")
        check_target_type(self.target_type, self.target)
        for name, several in self.target_columns.items():
            if len(several) > 1 and self.target_type_of(name) == "labels":
                message = "`target_type: labels` requires a target of one column, got several columns."
                hint = "Remove it: columns of 0 and 1 are several labels. For other labels, use an output for each column."
                raise ArgumentError("target_type", message, hint)
        for column in self.label_separators:
            self._check_label_separator(column)
        for column in self.dates:
            if column in columns or column == self.weights:
                message = f"`{column}` is a target or the weights; it cannot be in `dates`."
                raise ArgumentError("dates", message, "Remove it from `dates`.")
        if self.weights in columns:
            raise ArgumentError("weights", f"`{self.weights}` is the target; it cannot also be the weights.")

    def _check_label_separator(self, column: str) -> None:
        name = sanitize_text(column, limit=60)
        output = next((output for output, each, _ in self.target_references if each == column), ...)
        problem = None
        if output is ...:
            problem = f"names `{name}`, which is not a target"
        elif len(self.target_columns[output]) > 1:
            problem = f"requires a target of one column, got several columns with `{name}`"
        elif self.target_type_of(output) is not None:
            problem = f"contradicts `target_type: {self.target_type_of(output)}`: `{name}` has several labels"
        elif self.windows is not None:
            problem = "cannot be used with `windows`"
        if problem is not None:
            message = f"`label_separators` {problem}."
            raise ArgumentError(
                "label_separators", message, "Remove one of them." if output is not ... else "Name a target."
            )

    def _check_windows_split(self) -> None:
        if self.windows is not None and self.windows.steps is not None and self.weights is not None:
            message = "`weights` cannot be used with `steps`: a sequence has several target rows."
            raise ArgumentError("weights", message, "Remove `weights`.")
        if self.split.order is not None:
            message = "With `windows`, the sets are consecutive in time already; `order` has no effect."
            raise ArgumentError("split", message, "Remove `order`.")
        sizes = (self.split.validation, self.split.test)
        count = next((size for size in sizes if isinstance(size, int) and size), None)
        if count is not None:
            message = f"With `windows`, split sizes must be fractions of the time, got {count} examples."
            raise ArgumentError("split", message, "Write a fraction, such as `validation: 0.1`.")
        if self.split.stratify:
            message = "With `windows`, the sets are consecutive in time and cannot be stratified by class."
            raise ArgumentError("split", message, "Remove `stratify`.")
