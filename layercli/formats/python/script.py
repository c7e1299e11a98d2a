"""The code of python data in a script."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from layercli.formats.python.config import Python
from layercli.script.array_code import write_label_encoding
from layercli.script.data_script import DataScript
from layercli.script.keras_calls import value_expression
from layercli.script.python_source import (
    INDENT,
    Brackets,
    CallExpression,
    NamedValue,
    is_name,
    quote_string,
    render_statement,
    write_module_name,
)
from layercli.source.nodes import KeyPath


class Script(DataScript[Python]):
    """The code of one section of type python."""

    expressible_keys: ClassVar[frozenset[str]] = frozenset({"function", "parameters", "target_type"})

    def find_inexpressible_values(self) -> Iterator[KeyPath]:
        if not all(map(is_name, (*self._module.split("."), self.data.function_name))):
            yield ("data", "function")  # an import statement cannot name that file

    @property
    def _module(self) -> str:
        return self.data.module if self.data.file is None else self.data.file.stem

    def user_imports(self) -> set[str]:
        return {f"from {write_module_name(self._module)} import {self.data.function_name}"}

    def data_paths(self, data: Python) -> Sequence[str]:  # noqa: ARG002 - the function is imported
        return []

    def write_load_data(self) -> list[str]:
        data, facts = self.data, self.facts
        arguments = _write_arguments(data.parameters)
        mappings = {"x": bool(facts.input_names), "y": None not in facts.targets}
        returned = [
            name if mappings.get(name, False) else f"np.asarray({name})" for name in facts.array_names
        ]
        call = CallExpression(data.function_name, arguments)
        return [
            "def load_data():",
            f'{INDENT}"""Call the function {data.function_name}."""',
            *render_statement(call, INDENT, before=f"{', '.join(facts.array_names)} = "),
            *(INDENT + line for line in write_label_encoding(facts)),
            f"{INDENT}return {', '.join(returned)}",
        ]


def _write_arguments(parameters: Mapping[str, Any]) -> tuple[NamedValue, ...]:
    """Return the keyword arguments of a call; those that are not names of Python are in a dict of quoted keys."""
    named = [
        NamedValue(f"{name}=", value_expression(value)) for name, value in parameters.items() if is_name(name)
    ]
    quoted = [
        NamedValue(f"{quote_string(name)}: ", value_expression(value))
        for name, value in parameters.items()
        if not is_name(name)
    ]
    return (*named, *([NamedValue("**", Brackets("{", tuple(quoted), "}"))] if quoted else []))
