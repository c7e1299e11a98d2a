"""Data of the user's own in files: arrays, tables, images and texts."""

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, PlainValidator, WithJsonSchema

from layercli.config.data import Data
from layercli.layers.arguments import PositiveInt
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


class Npz(Data):
    """Arrays in a file that ``numpy.savez`` wrote; the first axis of each is the examples'.

    Example:
        {type: npz, path: digits.npz, features: x, target: y, split: {validation: 0.1, test: 0.1}}
    """

    path: Annotated[
        str, Field(min_length=1, description="The file, relative to the config.", examples=["digits.npz"])
    ]
    features: Annotated[str | None, Field(description="Array of the model's one input.", examples=["x"])] = (
        None
    )
    inputs: Annotated[
        dict[str, str] | None,
        Field(
            description="Input of the model -> array, where there are several.",
            examples=[{"image": "images"}],
        ),
    ] = None
    target: Annotated[
        str, Field(description="Array of the targets: whole numbers are labels.", examples=["y"])
    ]

    def located(self, directory: Path) -> Self:
        return self.replace(path=str(directory / self.path))

    def check(self) -> None:
        if (self.features is None) == (not self.inputs):
            message = "npz data needs either `features`, the array of the one input, or `inputs` for several."
            raise ArgumentError("features", message, "For example `features: x`.")


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


class Images(Data):
    """A folder with a folder of images for each class: PNG, JPEG, BMP or GIF (of which the first frame counts).

    Example:
        {type: images, path: flowers, size: [128, 128], channels: 3, split: {validation: 0.1, test: 0.1}}
    """

    path: Annotated[
        str, Field(min_length=1, description="The folder, relative to the config.", examples=["flowers"])
    ]
    size: Annotated[
        list[PositiveInt] | None,
        Field(
            min_length=2,
            max_length=2,
            description="Height and width that images are scaled to; null: all are of one size.",
        ),
    ] = None
    channels: Annotated[
        Literal[1, 3, 4] | None,
        Field(description="1: grey, 3: colour, 4: colour and opacity; null: as in the first image."),
    ] = None

    def located(self, directory: Path) -> Self:
        return self.replace(path=str(directory / self.path))


class Text(Data):
    """A folder with a folder of text files (.txt, UTF-8) for each class; each file is an example.

    Example:
        {type: text, path: reviews, split: {validation: 0.1, test: 0.1, stratify: true}}
    """

    path: Annotated[
        str, Field(min_length=1, description="The folder, relative to the config.", examples=["reviews"])
    ]

    def located(self, directory: Path) -> Self:
        return self.replace(path=str(directory / self.path))
