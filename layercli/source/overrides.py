"""``--set model.layers.head.units=20``: change nodes before validation."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from layercli.errors import LayercliError, Problem
from layercli.source.load import MAX_DEPTH, parse_yaml
from layercli.source.nodes import KeyPath, Mark, SourceText, YamlNode, format_path, problem_at, sanitize_text

_STEP_PATTERN = re.compile(r"\[(-?\d+)\]|([^.\[\]]+)")
_KEY_PATTERN = re.compile(r"[^.\[\]]+(?:\.[^.\[\]]+|\[-?\d+\])*")

ItemNamer = Callable[[list[YamlNode]], Sequence[str]]
"""Returns the names by which ``--set`` addresses the items of a list."""


def apply_overrides(root: YamlNode, overrides: Sequence[str], name_items: ItemNamer) -> None:
    """Set each ``KEY=VALUE`` in the nodes; the last one wins for each key.

    Raises:
        LayercliError: overrides are invalid; it lists all of them.
    """
    problems: list[Problem] = []
    for text in overrides:
        try:
            _apply_override(root, text, name_items)
        except LayercliError as error:
            problems.extend(error.problems)
    if problems:
        raise LayercliError(problems)


def _apply_override(root: YamlNode, text: str, name_items: ItemNamer) -> None:
    source = SourceText(f"--set {sanitize_text(text, limit=100)}", [], Path.cwd(), has_positions=False)
    mark = Mark(source, 1, 1)
    key, equals, value = text.partition("=")
    steps = split_key(key)
    if not equals or steps is None:
        raise _override_error(mark, "`--set` must be `KEY=VALUE`.", "For example `--set train.epochs=3`.")
    if len(steps) > MAX_DEPTH:
        raise _override_error(
            mark, f"The key has {len(steps)} steps; the limit is {MAX_DEPTH}.", "Shorten the key."
        )
    new = parse_yaml(SourceText(source.name, value.split("\n"), source.directory, has_positions=False))
    set_node(root, steps, new, mark, name_items)


def split_key(key: str) -> list[str] | None:
    """Split ``model.layers[0].units`` into steps; return None for an invalid key."""
    return (
        [index or name for index, name in _STEP_PATTERN.findall(key)] if _KEY_PATTERN.fullmatch(key) else None
    )


def set_node(
    root: YamlNode, steps: Sequence[str], new: YamlNode, mark: Mark, name_items: ItemNamer
) -> KeyPath:
    """Set the node at the steps and return its path; ``root`` changes, nodes shared through aliases do not.

    Raises:
        LayercliError: the steps do not exist; the problem points at ``mark``.
    """
    parent, path = _find_parent(root, steps, mark, name_items)
    last = path[-1]
    if isinstance(parent.value, list):
        parent.value[int(last)] = new
    elif isinstance(parent.value, dict):
        parent.value[str(last)] = new
        parent.keys[str(last)] = mark
    return path


def _find_parent(
    root: YamlNode, steps: Sequence[str], mark: Mark, name_items: ItemNamer
) -> tuple[YamlNode, KeyPath]:
    """Return the list or mapping that contains the last step, and the full path."""
    node = root
    path: KeyPath = ()
    for number, step in enumerate(steps):
        key: str | int = step
        if isinstance(node.value, list):
            key = _find_index(node.value, step, path, mark, name_items)
        else:
            _ensure_mapping(node, step, path, mark)
        path = (*path, key)
        if number == len(steps) - 1:
            return node, path
        node = _copy_child(node, key, mark)
    raise AssertionError("a key has at least one step")


def _copy_child(node: YamlNode, key: str | int, mark: Mark) -> YamlNode:
    """Replace a child by a copy, since YAML aliases share nodes, and return it; create a missing mapping."""
    if isinstance(node.value, list):
        child = _copy_node(node.value[int(key)])
        node.value[int(key)] = child
        return child
    assert isinstance(node.value, dict)
    name = str(key)
    child = _copy_node(node.value[name]) if name in node.value else YamlNode({}, mark)
    node.value[name] = child
    node.keys.setdefault(name, mark)
    return child


def _copy_node(node: YamlNode) -> YamlNode:
    value = node.value.copy() if isinstance(node.value, (dict, list)) else node.value
    return replace(node, value=value, keys=dict(node.keys))


def _find_index(items: list[YamlNode], step: str, path: KeyPath, mark: Mark, name_items: ItemNamer) -> int:
    if re.fullmatch(r"-?\d+", step) and len(step) < 10:
        index = int(step)
        if -len(items) <= index < len(items):
            return index % len(items)
        count = "1 item" if len(items) == 1 else f"{len(items)} items"
        hint = f"Valid indices are 0 to {len(items) - 1}." if items else None
        raise _override_error(mark, f"`{format_path(path)}` has no item {step}: it has {count}.", hint)
    item_names = list(name_items(items))
    if step in item_names:
        return item_names.index(step)
    listed = ", ".join(f"`{name}`" for name in item_names[:20])
    raise _override_error(
        mark,
        f'`{format_path(path)}` has no item "{sanitize_text(step, limit=60)}".',
        f"Valid names: {listed}." if listed else None,
    )


def _ensure_mapping(node: YamlNode, step: str, path: KeyPath, mark: Mark) -> None:
    """Turn a bare name into ``{type: name}`` and null into an empty mapping; refuse other values."""
    if isinstance(node.value, dict):
        return
    if isinstance(node.value, str) and path:
        node.value = {"type": YamlNode(node.value, node.mark)}
        node.keys = {"type": node.mark}
    elif node.value is None:
        node.value = {}
    else:
        shown = sanitize_text(str(node.value), limit=60)
        raise _override_error(
            mark, f"`{format_path(path)}` has no key `{sanitize_text(step, limit=60)}`: it is {shown}.", None
        )


def _override_error(mark: Mark, message: str, hint: str | None) -> LayercliError:
    return LayercliError(problem_at(mark, "bad-override", message, hint=hint))
