"""The values of a base config that a sweep can draw, and a range or choice around each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from layercli.config.language.expand import name_entries
from layercli.config.model import LAYERS_PATH
from layercli.language_server.places import Place, find_place, resolve_class
from layercli.schema.flow_style import format_value
from layercli.schema.strict_model import to_plain
from layercli.source.nodes import KeyPath, YamlNode

_SECTIONS: Final = ("vars", "model", "train")
_FIXED_KEYS: Final = ("name", "type", "block", "reuse", "input", "inputs", "outputs")
"""Keys whose values are not drawn."""
_UNUSUAL_KEYS: Final = ("autocast", "trainable", "distribution", "diagnostics")
"""Keys that are proposed only if the base config sets them."""
_OUTPUT_KEYS: Final = ("units", "filters", "activation")
"""Keys of the last layer that the target determines."""
_MAX_OPTIONS: Final = 4


@dataclass(frozen=True, slots=True)
class DrawableValue:
    """A value that a sweep can draw."""

    name: str
    """Its key in `space`."""
    value: Any
    is_written: bool
    """Whether the base config sets it; otherwise the value is the default."""
    place: Place


def list_drawable_values(base: YamlNode) -> Iterator[DrawableValue]:
    """Yield the values of a base config, those that it sets first."""
    mappings: list[tuple[YamlNode, KeyPath, str]] = []
    pending: list[tuple[YamlNode, KeyPath, str]] = [
        (node, (key,), key) for key in reversed(_SECTIONS) if (node := base.find((key,))) is not None
    ]
    entries = base.find(LAYERS_PATH)
    last = (*LAYERS_PATH, len(entries.children) - 1) if entries is not None else ()
    while pending:
        node, path, name = pending.pop()
        if path[:-1] == last and path[-1] in _OUTPUT_KEYS:
            continue
        if isinstance(node.value, dict):
            mappings.append((node, path, name))
            pending += [
                (child, (*path, step), f"{name}.{step}")
                for step, child in reversed(node.children)
                if step not in _FIXED_KEYS and "." not in str(step)
            ]
        elif path == LAYERS_PATH and isinstance(node.value, list):
            names = name_entries(node.value)
            pending += [
                (child, (*path, index), f"{name}.{names[index]}")
                for index, child in reversed(list(enumerate(node.value)))
                if isinstance(child.value, dict)
            ]
        elif _is_drawable(node.value):
            yield DrawableValue(name, node.value, is_written=True, place=find_place(base, path))
    for node, path, name in mappings:
        yield from _list_defaults(base, node, path, name)


def _list_defaults(base: YamlNode, node: YamlNode, path: KeyPath, name: str) -> Iterator[DrawableValue]:
    """Yield the values that a component leaves at their defaults."""
    place = find_place(base, path)
    cls = resolve_class(place, node)
    given = {step for step, _ in node.children}
    for key, field in cls.model_fields.items() if cls is not None else ():
        if key in given or field.is_required() or key in (*_FIXED_KEYS, *_UNUSUAL_KEYS):
            continue
        value = to_plain(field.get_default(call_default_factory=True))
        if _is_drawable(value):
            yield DrawableValue(
                f"{name}.{key}", value, is_written=False, place=find_place(base, (*path, key))
            )


def _is_drawable(value: Any) -> bool:
    return isinstance(value, (bool, int, float)) or (isinstance(value, str) and "${" not in value)


def suggest_distribution(value: Any, options: Sequence[Any]) -> str:
    """Return a range or a choice around a value, as a sweep file writes it."""
    if isinstance(value, bool):
        return "{choice: [false, true]}"
    if isinstance(value, int):
        low, high = (max(value // 2, 1), 2 * value) if value > 0 else (min(2 * value, 0), 10)
        return f"{{int: [{low}, {high}]}}"
    if isinstance(value, float) and 0.05 < value < 1:
        return f"{{float: [{_round_value(value / 2)}, {_round_value(min(2 * value, (1 + value) / 2))}]}}"
    if isinstance(value, float) and value > 0:
        return f"{{float: [{_round_value(value / 10)}, {_round_value(value * 10)}], log: true}}"
    if isinstance(value, float):
        return f"{{float: [{_round_value(2 * value)}, 1.0]}}"
    others = [option for option in options if option != value][: _MAX_OPTIONS - 1]
    return f"{{choice: [{', '.join(format_value(one) for one in (value, *others))}]}}"


def _round_value(value: float) -> str:
    return format_value(float(f"{value:.4g}"))
