"""Data of the user's own in tables: CSV and Parquet."""

from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import Field, PlainValidator, WithJsonSchema

from layercli.config.data.section import DataConfig
from layercli.schema.strict_model import ArgumentError, ExpectedText, StrictModel, value_error
from layercli.source.nodes import quote_value

_ONE_OR_LIST_SCHEMA = WithJsonSchema({"type": ["string", "array"]})


def _parse_texts(value: Any) -> list[str]:
    items = [value] if isinstance(value, str) else value
    if isinstance(items, list) and items and all(isinstance(item, str) and item for item in items):
        return items
    raise value_error(
        "wrong-type", f"{quote_value(value)} does not fit here; it must be text, or a list of texts."
    )


def _parse_columns(value: Any) -> dict[str, list[str]] | None:
    if value is None:
        return None
    if not isinstance(value, dict) or not value:
        hint = "For example `inputs: {numbers: [age, hours], job: occupation}`."
        raise value_error(
            "wrong-type",
            f"`inputs` is {quote_value(value)}; it must map inputs of the model to columns.",
            hint,
        )
    return {name: _parse_texts(columns) for name, columns in value.items()}


def _parse_policies(value: Any) -> dict[str, str | float]:
    is_valid = isinstance(value, dict) and all(
        isinstance(item, (str, int, float)) and not isinstance(item, bool) for item in value.values()
    )
    if is_valid:
        return value  # type: ignore[no-any-return]
    hint = "For example `columns: {age: median, job: unknown, sold: drop}`."
    raise value_error(
        "wrong-type", f"`columns` is {quote_value(value)}; it must map columns to what is put in place.", hint
    )


def _parse_types(value: Any) -> dict[str, str]:
    if isinstance(value, dict) and all(kind in COLUMN_TYPES for kind in value.values()):
        return value
    hint = "For example `types: {zip: text, year: number}`."
    raise value_error(
        "wrong-type",
        f"`types` is {quote_value(value)}; it must map columns to one of {', '.join(COLUMN_TYPES)}.",
        hint,
    )


COLUMN_TYPES: Final = ("number", "text")
"""What the values of a column are read as."""

TextOrList = Annotated[
    list[str], PlainValidator(_parse_texts), _ONE_OR_LIST_SCHEMA, ExpectedText("text, or a list of texts")
]


class MissingValues(StrictModel):
    """What stands for a missing value, and what is put in its place."""

    example: ClassVar[str | None] = 'missing: {values: ["?"], numbers: median}'

    values: Annotated[list[str], Field(description="Texts that stand for a missing value, beside empty ones.")] = [  # noqa: RUF012
        "NA", "NaN", "nan", "null", "?",
    ]  # fmt: skip
    numbers: Annotated[
        Literal["refuse", "median", "mean", "zero", "drop"],
        Field(
            description="What a missing number becomes; median and mean are those of the training examples, and drop "
            "leaves the row out."
        ),
    ] = "refuse"
    texts: Annotated[str, Field(description="What a missing text becomes.", examples=["unknown"])] = ""
    columns: Annotated[
        dict[str, str | float],
        PlainValidator(_parse_policies),
        WithJsonSchema({"type": "object"}),
        ExpectedText("a mapping of columns to what is put in place of a missing value"),
        Field(
            description="Column -> refuse, median, mean, zero, drop, or the number or text that is put in its place."
        ),
    ] = {}  # noqa: RUF012

    @classmethod
    def title(cls) -> str:
        return "`missing`"

    def policy_of(self, column: str, *, text: bool) -> str | float:
        """What becomes of a missing value of a column: a word of ``numbers`` or the number; of a text the text, or drop."""
        return self.columns.get(column, self.texts if text else self.numbers)


class WindowsConfig(StrictModel):
    """Sequences of rows that follow one another, each with the target some rows later."""

    example: ClassVar[str | None] = "windows: {length: 24, horizon: 1}"

    length: Annotated[int, Field(ge=1, le=1_000_000, description="Rows of a sequence.", examples=[24])]
    horizon: Annotated[
        int,
        Field(
            ge=0,
            le=1_000_000,
            description="How many rows after a sequence's last one its target stands; 0: at its last row.",
        ),
    ] = 1
    stride: Annotated[
        int, Field(ge=1, le=1_000_000, description="Rows from the start of a sequence to that of the next.")
    ] = 1
    by: Annotated[
        TextOrList | None,
        Field(
            description="Columns that tell series apart, such as a station; null: all rows are one series.",
            examples=["station"],
        ),
    ] = None

    @classmethod
    def title(cls) -> str:
        return "`windows`"


