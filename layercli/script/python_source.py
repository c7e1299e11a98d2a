"""Python expressions in the layout of ruff and black, in lines of at most 88 characters."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

LINE_WIDTH: Final = 88
INDENT: Final = "    "


@dataclass(frozen=True, slots=True)
class Brackets:
    """Expressions in brackets: a list, a tuple or a dict."""

    opening: str
    items: tuple[Expression, ...]
    closing: str


@dataclass(frozen=True, slots=True)
class NamedValue:
    """``name=value``, or ``"key": value`` in a dict."""

    name: str
    value: Expression


@dataclass(frozen=True, slots=True)
class CallExpression:
    """``head(arguments)``, and if ``called_on`` is given, a call of the result: ``head(arguments)(called_on)``."""

    head: str
    arguments: tuple[Expression, ...] = ()
    called_on: tuple[Expression, ...] | None = None


Expression: TypeAlias = "str | Brackets | NamedValue | CallExpression"


def render_inline(value: Expression) -> str:
    """Return the expression on one line."""
    if isinstance(value, str):
        return value
    if isinstance(value, NamedValue):
        return f"{value.name}{render_inline(value.value)}"
    if isinstance(value, Brackets):
        trailing_comma = "," if value.opening == "(" and len(value.items) == 1 else ""
        return f"{value.opening}{_join_inline(value.items)}{trailing_comma}{value.closing}"
    second_call = "" if value.called_on is None else f"({_join_inline(value.called_on)})"
    return f"{value.head}({_join_inline(value.arguments)}){second_call}"


def render_statement(value: Expression, indent: str, before: str = "", after: str = "") -> list[str]:
    """Return the lines of a statement: ``before``, the expression and ``after``."""
    line = f"{indent}{before}{render_inline(value)}{after}"
    if len(line) <= LINE_WIDTH or isinstance(value, str):
        return [line]
    if isinstance(value, NamedValue):
        return render_statement(value.value, indent, before + value.name, after)
    if isinstance(value, Brackets):
        body = [line for item in value.items for line in render_statement(item, indent + INDENT, after=",")]
        return [f"{indent}{before}{value.opening}", *body, f"{indent}{value.closing}{after}"]
    head = f"{indent}{before}{value.head}({_join_inline(value.arguments)})("
    if value.called_on is not None and len(head) <= LINE_WIDTH:
        return [head, *_render_arguments(value.called_on, indent), f"{indent}){after}"]
    second_call = "" if value.called_on is None else f"({_join_inline(value.called_on)})"
    return [
        f"{indent}{before}{value.head}(",
        *_render_arguments(value.arguments, indent),
        f"{indent}){second_call}{after}",
    ]


def _render_arguments(arguments: Sequence[Expression], indent: str) -> list[str]:
    """Return arguments after an opening bracket: on one line if they fit, else on one line each."""
    inner = indent + INDENT
    if len(inner + _join_inline(arguments)) <= LINE_WIDTH:
        return [inner + _join_inline(arguments)]
    if len(arguments) == 1:
        return render_statement(arguments[0], inner)
    return [line for argument in arguments for line in render_statement(argument, inner, after=",")]


def _join_inline(values: Iterable[Expression]) -> str:
    return ", ".join(map(render_inline, values))


def quote_string(text: str) -> str:
    """Return a string literal in double quotes, or in single quotes if that avoids escapes."""
    written = repr(text)
    if written[0] == "'" and '"' not in text:
        return f'"{written[1:-1]}"'
    return written


def is_name(text: str) -> bool:
    """Return whether a text can be a name in Python."""
    return text.isidentifier() and not keyword.iskeyword(text)


def write_module_name(name: str) -> str:
    """Return a dotted name for an import statement; a part that is not a name of Python is changed to one."""
    parts = [part if is_name(part) else "_" + re.sub(r"\W", "_", part) for part in name.split(".")]
    return ".".join(parts)


def render_literal(value: object) -> Expression:
    """Return the expression of a plain value: a number, string, list, tuple or dict."""
    if isinstance(value, str):
        return quote_string(value)
    if isinstance(value, (list, tuple)):
        opening, closing = "[]" if isinstance(value, list) else "()"
        return Brackets(opening, tuple(map(render_literal, value)), closing)
    if isinstance(value, dict):
        entries = (
            NamedValue(f"{render_inline(render_literal(key))}: ", render_literal(item))
            for key, item in value.items()
        )
        return Brackets("{", tuple(entries), "}")
    return repr(value)


_RESERVED_NAMES: Final = frozenset(
    {
        "keras",
        "layers",
        "np",
        "tf",
        "main",
        "split",
        "load_data",
        "load_trained",
        "build_model",
        "adapt",
        "datasets",
        "csv",
        "parquet",
        "Path",
        "Image",
        "model",
        "range",
        "len",
        "print",
        "sorted",
        "enumerate",
        "zip",
        "dict",
        "list",
        "round",
        "SEED",
        "DATA",
        "VALIDATION",
        "TEST",
        "source",
        "classes",
        "WEIGHTS",
        "LEARNED",
        "json",
        "x",
        "y",
        "inputs",
        "outputs",
        "other",
    }
)
"""Names that scripts use themselves."""


class UniqueNames:
    """Generator of unique identifiers."""

    def __init__(self, used_names: Iterable[str] = ()) -> None:
        self._used_names = {*_RESERVED_NAMES, *used_names}

    def new(self, preferred: str) -> str:
        """Return a lower-case identifier similar to ``preferred`` that is not used yet."""
        base = re.sub(r"\W+", "_", preferred.lower(), flags=re.ASCII).strip("_") or "layer"
        if base[0].isdigit() or keyword.iskeyword(base) or base in ("match", "case", "type", "_"):
            base = f"layer_{base}"
        name, number = base, 1
        while name in self._used_names:
            number += 1
            name = f"{base}_{number}"
        self._used_names.add(name)
        return name
