"""The code of python data in a script."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from layercli.formats.python.config import Python
from layercli.script.array_code import write_label_encoding
from layercli.script.data_script import INDENT, DataScript
from layercli.script.keras_calls import value_expression
from layercli.script.python_source import CallExpression, NamedValue, render_statement


class Script(DataScript[Python]):
    """The code of one section of type python."""

    expressible_keys: ClassVar[frozenset[str]] = frozenset({"function", "parameters"})

    def user_imports(self) -> set[str]:
        module = self.data.module if self.data.file is None else self.data.file.stem
        return {f"from {module} import {self.data.function_name}"}

    def data_paths(self, data: Python) -> Sequence[str]:  # noqa: ARG002 - the function is imported
        return []

    def write_load_data(self) -> list[str]:
        data, facts = self.data, self.facts
        arguments = tuple(
            NamedValue(f"{name}=", value_expression(value)) for name, value in data.parameters.items()
        )
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
