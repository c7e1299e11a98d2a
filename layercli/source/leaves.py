"""The values of nested mappings and lists, each with its path."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from layercli.source.nodes import KeyPath


def iterate_leaves(
    value: Any,
    should_open: Callable[[Sequence[Any]], bool],
    *,
    use_item_names: bool = False,
    path: KeyPath = (),
) -> Iterator[tuple[KeyPath, Any]]:
    """Yield each value inside non-empty mappings, and inside the non-empty lists that ``should_open`` accepts.

    With ``use_item_names``, the step to a list item is its ``name`` if it has one, else its index.
    """
    steps: Iterable[tuple[str | int, Any]]
    if isinstance(value, Mapping) and value:
        steps = ((str(key), item) for key, item in value.items())
    elif isinstance(value, list) and value and should_open(value):
        steps = enumerate(value)
        if use_item_names:
            steps = ((_item_name(item) or index, item) for index, item in steps)
    else:
        yield path, value
        return
    for step, item in steps:
        yield from iterate_leaves(item, should_open, use_item_names=use_item_names, path=(*path, step))


def _item_name(item: Any) -> str | None:
    name = item.get("name") if isinstance(item, Mapping) else None
    return name if isinstance(name, str) else None


def has_mappings(items: Sequence[Any]) -> bool:
    """Return whether a list contains mappings."""
    return any(isinstance(item, Mapping) for item in items)


def format_key_path(path: KeyPath) -> str:
    """Return ``("callbacks", 0, "type")`` as ``callbacks[0].type``, with keys as they are."""
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return "".join(steps).removeprefix(".")