class TableConfig(DataConfig):
    """What tables have in common: columns by name, one of which is the target."""

    path: Annotated[
        TextOrList, Field(description="The file, or files, relative to the config; * and ? stand for any text.",
                     examples=["iris.csv"])
    ]  # fmt: skip
    target: Annotated[
        str | dict[str, str],
        Field(
            description="Column of the target; or output of the model -> column, where there are several.",
            examples=["species"],
        ),
    ]
    target_type: Annotated[
        Literal["labels", "numbers"] | dict[str, Literal["labels", "numbers"]] | None,
        Field(
            description="How the target is meant, or output -> how its own is; null: text, and whole numbers without gaps "
            "from 0, are labels."
        ),
    ] = None
    inputs: Annotated[
        dict[str, list[str]] | None,
        PlainValidator(_parse_columns),
        WithJsonSchema({"type": ["object", "null"]}),
        ExpectedText("a mapping of inputs of the model to columns"),
        Field(description="Input of the model -> its columns; null: one input of all other columns."),
    ] = None
    types: Annotated[
        dict[str, str],
        PlainValidator(_parse_types),
        WithJsonSchema({"type": "object", "additionalProperties": {"enum": list(COLUMN_TYPES)}}),
        ExpectedText("a mapping of columns to number or text"),
        Field(
            description="Column -> number or text, where the values alone would tell it wrong.",
            examples=[{"zip": "text"}],
        ),
    ] = {}  # noqa: RUF012
    weights: Annotated[
        str | None,
        Field(description="Column that tells how much each row counts.", examples=["weight"]),
    ] = None
    missing: Annotated[
        MissingValues, Field(description="How missing values are told, and what is put in their place.")
    ] = MissingValues.model_construct()
    windows: Annotated[
        WindowsConfig | None,
        Field(description="Makes an example of each sequence of rows, for time series; null: of each row."),
    ] = None
    stream: Annotated[
        Literal["auto", "always", "never"],
        Field(
            description="Whether rows are read as they are needed; auto: where they would fill a quarter of the memory."
        ),
    ] = "auto"

    @property
    def target_columns(self) -> dict[str | None, str]:
        """Column of the target of each output; None is the name of the only one."""
        if isinstance(self.target, str):
            return {None: self.target}
        return {name if len(self.target) > 1 else None: column for name, column in self.target.items()}

    def target_type_of(self, output: str | None) -> str | None:
        """Whether the target of an output is said to be labels, or numbers."""
        if not isinstance(self.target_type, dict):
            return self.target_type
        return next(iter(self.target_type.values())) if output is None else self.target_type.get(output)

    def with_absolute_paths(self, directory: Path) -> Self:
        return self.with_arguments(path=[str(directory / path) for path in self.path])

    def check(self) -> None:
        windows = self.windows
        if windows is None or not windows.horizon:
            for name, columns in (self.inputs or {}).items():
                for target in [column for column in self.target_columns.values() if column in columns]:
                    message = f"`{target}` is the target; it cannot be part of the input `{name}`, too."
                    raise ArgumentError("inputs", message, "Remove it from the input's columns.")
        columns = list(self.target_columns.values())
        if not columns:
            raise ArgumentError("target", "`target` is empty; it maps outputs of the model to columns.")
        if len(set(columns)) < len(columns):
            raise ArgumentError("target", "`target` names one column twice.")
        if isinstance(self.target_type, dict):
            output_names = list(self.target) if isinstance(self.target, dict) else []
            for name in self.target_type:
                if name not in output_names:
                    message = f"`target_type` speaks of `{name}`, for which `target` names no column."
                    raise ArgumentError("target_type", message, "Name outputs as in `target`.")
        if self.weights in columns:
            raise ArgumentError("weights", f"`{self.weights}` is the target; it cannot be the weights, too.")
        if windows is None:
            return
        counts = [part for part in (self.split.validation, self.split.test) if isinstance(part, int) and part]
        if counts:
            message = (
                f"With `windows` a part is a stretch of time; {counts[0]} examples do not tell how long."
            )
            raise ArgumentError("split", message, "Write a fraction, such as `validation: 0.1`.")
        if self.split.stratify:
            message = "With `windows` the parts follow one another in time, so that classes cannot be spread evenly."
            raise ArgumentError("split", message, "Remove `stratify`.")


class Csv(TableConfig):
    """A table of text, a line an example.

    Example:
        {type: csv, path: iris.csv, target: species, split: {validation: 0.1, test: 0.2, stratify: true}}
    """

    columns: Annotated[
        list[str] | None, Field(description="Names of the columns, of a file without a line of them.")
    ] = None
    separator: Annotated[
        str, Field(min_length=1, max_length=1, description="What stands between values.")
    ] = ","


class Parquet(TableConfig):
    """A table in Parquet files, a row an example.

    Example:
        {type: parquet, path: trips/*.parquet, target: price, split: {validation: 0.1, test: 0.1}}
    """
