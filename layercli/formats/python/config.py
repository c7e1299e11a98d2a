"""The ``data`` section of type python."""

import re
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import Field, PlainValidator, WithJsonSchema

from layercli.config.data.section import DataConfig, TargetTypeField, UserFunction
from layercli.schema.field_types import DOTTED_NAME, IDENTIFIER
from layercli.schema.strict_model import ExpectedText, value_error
from layercli.source.nodes import quote_value

_FUNCTION_PATTERN: Final = re.compile(rf"(?:[^:\x00-\x1f]+\.py|{DOTTED_NAME}):{IDENTIFIER}", re.ASCII)


def _parse_function(value: Any) -> str:
    if isinstance(value, str) and _FUNCTION_PATTERN.fullmatch(value):
        return value
    raise value_error(
        "bad-custom-type",
        "`function` must be a file relative to the config, or a module, and a function in it, "
        f"got {quote_value(value)}.",
        "For example `function: my_data.py:make` or `function: mypackage.data:make`.",
    )


class Python(DataConfig):
    """The return value of a custom function: (x, y) or (x, y, weights); calling it requires ``--trust``.

    Example:
        {type: python, function: waves.py:make, parameters: {samples: 500}, split: {validation: 0.1, test: 0.1}}
    """

    path_key: ClassVar[str] = "function"
    may_have_positions: ClassVar[bool] = True

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
    target_type: TargetTypeField = None
    parameters: Annotated[
        dict[str, Any],
        Field(description="Keyword arguments of the function.", examples=[{"samples": 500}]),
    ] = {}  # noqa: RUF012

    @property
    def split_sources(self) -> frozenset[Literal["files", "columns"]]:
        return frozenset()

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
        """The file; None if the function is in a module."""
        return Path(self.module) if self.module.endswith(".py") else None

    @property
    def user_function(self) -> UserFunction:
        return UserFunction(self.function, self.module, self.file)

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
