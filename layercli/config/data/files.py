"""Data of the user's own: arrays, images, texts, and what a function gives."""

import re
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import Field, PlainValidator, WithJsonSchema

from layercli.config.data.section import DataConfig
from layercli.config.data.tables import Csv, Parquet, TableConfig
from layercli.config.names import INPUT
from layercli.schema.field_types import PositiveInt
from layercli.schema.strict_model import ArgumentError, ExpectedText, value_error
from layercli.source.nodes import quote_value

_IDENTIFIER = r"[A-Za-z_]\w*"
_FUNCTION_PATTERN: Final = re.compile(
    rf"(?:[^:\x00-\x1f]+\.py|{_IDENTIFIER}(?:\.{_IDENTIFIER})*):{_IDENTIFIER}", re.ASCII
)


def _parse_function(value: Any) -> str:
    if isinstance(value, str) and _FUNCTION_PATTERN.fullmatch(value):
        return value
    raise value_error(
        "bad-custom-type",
        f"`function` is {quote_value(value)}; it must be a file beside the config, or a module, and a function in it.",
        "For example `function: my_data.py:make` or `function: mypackage.data:make`.",
    )


class ArraysConfig(DataConfig):
    """Arrays; the first axis of each is the examples'."""

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
        str | dict[str, str],
        Field(
            description="Array of the targets, whole numbers and texts are labels; or output of the model -> array, "
            "where there are several.",
            examples=["y"],
        ),
    ]
    weights: Annotated[
        str | None, Field(description="Array of how much each example counts; null: all the same.")
    ] = None

    def check(self) -> None:
        if (self.features is None) == (not self.inputs):
            message = f"{self.title()} needs either `features`, the array of the one input, or `inputs` for several."
            raise ArgumentError("features", message, "For example `features: x`.")


class Npz(ArraysConfig):
    """Arrays in a file that ``numpy.savez`` wrote, each by its name in the file.

    Example:
        {type: npz, path: digits.npz, features: x, target: y, split: {validation: 0.1, test: 0.1}}
    """

    path: Annotated[
        str, Field(min_length=1, description="The file, relative to the config.", examples=["digits.npz"])
    ]

    def with_absolute_paths(self, directory: Path) -> Self:
        return self.with_arguments(path=str(directory / self.path))


class Npy(ArraysConfig):
    """Arrays in files that ``numpy.save`` wrote, each by its file; those larger than the memory are read as needed.

    Example:
        {type: npy, features: x.npy, target: y.npy, split: {validation: 0.1, test: 0.1}}
    """

    path_key: ClassVar[str] = "target"

    def with_absolute_paths(self, directory: Path) -> Self:
        def resolve_path(name: str) -> str:
            return str(directory / name)

        def resolve_paths(names: str | dict[str, str] | None) -> Any:
            if isinstance(names, dict):
                return {key: resolve_path(name) for key, name in names.items()}
            return None if names is None else resolve_path(names)

        keys = ("features", "inputs", "target", "weights")
        return self.with_arguments(**{key: resolve_paths(getattr(self, key)) for key in keys})


class Images(DataConfig):
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

    def with_absolute_paths(self, directory: Path) -> Self:
        return self.with_arguments(path=str(directory / self.path))


class Text(DataConfig):
    """Texts: a folder with a folder of text files (.txt, UTF-8) for each class, or a column of a table.

    Example:
        {type: text, path: reviews, split: {validation: 0.1, test: 0.1, stratify: true}}
    """

    path: Annotated[
        str,
        Field(
            min_length=1,
            description="The folder, or the table (CSV, or Parquet), relative to the config.",
            examples=["reviews"],
        ),
    ]
    column: Annotated[
        str | None,
        Field(
            description="Column of the texts, of a table; null: the path is a folder.", examples=["review"]
        ),
    ] = None
    target: Annotated[
        str | None,
        Field(description="Column of the target, of a table; null: the folder's name.", examples=["label"]),
    ] = None

    def with_absolute_paths(self, directory: Path) -> Self:
        return self.with_arguments(path=str(directory / self.path))

    def check(self) -> None:
        if (self.column is None) != (self.target is None):
            missing = "column" if self.column is None else "target"
            message = "Texts in a table need `column`, the texts, and `target`, what is to be told of them."
            raise ArgumentError(missing, message, "For example `column: review, target: label`.")

    def as_table(self) -> TableConfig | None:
        """The same as a table with one input; None where the path is a folder."""
        if self.column is None:
            return None
        kind = Parquet if self.path.endswith((".parquet", ".pq")) else Csv
        keys = {"path": self.path, "target": self.target, "inputs": {INPUT: self.column}}
        return kind.model_validate(keys | {"types": {self.column: "text"}}).with_arguments(
            split=self.split, shuffle=self.shuffle
        )


class Python(DataConfig):
    """What a function of your own gives: (x, y), or (x, y, weights); calling it needs ``--trust``.

    Example:
        {type: python, function: waves.py:make, parameters: {samples: 500}, split: {validation: 0.1, test: 0.1}}
    """

    path_key: ClassVar[str] = "function"

    function: Annotated[
        str,
        PlainValidator(_parse_function),
        ExpectedText("a file or a module, and a function in it"),
        WithJsonSchema({"type": "string"}),
        Field(
            description="The function, as file.py:function, relative to the config, or module:function.",
            examples=["waves.py:make"],
        ),
    ]
    parameters: Annotated[
        dict[str, Any],
        Field(
            description="Arguments that the function is called with, by name.", examples=[{"samples": 500}]
        ),
    ] = {}  # noqa: RUF012

    @property
    def module(self) -> str:
        """The file or module."""
        return self.function.rpartition(":")[0]

    @property
    def function_name(self) -> str:
        """The function's name."""
        return self.function.rpartition(":")[2]

    @property
    def file(self) -> Path | None:
        """The file; None where a module is named."""
        return Path(self.module) if self.module.endswith(".py") else None

    @property
    def code_path(self) -> str | None:
        if self.file is None:
            return None
        is_outside = self.file.is_absolute() or ".." in self.file.parts
        return self.file.name if is_outside else self.file.as_posix()

    def with_code_path(self, path: str) -> Self:
        return self.with_arguments(function=f"{path}:{self.function_name}")

    def with_absolute_paths(self, directory: Path) -> Self:
        return self if self.file is None else self.with_code_path(str(directory / self.module))
