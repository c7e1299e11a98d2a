"""The values of a JSON object as those of a row: inner objects become columns such as ``outer.inner``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

_MAX_DEPTH: Final = 8


def flatten_document(document: Any) -> dict[str, Any]:
    """Return the values of a JSON object by name; those of inner objects by their names joined with a dot.

    Raises:
        ValueError: it is not an object, or too deep.
    """
    if not isinstance(document, dict):
        raise ValueError("not a JSON object")
    if not any(isinstance(value, dict) for value in document.values()):
        return document
    return dict(_iterate_values(document, "", 0))


def _iterate_values(document: dict[str, Any], prefix: str, depth: int) -> Iterator[tuple[str, Any]]:
    if depth > _MAX_DEPTH:
        raise ValueError(f"objects are more than {_MAX_DEPTH} levels deep")
    for name, value in document.items():
        if isinstance(value, dict):
            yield from _iterate_values(value, f"{prefix}{name}.", depth + 1)
        else:
            yield prefix + name, value
