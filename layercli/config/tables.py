"""Data of the user's own in tables: CSV and Parquet."""

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, PlainValidator, WithJsonSchema

from layercli.config.data import Data
from layercli.layers.strict import ArgumentError, Expected, Strict, refuse
from layercli.source.nodes import quoted

_ONE_OR_LIST = WithJsonSchema({"type": ["string", "array"]})


def _texts(value: Any) -> list[str]:
    items = [value] if isinstance(value, str) else value
    if isinstance(items, list) and items and all(isinstance(item, str) and item for item in items):
        return items
    raise refuse("wrong-type", f"{quoted(value)} does not fit here; it must be text, or a list of texts.")


def _columns(value: Any) -> dict[str, list[str]] | None:
    if value is None:
        return None
    if not isinstance(value, dict) or not value:
        hint = "For example `inputs: {numbers: [age, hours], job: occupation}`."
        raise refuse(
            "wrong-type", f"`inputs` is {quoted(value)}; it must map inputs of the model to columns.", hint
        )
    return {name: _texts(columns) for name, columns in value.items()}


Texts = Annotated[list[str], PlainValidator(_texts), _ONE_OR_LIST, Expected("text, or a list of texts")]


class Missing(Strict):
    """What stands for a missing value, and what is put in its place."""

    example: ClassVar[str | None] = 'missing: {values: ["?"], numbers: median}'

    values: Annotated[list[str], Field(description="Texts that stand for a missing value, beside empty ones.")] = [  # noqa: RUF012
        "NA", "NaN", "nan", "null", "?",
    ]  # fmt: skip
    numbers: Annotated[
        Literal["refuse", "median", "mean", "zero"],
        Field(
            description="What a missing number becomes; median and mean are those of the training examples."
        ),
    ] = "refuse"

    @classmethod
    def title(cls) -> str:
        return "`missing`"


class Table(Data):
    """What tables have in common: columns by name, one of which is the target."""

    path: Annotated[
        Texts, Field(description="The file, or files, relative to the config; * and ? stand for any text.",
                     examples=["iris.csv"])
    ]  # fmt: skip
    target: Annotated[str, Field(description="Column of the target.", examples=["species"])]
    target_type: Annotated[
        Literal["labels", "numbers"] | None,
        Field(
            description="How the target is meant; null: text, and whole numbers without gaps from 0, are labels."
        ),
    ] = None
    inputs: Annotated[
        dict[str, list[str]] | None,
        PlainValidator(_columns),
        WithJsonSchema({"type": ["object", "null"]}),
        Expected("a mapping of inputs of the model to columns"),
        Field(description="Input of the model -> its columns; null: one input of all other columns."),
    ] = None
    missing: Annotated[
        Missing, Field(description="How missing values are told, and what is put in their place.")
    ] = Missing.model_construct()

    def located(self, directory: Path) -> Self:
        return self.replace(path=[str(directory / path) for path in self.path])

    def check(self) -> None:
        for name, columns in (self.inputs or {}).items():
            if self.target in columns:
                message = f"`{self.target}` is the target; it cannot be part of the input `{name}`, too."
                raise ArgumentError("inputs", message, "Remove it from the input's columns.")


class Csv(Table):
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


class Parquet(Table):
    """A table in Parquet files, a row an example.

    Example:
        {type: parquet, path: trips/*.parquet, target: price, split: {validation: 0.1, test: 0.1}}
    """
