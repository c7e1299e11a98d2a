"""Python expressions laid out as ruff and black lay them out, in lines of at most 88 characters."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

WIDTH: Final = 88
_STEP: Final = "    "


@dataclass(frozen=True, slots=True)
class Items:
    """Expressions in brackets: a list, a tuple or a dict."""

    opening: str
    items: tuple[Expression, ...]
    closing: str


@dataclass(frozen=True, slots=True)
class Named:
    """``name=value``, or ``"key": value`` in a dict."""

    name: str
    value: Expression


@dataclass(frozen=True, slots=True)
class Call:
    """``head(arguments)``, and called once more with ``then`` where that is given."""

    head: str
    arguments: tuple[Expression, ...] = ()
    then: tuple[Expression, ...] | None = None


Expression: TypeAlias = "str | Items | Named | Call"


def flat(value: Expression) -> str:
    """The expression on one line."""
    if isinstance(value, str):
        return value
    if isinstance(value, Named):
        return f"{value.name}{flat(value.value)}"
    if isinstance(value, Items):
        lone = "," if value.opening == "(" and len(value.items) == 1 else ""
        return f"{value.opening}{_joined(value.items)}{lone}{value.closing}"
    then = "" if value.then is None else f"({_joined(value.then)})"
    return f"{value.head}({_joined(value.arguments)}){then}"


def statement(value: Expression, indent: str, before: str = "", after: str = "") -> list[str]:
    """The lines of a statement such as ``before`` + expression + ``after``."""
    line = f"{indent}{before}{flat(value)}{after}"
    if len(line) <= WIDTH or isinstance(value, str):
        return [line]
    if isinstance(value, Named):
        return statement(value.value, indent, before + value.name, after)
    if isinstance(value, Items):
        body = [line for item in value.items for line in statement(item, indent + _STEP, after=",")]
        return [f"{indent}{before}{value.opening}", *body, f"{indent}{value.closing}{after}"]
    head = f"{indent}{before}{value.head}({_joined(value.arguments)})("
    if value.then is not None and len(head) <= WIDTH:
        return [head, *_arguments(value.then, indent), f"{indent}){after}"]
    then = "" if value.then is None else f"({_joined(value.then)})"
    return [f"{indent}{before}{value.head}(", *_arguments(value.arguments, indent), f"{indent}){then}{after}"]


def _arguments(arguments: Sequence[Expression], indent: str) -> list[str]:
    """Arguments behind an opening bracket: on one line if they fit, else on one each."""
    inner = indent + _STEP
    if len(inner + _joined(arguments)) <= WIDTH:
        return [inner + _joined(arguments)]
    if len(arguments) == 1:
        return statement(arguments[0], inner)
    return [line for argument in arguments for line in statement(argument, inner, after=",")]


def _joined(values: Iterable[Expression]) -> str:
    return ", ".join(map(flat, values))


def quoted(text: str) -> str:
    """A text in double quotes, unless it has some and no single ones."""
    written = repr(text)
    if written[0] == "'" and '"' not in text:
        return f'"{written[1:-1]}"'
    return written


def literal(value: object) -> Expression:
    """Plain values: numbers, texts, lists, tuples, dicts."""
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, (list, tuple)):
        opening, closing = "[]" if isinstance(value, list) else "()"
        return Items(opening, tuple(map(literal, value)), closing)
    if isinstance(value, dict):
        entries = (Named(f"{flat(literal(key))}: ", literal(item)) for key, item in value.items())
        return Items("{", tuple(entries), "}")
    return repr(value)


_TAKEN: Final = {
    "keras", "layers", "np", "tf", "main", "split", "load_data", "load_trained", "build_model", "adapt", "datasets", "csv",
    "parquet", "Path", "Image", "model", "range", "len", "print", "sorted", "enumerate", "zip", "dict", "list", "round",
    "SEED", "DATA", "WEIGHTS", "LEARNED", "json", "x", "y", "inputs", "outputs", "other",
}  # fmt: skip


class Names:
    """Identifiers, each handed out once."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = {*_TAKEN, *taken}

    def new(self, wish: str) -> str:
        """An identifier like the wish, in lower case, that nothing else has."""
        base = re.sub(r"\W+", "_", wish.lower(), flags=re.ASCII).strip("_") or "layer"
        if base[0].isdigit() or keyword.iskeyword(base) or base in ("match", "case", "type", "_"):
            base = f"layer_{base}"
        name, number = base, 1
        while name in self._taken:
            number += 1
            name = f"{base}_{number}"
        self._taken.add(name)
        return name
