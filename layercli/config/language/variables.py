"""``${name}`` in values: variables and parameters put in their place; nothing is evaluated."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from layercli.errors import LayercliError, Problem
from layercli.schema.strict_model import written
from layercli.schema.suggestions import did_you_mean
from layercli.source.load import MAX_DEPTH, MAX_NODES
from layercli.source.nodes import KeyPath, Node, printable, problem_at, quoted, seen_from

VARS: Final = "vars"
NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_REFERENCE = re.compile(r"(?P<literal>\$\$\{)|\$\{(?P<name>[^{}]*)\}|(?P<open>\$\{)")
_LONGEST_TEXT = 10_000
_MOST_LISTED = 12


@dataclass(frozen=True, slots=True)
class Values:
    """What ``${name}`` stands for at one place of a config."""

    nodes: Mapping[str, Node]
    block: str | None = None
    """The block whose parameters these are; None: variables."""
    outer: Values | None = None

    def find(self, name: str) -> tuple[Node, str] | None:
        """The value of a name, and what messages call it."""
        if name in self.nodes:
            told = (
                f"variable `{name}`"
                if self.block is None
                else f"parameter `{name}` of the block `{self.block}`"
            )
            return self.nodes[name], told
        return self.outer.find(name) if self.outer is not None else None

    @property
    def names(self) -> list[str]:
        """All names, the nearest first."""
        return [*self.nodes, *(self.outer.names if self.outer is not None else [])]


def interpolate(node: Node, values: Values, path: KeyPath, problems: list[Problem]) -> Node:
    """The node with every ``${name}`` below it replaced; the same node where there is none.

    Raises:
        LayercliError: what comes of it is too large or too deep.
    """
    if isinstance(node.value, str):
        return _text(node, node.value, values, path, problems) if "${" in node.value else node
    children = node.steps
    new = [interpolate(child, values, child.written or (*path, step), problems) for step, child in children]
    if all(old is child for (_, old), child in zip(children, new, strict=True)):
        return node
    size = 1 + sum(child.size for child in new)
    depth = 1 + max(child.depth for child in new)
    if size > MAX_NODES or depth > MAX_DEPTH:
        limit = f"{MAX_NODES:,} values" if size > MAX_NODES else f"{MAX_DEPTH} levels"
        message = f"With its variables put in place this has more than {limit}."
        hint = "Remove variables that stand for lists of variables."
        raise LayercliError(
            [*problems, problem_at(node.mark, "too-many-nodes", message, hint=hint, path=path)]
        )
    value = dict(zip(node.value, new, strict=True)) if isinstance(node.value, dict) else new
    return replace(node, value=value, size=size, depth=depth)


def literal(value: Any) -> Any:
    """A plain value as a config writes it, so that no ``${`` in its texts is taken for a reference."""
    if isinstance(value, str):
        return value.replace("${", "$${")
    if isinstance(value, dict):
        return {key: literal(item) for key, item in value.items()}
    return [literal(item) for item in value] if isinstance(value, list) else value


def resolve_variables(declared: Node | None, problems: list[Problem]) -> Values:
    """The variables of ``vars``, each with those that it names put in its place."""
    if declared is None or declared.value is None:
        return Values({})
    if not isinstance(declared.value, dict):
        message = f"`vars` is {quoted(declared.plain())}; it must be a mapping of names to values."
        hint = "For example `vars: {width: 64}`."
        problems.append(problem_at(declared.mark, "wrong-type", message, hint=hint, path=(VARS,)))
        return Values({})
    return _Variables(declared, declared.value, problems).resolved()


class _Variables:
    """Puts variables into variables, depth first."""

    def __init__(self, declared: Node, nodes: dict[str, Node], problems: list[Problem]) -> None:
        self._declared = declared
        self._nodes = nodes
        self._problems = problems
        self._done: dict[str, Node] = {}
        self._open: list[str] = []

    def resolved(self) -> Values:
        for name, node in self._nodes.items():
            if not NAME.fullmatch(name):
                mark = self._declared.keys.get(name, node.mark)
                message = f"{quoted(name)} is no name for a variable; it must be of letters, digits and `_`."
                self._problems.append(
                    problem_at(mark, "bad-name", message, hint="For example `width`.", path=(VARS, name))
                )
            elif name not in self._done:
                self._resolve(name)
        return Values(self._done)

    def _resolve(self, name: str) -> None:
        node = self._nodes[name]
        self._open.append(name)
        sound = True
        self._done[name] = node  # while it is open
        for other in _references(node):
            if other in self._open:
                circle = " -> ".join([*self._open[self._open.index(other) :], other])
                message = f"These variables stand for each other in a circle: {circle}."
                hint = "Give one of them a value of its own."
                self._problems.append(
                    problem_at(node.mark, "variable-cycle", message, hint=hint, path=(VARS, name))
                )
                sound = False
            elif other in self._nodes and other not in self._done:
                if len(self._open) >= MAX_DEPTH:
                    message = f"More than {MAX_DEPTH} variables stand for one another."
                    raise LayercliError(problem_at(node.mark, "too-deep", message, path=(VARS, name)))
                self._resolve(other)
        self._open.pop()
        new = interpolate(node, Values(self._done), (VARS, name), self._problems) if sound else node
        through = new.through or self._declared.through
        self._done[name] = replace(new, written=new.written or (VARS, name), through=through)


def whole_reference(node: Node) -> str | None:
    """The name that a value is a reference to, where it is nothing else."""
    whole = _REFERENCE.fullmatch(node.value) if isinstance(node.value, str) else None
    return whole["name"] if whole is not None else None


def _references(node: Node) -> list[str]:
    """The names in every ``${name}`` of the node and below."""
    if isinstance(node.value, str):
        return [found["name"] for found in _REFERENCE.finditer(node.value) if found["name"]]
    return [name for _, child in node.steps for name in _references(child)]


def _text(node: Node, text: str, values: Values, path: KeyPath, problems: list[Problem]) -> Node:
    """A text with its references replaced; one that is only a reference becomes what it stands for."""
    if (whole := whole_reference(node)) is not None:
        found = _find(whole, node, values, path, problems)
        return node if found is None else _put(*found, node)
    wrong = len(problems)

    def put(match: re.Match[str]) -> str:
        if match["literal"]:
            return "${"
        name = match["name"]
        if name is None:
            message = "`${` is not closed by `}`."
            _report(
                node,
                "bad-reference",
                message,
                "Write `${name}`, or `$${` for the text itself.",
                path,
                problems,
            )
            return ""
        found = _find(name, node, values, path, problems)
        if found is None:
            return ""
        value = found[0].value
        if isinstance(value, (dict, list)):
            message = (
                f"`${{{name}}}` stands for {quoted(found[0].plain())}, which cannot be put inside a text."
            )
            _report(node, "bad-reference", message, f"Write `${{{name}}}` alone.", path, problems)
            return ""
        return written(value)

    new = _REFERENCE.sub(put, text)
    if len(new) > _LONGEST_TEXT:
        message = f"With its variables put in place the text has {len(new):,} characters."
        _report(node, "bad-reference", message, f"At most {_LONGEST_TEXT:,} are taken.", path, problems)
    return node if len(problems) > wrong else replace(node, value=new)


def _find(
    name: str, node: Node, values: Values, path: KeyPath, problems: list[Problem]
) -> tuple[Node, str] | None:
    found = values.find(name)
    if found is not None:
        return found
    shown = printable(name, limit=60)
    if not NAME.fullmatch(name):
        message = f"`${{{shown}}}` is no name; nothing is calculated or looked up elsewhere."
        hint = "Declare a variable for the value, as in `vars: {width: 64}`, and write `${width}`."
        _report(node, "bad-reference", message, hint, path, problems)
        return None
    listed = ", ".join(f"`{known}`" for known in values.names[:_MOST_LISTED])
    otherwise = f"Known are {listed}." if listed else f"Declare it at the top: `vars: {{{shown}: ...}}`."
    hint = did_you_mean(name, values.names, otherwise=otherwise)
    inside = values.block is not None
    message = f"There is no {'parameter or variable' if inside else 'variable'} `{shown}`."
    _report(node, "unknown-variable", message, hint, path, problems)
    return None


def _put(value: Node, told: str, node: Node) -> Node:
    """The value in place of the reference; it keeps the position at which it was written."""
    through = f"It is the {told}, used at {seen_from(node.mark, value.mark)}."
    return replace(value, through=f"{through} {value.through}" if value.through else through)


def _report(node: Node, code: str, message: str, hint: str, path: KeyPath, problems: list[Problem]) -> None:
    problems.append(problem_at(node.mark, code, message, hint=hint, path=path, through=node.through))
