"""Substitution of ``${name}`` and ``${name * 2}`` by variables and parameters."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, Final

from layercli.config.language.arithmetic import ExpressionError, parse_expression
from layercli.errors import LayercliError, Problem
from layercli.schema.flow_style import format_value
from layercli.schema.suggestions import did_you_mean, list_names
from layercli.source.load import MAX_NODES
from layercli.source.nodes import (
    KeyPath,
    Mark,
    YamlNode,
    describe_position,
    measure_nodes,
    measure_text,
    problem_at,
    quote_value,
    sanitize_text,
    shorten_via,
)
from layercli.source.syntax import MAX_DEPTH

VARS_KEY: Final = "vars"
NAME_PATTERN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_REFERENCE_PATTERN = re.compile(r"(?P<literal>\$\$\{)|\$\{(?P<name>[^{}]*)\}|(?P<open>\$\{)")
_MAX_NAME_LENGTH = 100
_MAX_TEXT_LENGTH = 10_000
_MAX_TOTAL_LENGTH = 4 << 20
"""Characters of all strings in which references were replaced."""
_EXPRESSION_HINT: Final = (
    "Write a name, as in `${width}`, or integers and names with `+`, `-`, `*`, `//`, `%` and parentheses, as in "
    "`${width * 2}`. A config cannot read environment variables."
)


def find_unused_overrides(document: YamlNode) -> Iterator[Problem]:
    """Yield a problem for each variable that replaces one of another source and that no part of the config uses.

    Such a variable is probably misspelt. It comes from ``--set``, or from a file that extends one with variables.
    """
    declared = document.find((VARS_KEY,))
    if declared is None or not isinstance(declared.value, dict):
        return
    file = document.mark.source
    sources = {name: mark.source for name, mark in declared.keys.items()}
    is_extended = any(source.has_positions and source is not file for source in sources.values())
    overridden = [
        name
        for name, source in sources.items()
        if not source.has_positions or (is_extended and source is file)
    ]
    used = list_used_names(document) if overridden else frozenset()
    for name in overridden:
        if name not in used:
            yield make_unused_problem(name, used, declared.keys[name], (VARS_KEY, name))


def list_used_names(document: YamlNode) -> frozenset[str]:
    """Return the names in all references of a config."""
    return frozenset(_find_references(document))


def make_unused_problem(name: str, used: Collection[str], mark: Mark | None, path: KeyPath) -> Problem:
    """Return the problem that setting a variable changes nothing."""
    shown = sanitize_text(name, limit=60)
    message = f"No part of the config uses the variable `{shown}`."
    hint = did_you_mean(
        name, used, otherwise=f"Remove it, or write `${{{shown}}}` for a value of the config."
    )
    return problem_at(mark, "unknown-variable", message, hint=hint, path=path)


def is_variable_name(name: str) -> bool:
    """Return whether a variable or a parameter may have this name."""
    return len(name) <= _MAX_NAME_LENGTH and NAME_PATTERN.fullmatch(name) is not None


@dataclass(slots=True)
class TextBudget:
    """The length of all strings in which references may still be replaced."""

    left: int = _MAX_TOTAL_LENGTH

    def spend(self, length: int, node: YamlNode, path: KeyPath, problems: list[Problem]) -> None:
        """Count a string.

        Raises:
            LayercliError: it is one too many.
        """
        self.left -= length
        if self.left < 0:
            message = (
                f"The strings have more than {_MAX_TOTAL_LENGTH:,} characters after variable substitution."
            )
            hint = "Use shorter values, or fewer references inside strings."
            raise LayercliError(
                [*problems, problem_at(node.mark, "too-many-nodes", message, hint=hint, path=path)]
            )


@dataclass(frozen=True, slots=True)
class VariableBindings:
    """The variables and parameters that ``${name}`` can refer to in one scope."""

    nodes: Mapping[str, YamlNode]
    block_name: str | None = None
    """The block of these parameters; None for variables."""
    outer: VariableBindings | None = None
    text_budget: TextBudget = field(default_factory=TextBudget)

    def find(self, name: str) -> tuple[YamlNode, str] | None:
        """Return the value of a name and its description in messages; None for an unknown name."""
        if name in self.nodes:
            description = (
                f"variable `{name}`"
                if self.block_name is None
                else f"parameter `{name}` of the block `{self.block_name}`"
            )
            return self.nodes[name], description
        return self.outer.find(name) if self.outer is not None else None

    @property
    def names(self) -> Iterator[str]:
        """Return all names, the innermost scope first."""
        return chain(self.nodes, self.outer.names if self.outer is not None else ())


def substitute_variables(
    node: YamlNode, values: VariableBindings, path: KeyPath, problems: list[Problem]
) -> YamlNode:
    """Return the node with every ``${name}`` below it replaced, or the same node without any.

    Args:
        node: The node.
        values: The variables and parameters.
        path: The path of the node in the config.
        problems: The list to which problems are added.

    Raises:
        LayercliError: the result is too large or too deep.
    """
    if isinstance(node.value, str):
        return _substitute_text(node, node.value, values, path, problems) if "${" in node.value else node
    children = node.children
    if not children:
        return node
    new_children = [
        substitute_variables(child, values, child.written_path or (*path, step), problems)
        if isinstance(child.value, (dict, list)) or (isinstance(child.value, str) and "${" in child.value)
        else child
        for step, child in children
    ]
    if all(old is child for (_, old), child in zip(children, new_children, strict=True)):
        return node
    size, depth = measure_nodes(new_children)
    if size > MAX_NODES or depth > MAX_DEPTH:
        limit = f"{MAX_NODES:,} values" if size > MAX_NODES else f"{MAX_DEPTH} levels"
        message = f"This value has more than {limit} after variable substitution."
        hint = "Remove variables that contain lists of variables."
        raise LayercliError(
            [*problems, problem_at(node.mark, "too-many-nodes", message, hint=hint, path=path)]
        )
    value = dict(zip(node.value, new_children, strict=True)) if isinstance(node.value, dict) else new_children
    return replace(node, value=value, size=size, depth=depth)


def escape_references(value: Any) -> Any:
    """Return a plain value with every ``${`` in its strings escaped as ``$${``."""
    if isinstance(value, str):
        return value.replace("${", "$${")
    if isinstance(value, dict):
        return {key: escape_references(item) for key, item in value.items()}
    return [escape_references(item) for item in value] if isinstance(value, list) else value


def resolve_variables(declared: YamlNode | None, problems: list[Problem]) -> VariableBindings:
    """Return the variables of ``vars``, with the references in their values replaced."""
    if declared is None or declared.value is None:
        return VariableBindings({})
    if not isinstance(declared.value, dict):
        message = f"`vars` must be a mapping of names to values, got {quote_value(declared.to_plain())}."
        hint = "For example `vars: {width: 64}`."
        problems.append(problem_at(declared.mark, "wrong-type", message, hint=hint, path=(VARS_KEY,)))
        return VariableBindings({})
    return _VariableResolver(declared, declared.value, problems).resolve_all()


class _VariableResolver:
    """Resolves references between variables, depth first."""

    def __init__(self, declared: YamlNode, nodes: dict[str, YamlNode], problems: list[Problem]) -> None:
        self._declared = declared
        self._nodes = nodes
        self._problems = problems
        self._resolved: dict[str, YamlNode] = {}
        self._open_names: dict[str, None] = {}
        self._text_budget = TextBudget()

    def resolve_all(self) -> VariableBindings:
        for name, node in self._nodes.items():
            if not is_variable_name(name):
                mark = self._declared.keys.get(name, node.mark)
                message = (
                    f"A variable name must consist of at most {_MAX_NAME_LENGTH} letters, digits and `_`, "
                    f"got {quote_value(name)}."
                )
                self._problems.append(
                    problem_at(mark, "bad-name", message, hint="For example `width`.", path=(VARS_KEY, name))
                )
            elif name not in self._resolved:
                self._resolve_variable(name)
        return VariableBindings(self._resolved, text_budget=self._text_budget)

    def _resolve_variable(self, name: str) -> None:
        node = self._nodes[name]
        self._open_names[name] = None
        is_acyclic = True
        self._resolved[name] = node  # until it is resolved
        for other in _find_references(node):
            if other in self._open_names:
                names = list(self._open_names)
                cycle = " -> ".join([*names[names.index(other) :], other])
                message = f"These variables reference each other in a cycle: {cycle}."
                hint = "Set one of them to a value without references to the others."
                self._problems.append(
                    problem_at(node.mark, "variable-cycle", message, hint=hint, path=(VARS_KEY, name))
                )
                is_acyclic = False
            elif other in self._nodes and other not in self._resolved:
                if len(self._open_names) >= MAX_DEPTH:
                    message = f"Variables must not reference each other more than {MAX_DEPTH} levels deep."
                    raise LayercliError(problem_at(node.mark, "too-deep", message, path=(VARS_KEY, name)))
                self._resolve_variable(other)
        del self._open_names[name]
        new = (
            substitute_variables(
                node,
                VariableBindings(self._resolved, text_budget=self._text_budget),
                (VARS_KEY, name),
                self._problems,
            )
            if is_acyclic
            else node
        )
        via = new.via or self._declared.via
        self._resolved[name] = replace(new, written_path=new.written_path or (VARS_KEY, name), via=via)


def match_sole_reference(node: YamlNode) -> str | None:
    """Return the name of a value that is only a reference, or None."""
    match = _REFERENCE_PATTERN.fullmatch(node.value) if isinstance(node.value, str) else None
    return match["name"] if match is not None else None


def list_referenced_names(text: str) -> list[str]:
    """Return the names between ``${`` and ``}``: one, those of an expression, or none."""
    if is_variable_name(text):
        return [text]
    try:
        return parse_expression(text).names
    except ExpressionError:
        return []


def _find_references(node: YamlNode) -> list[str]:
    """Return the names in all references in the node and below."""
    if isinstance(node.value, str):
        texts = [match["name"] for match in _REFERENCE_PATTERN.finditer(node.value) if match["name"]]
        return [name for text in texts for name in list_referenced_names(text)]
    return [name for _, child in node.children for name in _find_references(child)]


def _substitute_text(
    node: YamlNode, text: str, values: VariableBindings, path: KeyPath, problems: list[Problem]
) -> YamlNode:
    """Return a string with its references replaced; a string that is only a reference becomes the value itself."""
    if (sole_name := match_sole_reference(node)) is not None:
        if not is_variable_name(sole_name):
            result = _evaluate_expression(sole_name, node, values, path, problems)
            return node if result is None else result
        binding = _look_up_name(sole_name, node, values, path, problems)
        return node if binding is None else _replace_reference(*binding, node)
    problem_count = len(problems)

    def replace_match(match: re.Match[str]) -> str:
        if match["literal"]:
            return "${"
        name = match["name"]
        if name is None:
            message = "`${` is not closed by `}`."
            _report_problem(
                node,
                "bad-reference",
                message,
                "Write `${name}`, or `$${` for a literal `${`.",
                path,
                problems,
            )
            return ""
        if is_variable_name(name):
            binding = _look_up_name(name, node, values, path, problems)
            value_node = None if binding is None else binding[0]
        else:
            value_node = _evaluate_expression(name, node, values, path, problems)
        if value_node is None:
            return ""
        value = value_node.value
        if isinstance(value, (dict, list)):
            message = f"`${{{name}}}` inside a string must not be a list or mapping, got {quote_value(value_node.to_plain())}."
            _report_problem(
                node, "bad-reference", message, f"Use `${{{name}}}` as the whole value.", path, problems
            )
            return ""
        return format_value(value)

    parts: list[str] = []
    length = end = 0
    for match in _REFERENCE_PATTERN.finditer(text):
        parts += [text[end : match.start()], replace_match(match)]
        end = match.end()
        length += len(parts[-1]) + len(parts[-2])
        if length > _MAX_TEXT_LENGTH:  # before more text is built
            break
    if length + len(text) - end > _MAX_TEXT_LENGTH:
        message = f"The string has more than {_MAX_TEXT_LENGTH:,} characters after variable substitution."
        _report_problem(node, "bad-reference", message, "Use shorter values.", path, problems)
    if len(problems) > problem_count:
        return node
    new = "".join([*parts, text[end:]])
    values.text_budget.spend(len(new), node, path, problems)
    return replace(node, value=new, size=measure_text(new))


def _look_up_name(
    name: str, node: YamlNode, values: VariableBindings, path: KeyPath, problems: list[Problem]
) -> tuple[YamlNode, str] | None:
    binding = values.find(name)
    if binding is not None:
        return binding
    shown = sanitize_text(name, limit=60)
    listed = list_names(values.names)
    otherwise = f"Known names: {listed}." if listed else f"Declare it at the top: `vars: {{{shown}: ...}}`."
    hint = did_you_mean(name, values.names, otherwise=otherwise)
    is_in_block = values.block_name is not None
    message = f"There is no {'parameter or variable' if is_in_block else 'variable'} `{shown}`."
    _report_problem(node, "unknown-variable", message, hint, path, problems)
    return None


def _evaluate_expression(
    text: str, node: YamlNode, values: VariableBindings, path: KeyPath, problems: list[Problem]
) -> YamlNode | None:
    """Return the integer of an expression, with a note about its numbers."""
    shown = f"`${{{sanitize_text(text, limit=60)}}}`"
    try:
        expression = parse_expression(text)
    except ExpressionError as error:
        message = f"{shown} is not a name or an integer expression: {error}."
        _report_problem(node, "bad-reference", message, _EXPRESSION_HINT, path, problems)
        return None
    bindings = {name: _look_up_name(name, node, values, path, problems) for name in set(expression.names)}
    numbers: dict[str, int] = {}
    for name, binding in sorted(bindings.items()):
        value = None if binding is None else binding[0].value
        if isinstance(value, int) and not isinstance(value, bool):
            numbers[name] = value
        elif binding is not None and not (isinstance(value, str) and "${" in value):  # has a problem itself
            received = quote_value(binding[0].to_plain())
            message = f"`{name}` in {shown} must be an integer, got {received}."
            hint = f"Set `{name}` to an integer, or write the result in place of the expression."
            _report_problem(node, "bad-reference", message, hint, path, problems)
    if len(numbers) < len(bindings):
        return None
    try:
        result = expression.evaluate(numbers)
    except ExpressionError as error:
        hint = "Change the expression, or the values of its names."
        _report_problem(node, "bad-reference", f"{shown} has no value: {error}.", hint, path, problems)
        return None
    listed = ", ".join(f"{name} = {number}" for name, number in numbers.items())
    via = f"The value is {shown}{f' with {listed}' if listed else ''}."
    return replace(node, value=result, size=1, via=shorten_via(f"{via} {node.via}" if node.via else via))


def _replace_reference(value: YamlNode, description: str, node: YamlNode) -> YamlNode:
    """Return the value of a reference, with the value's position and a note about its use."""
    via = f"The value comes from the {description}, used at {describe_position(node.mark, value.mark)}."
    if value.via:
        via = f"{via} {value.via}"
    return replace(value, via=shorten_via(via))


def _report_problem(
    node: YamlNode, code: str, message: str, hint: str, path: KeyPath, problems: list[Problem]
) -> None:
    problems.append(problem_at(node.mark, code, message, hint=hint, path=path, via=node.via))
