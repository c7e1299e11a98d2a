"""``--set model.layers.head.units=20``: change nodes before validation."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from layercli.errors import LayercliError, Problem
from layercli.io.credentials import hide_credentials
from layercli.source.load import MAX_NODES, parse_yaml
from layercli.source.nodes import KeyPath, Mark, SourceText, YamlNode, format_path, problem_at, sanitize_text
from layercli.source.syntax import MAX_DEPTH

_STEP_PATTERN = re.compile(r"\[(-?\d+)\]|([^.\[\]]+)")
_KEY_PATTERN = re.compile(r"[^.\[\]]+(?:\.[^.\[\]]+|\[-?\d+\])*")

ItemNamer = Callable[[list[YamlNode]], Sequence[str]]
"""Returns the names by which ``--set`` addresses the items of a list."""
_NAMING_KEYS: Final = ("name", "type", "block", "reuse")
"""Keys of an item that its name depends on."""


class _ItemNames:
    """The names of the items of each list, kept until a change affects them."""

    def __init__(self, name_items: ItemNamer) -> None:
        self._name_items = name_items
        self._names: dict[KeyPath, dict[str, int]] = {}

    def find_index(self, name: str, items: list[YamlNode], path: KeyPath) -> int | None:
        """Return the first item of the list at ``path`` with a name; None if there is none."""
        if path not in self._names:
            names = list(self._name_items(items))
            self._names[path] = {each: index for index, each in reversed([*enumerate(names)])}
        return self._names[path].get(name)

    def list_names(self, path: KeyPath) -> list[str]:
        """Return the names of a list that was searched, in their order."""
        return sorted(self._names[path], key=self._names[path].__getitem__)

    def forget_changed(self, path: KeyPath) -> None:
        """Forget the names that a change of the node at ``path`` can affect."""
        for place in list(self._names):
            is_around = place[: len(path)] == path
            key = path[len(place) + 1] if len(path) > len(place) + 1 else None
            is_inside = path[: len(place)] == place and (key is None or key in _NAMING_KEYS)
            if is_around or is_inside:
                del self._names[place]


def apply_overrides(root: YamlNode, overrides: Sequence[str], name_items: ItemNamer) -> None:
    """Set each ``KEY=VALUE`` in the nodes; the last one wins for each key.

    Raises:
        LayercliError: overrides are invalid; it lists all of them.
    """
    problems: list[Problem] = []
    names = _ItemNames(name_items)
    size = 0
    for text in overrides:
        try:
            size += _apply_override(root, text, names)
            if size > MAX_NODES:
                message = f"The values of `--set` contain more than {MAX_NODES:,} values in total."
                raise _override_error(_mark_of(text), message, "Write them into a file.", "too-many-nodes")
        except LayercliError as error:
            problems.extend(error.problems)
            if size > MAX_NODES:
                break
    if problems:
        raise LayercliError(problems)


def _mark_of(text: str) -> Mark:
    source = SourceText(
        f"--set {sanitize_text(hide_credentials(text), limit=100)}", [], Path.cwd(), has_positions=False
    )
    return Mark(source, 1, 1)


def _apply_override(root: YamlNode, text: str, names: _ItemNames) -> int:
    """Set one ``KEY=VALUE`` and return the number of values in it."""
    mark = _mark_of(text)
    key, equals, value = text.partition("=")
    steps = split_key(key)
    if not equals or steps is None:
        raise _override_error(mark, "`--set` must be `KEY=VALUE`.", "For example `--set train.epochs=3`.")
    if len(steps) > MAX_DEPTH:
        raise _override_error(
            mark, f"The key has {len(steps)} steps; the limit is {MAX_DEPTH}.", "Shorten the key."
        )
    source = replace(mark.source, lines=value.split("\n"))
    new = parse_yaml(source)
    names.forget_changed(_set_node(root, steps, new, mark, names))
    return new.size


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
    return _set_node(root, steps, new, mark, _ItemNames(name_items))


def _set_node(root: YamlNode, steps: Sequence[str], new: YamlNode, mark: Mark, names: _ItemNames) -> KeyPath:
    parent, path = _find_parent(root, steps, mark, names)
    last = path[-1]
    if isinstance(parent.value, list):
        parent.value[int(last)] = new
    elif isinstance(parent.value, dict):
        parent.value[str(last)] = new
        parent.keys[str(last)] = mark
    return path


def _find_parent(
    root: YamlNode, steps: Sequence[str], mark: Mark, names: _ItemNames
) -> tuple[YamlNode, KeyPath]:
    """Return the list or mapping that contains the last step, and the full path."""
    node = root
    path: KeyPath = ()
    for number, step in enumerate(steps):
        key: str | int = step
        if isinstance(node.value, list):
            key = _find_index(node.value, step, path, mark, names)
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


def _find_index(items: list[YamlNode], step: str, path: KeyPath, mark: Mark, names: _ItemNames) -> int:
    if re.fullmatch(r"-?\d+", step) and len(step) < 10:
        index = int(step)
        if -len(items) <= index < len(items):
            return index % len(items)
        count = "1 item" if len(items) == 1 else f"{len(items)} items"
        hint = f"Valid indices are 0 to {len(items) - 1}." if items else None
        raise _override_error(mark, f"`{format_path(path)}` has no item {step}: it has {count}.", hint)
    found = names.find_index(step, items, path)
    if found is not None:
        return found
    listed = ", ".join(f"`{name}`" for name in names.list_names(path)[:20])
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


def _override_error(mark: Mark, message: str, hint: str | None, code: str = "bad-override") -> LayercliError:
    return LayercliError(problem_at(mark, code, message, hint=hint))
