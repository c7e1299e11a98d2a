"""The code that the types of data with arrays by name share."""

from __future__ import annotations

from collections.abc import Callable

from layercli.config.data.arrays import ArraysConfig
from layercli.script.facts import ScriptFacts
from layercli.script.python_source import Brackets, NamedValue, quote_string, render_statement

ARRAY_KEYS = frozenset(ArraysConfig.array_keys) | {"target_type"}
"""The keys of arrays and their target, all of which ``write_arrays`` expresses."""


def write_arrays(
    data: ArraysConfig, facts: ScriptFacts, write_read: Callable[[str], str], indent: str
) -> list[str]:
    """Return the lines that assign and return x, y and weights; ``write_read`` returns the code that reads an array."""
    inputs = data.features if data.inputs is None else data.inputs
    lines = _write_assignment("x", inputs, write_read, indent)
    lines += _write_assignment("y", data.target, write_read, indent)
    lines += [indent + line for line in write_label_encoding(facts)]
    if data.weights is None:
        return [*lines, f"{indent}return x, y"]
    return [*lines, f"{indent}return x, y, {write_read(data.weights)}"]


def _write_assignment(
    variable: str, names: str | dict[str, str] | None, write_read: Callable[[str], str], indent: str
) -> list[str]:
    if not isinstance(names, dict):
        return [f"{indent}{variable} = {write_read(str(names))}"]
    entries = tuple(NamedValue(f"{quote_string(key)}: ", write_read(array)) for key, array in names.items())
    return render_statement(Brackets("{", entries, "}"), indent, before=f"{variable} = ")


def write_label_encoding(facts: ScriptFacts) -> list[str]:
    """Return the lines that replace texts, or labels that are mapped, in ``y`` by integers from 0."""
    if facts.own_sets:
        return []  # `main` numbers the classes
    variables = facts.name_targets()
    return [
        facts.write_class_numbers(variables[name], variables[name])
        for name, target in facts.targets.items()
        if target.has_named_labels
    ]
