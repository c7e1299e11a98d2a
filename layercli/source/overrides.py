"""``--set model.layers.head.units=20``: changes to the nodes before they are checked."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from layercli.errors import LayercliError, Problem
from layercli.source.load import MAX_DEPTH, parse
from layercli.source.nodes import KeyPath, Mark, Node, Source, format_path, printable, problem_at

_STEP = re.compile(r"\[(-?\d+)\]|([^.\[\]]+)")
_KEY = re.compile(r"[^.\[\]]+(?:\.[^.\[\]]+|\[-?\d+\])*")

Namer = Callable[[list[Node]], Sequence[str]]
"""Gives each item of a list the name by which ``--set`` may address it."""


def apply_overrides(root: Node, overrides: Sequence[str], names: Namer) -> None:
    """Set each ``KEY=VALUE`` in the nodes; the last one of a key wins.

    Raises:
        LayercliError: all overrides that cannot be read or have no place.
    """
    problems: list[Problem] = []
    for text in overrides:
        try:
            _apply(root, text, names)
        except LayercliError as error:
            problems.extend(error.problems)
    if problems:
        raise LayercliError(problems)


def _apply(root: Node, text: str, names: Namer) -> None:
    source = Source(f"--set {printable(text, limit=100)}", [], Path.cwd(), numbered=False)
    mark = Mark(source, 1, 1)
    key, equals, value = text.partition("=")
    steps = steps_of(key)
    if not equals or steps is None:
        raise _problem(mark, "A --set option is `KEY=VALUE`.", "For example `--set train.epochs=3`.")
    if len(steps) > MAX_DEPTH:
        raise _problem(mark, f"A key of {len(steps)} steps is deeper than any config.", "Shorten the key.")
    new = parse(Source(source.name, value.split("\n"), source.directory, numbered=False))
    place(root, steps, new, mark, names)


def steps_of(key: str) -> list[str] | None:
    """``model.layers[0].units`` as its steps; None for what is no key."""
    return [index or name for index, name in _STEP.findall(key)] if _KEY.fullmatch(key) else None


def place(root: Node, steps: Sequence[str], new: Node, mark: Mark, names: Namer) -> KeyPath:
    """Put a node where the steps lead, and say at which path that is; ``root`` changes, what it shares does not.

    Raises:
        LayercliError: there is no such place; the problem points at ``mark``.
    """
    parent, path = _walk(root, steps, mark, names)
    last = path[-1]
    if isinstance(parent.value, list):
        parent.value[int(last)] = new
    elif isinstance(parent.value, dict):
        parent.value[str(last)] = new
        parent.keys[str(last)] = mark
    return path


def _walk(root: Node, steps: Sequence[str], mark: Mark, names: Namer) -> tuple[Node, KeyPath]:
    """The list or mapping that holds the last step, and the path to that step in it."""
    node = root
    path: KeyPath = ()
    for number, step in enumerate(steps):
        key: str | int = step
        if isinstance(node.value, list):
            key = _index(node.value, step, path, mark, names)
        else:
            _become_mapping(node, step, path, mark)
        path = (*path, key)
        if number == len(steps) - 1:
            return node, path
        node = _own_child(node, key, mark)
    raise AssertionError("a key has at least one step")


def _own_child(node: Node, key: str | int, mark: Mark) -> Node:
    """The child to change: a copy, since YAML aliases share their nodes; an empty mapping where there is none."""
    if isinstance(node.value, list):
        child = _copy(node.value[int(key)])
        node.value[int(key)] = child
        return child
    assert isinstance(node.value, dict)
    name = str(key)
    child = _copy(node.value[name]) if name in node.value else Node({}, mark)
    node.value[name] = child
    node.keys.setdefault(name, mark)
    return child


def _copy(node: Node) -> Node:
    value = node.value.copy() if isinstance(node.value, (dict, list)) else node.value
    return replace(node, value=value, keys=dict(node.keys))


def _index(items: list[Node], step: str, path: KeyPath, mark: Mark, names: Namer) -> int:
    if re.fullmatch(r"-?\d+", step) and len(step) < 10:
        index = int(step)
        if -len(items) <= index < len(items):
            return index % len(items)
        count = "1 item" if len(items) == 1 else f"{len(items)} items"
        hint = f"They are counted from 0 to {len(items) - 1}." if items else None
        raise _problem(mark, f"`{format_path(path)}` has {count}; there is no item {step}.", hint)
    known = list(names(items))
    if step in known:
        return known.index(step)
    listed = ", ".join(f"`{name}`" for name in known[:20])
    raise _problem(
        mark,
        f'`{format_path(path)}` has no item "{printable(step, limit=60)}".',
        f"It has {listed}." if listed else None,
    )


def _become_mapping(node: Node, step: str, path: KeyPath, mark: Mark) -> None:
    """A name stands for ``{type: name}``, and nothing for an empty mapping; other values hold no keys."""
    if isinstance(node.value, dict):
        return
    if isinstance(node.value, str) and path:
        node.value = {"type": Node(node.value, node.mark)}
        node.keys = {"type": node.mark}
    elif node.value is None:
        node.value = {}
    else:
        shown = printable(str(node.value), limit=60)
        raise _problem(
            mark, f"`{format_path(path)}` is {shown}; it has no key `{printable(step, limit=60)}`.", None
        )


def _problem(mark: Mark, message: str, hint: str | None) -> LayercliError:
    return LayercliError(problem_at(mark, "bad-override", message, hint=hint))
