"""The ``data`` section of type text."""

from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import Field, PlainValidator, WithJsonSchema

from layercli.config.data.section import DataConfig, TargetFacts, TargetTypeField
from layercli.config.data.tables import TABLE_FORMATS, TableConfig, is_column_choice
from layercli.config.names import INPUT
from layercli.formats.csv.config import Csv, EncodingField, check_encoding
from layercli.formats.table_types import find_table_type
from layercli.layers.shapes import Tensor
from layercli.schema.addresses import join_directory
from layercli.schema.section_hints import TEXT_HINTS
from layercli.schema.strict_model import ArgumentError, ExpectedText, value_error
from layercli.source.nodes import quote_value

TEXT_SUFFIXES: Final = (".txt",)
"""The file name suffixes of texts, in lower case."""


def _parse_target(value: Any) -> str | list[str] | None:
    if value is None or (not isinstance(value, dict) and is_column_choice(value)):
        return value
    message = f"`target` must be a column, or a list of columns, got {quote_value(value)}."
    raise value_error("wrong-type", message, "For example `target: label`.")


class Text(DataConfig):
    """Texts: a folder with a folder of text files (.txt) for each class, or a column of a table.

    Example:
        {type: text, path: reviews, split: {validation: 0.1, test: 0.1, stratify: true}}
    """

    hints: ClassVar[dict[str, str]] = TEXT_HINTS

    path: Annotated[
        str,
        Field(
            min_length=1,
            description=f"The folder, or the table ({TABLE_FORMATS}), relative to the config.",
            examples=["reviews"],
        ),
    ]
    column: Annotated[
        str | None,
        Field(description="Column of the texts in a table; null: the path is a folder.", examples=["review"]),
    ] = None
    target: Annotated[
        str | list[str] | None,
        PlainValidator(_parse_target),
        WithJsonSchema({"type": ["string", "array", "null"]}),
        ExpectedText("a column, or a list of columns"),
        Field(
            description="Column of the target in a table; a list of columns: one target with a value for each; null: the "
            "target is the folder's name.",
            examples=["label"],
        ),
    ] = None

    target_type: TargetTypeField = None
    encoding: EncodingField = "utf-8"

    has_text_labels: ClassVar[bool] = True

    @property
    def split_sources(self) -> frozenset[Literal["files", "columns"]]:
        return frozenset({"files"} if self.column is None else {"files", "columns"})

    @property
    def example_suffixes(self) -> tuple[str, ...] | None:
        return TEXT_SUFFIXES if self.column is None else None

    @property
    def declared_input(self) -> Tensor:
        return Tensor((None, 1), "string")

    @property
    def can_be_remote(self) -> bool:
        return self.column is not None

    def find_declared_target(self, output: str) -> TargetFacts | None:
        table = self.as_table()
        return TargetFacts(kind="labels") if table is None else table.find_declared_target(output)

    def with_absolute_paths(self, directory: Path) -> Self:
        return self.with_arguments(path=join_directory(directory, self.path))

    def check(self) -> None:
        super().check()
        check_encoding(self.encoding)
        if (self.column is None) != (self.target is None):
            missing = "column" if self.column is None else "target"
            message = "Text data from a table requires `column` (the text) and `target` (the label)."
            raise ArgumentError(missing, message, "For example `column: review, target: label`.")
        if self.column is None and self.target_type is not None:
            message = "`target_type` must be left out for a folder: its folders are the labels."
            raise ArgumentError("target_type", message, "Remove it.")

    def as_table(self) -> TableConfig | None:
        """Return the section of a table with the texts as its only input; None if the path is a folder."""
        if self.column is None:
            return None
        table_type = find_table_type(self.path)
        arguments: dict[str, Any] = {"path": self.path, "target": self.target, "inputs": {INPUT: self.column}}
        if self.target_type is not None:
            arguments["target_type"] = self.target_type
        if table_type is Csv:
            arguments["encoding"] = self.encoding
        return table_type.model_validate(arguments | {"types": {self.column: "text"}}).with_arguments(
            split=self.split, shuffle=self.shuffle
        )
