"""The values of a JSON object as those of a row: inner objects become columns such as ``outer.inner``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

_MAX_DEPTH: Final = 8


class RepeatedNameError(ValueError):
    """Two values of an object have the same name, so that one of them would be lost."""

    def __init__(self, name: str) -> None:
        super().__init__(f"it has several values of the name `{name}`")


class SurrogateError(ValueError):
    """A text has half of a character, which cannot be stored."""

    def __init__(self, surrogate: str) -> None:
        super().__init__(f"it has \\u{ord(surrogate):04x}, which is half of a character")


def parse_object(text: str) -> dict[str, Any]:
    """Return the values of an object in JSON by name, as ``flatten_document`` does.

    Raises:
        ValueError: it is not JSON, not an object, too deep, or has a name twice or half of a character.
    """
    document = json.loads(text, object_pairs_hook=_make_object)
    row = flatten_document(document)
    if "\\u" in text:  # only an escape can be half of a character
        try:
            json.dumps(row, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise SurrogateError(error.object[error.start]) from None
    return row


def flatten_document(document: Any) -> dict[str, Any]:
    """Return the values of a JSON object by name; those of inner objects by their names joined with a dot.

    Raises:
        ValueError: it is not an object, too deep, or has a name twice.
    """
    if not isinstance(document, dict):
        raise ValueError("not a JSON object")
    if not any(isinstance(value, dict) for value in document.values()):
        return document
    return _make_object(list(_iterate_values(document, "", 0)))


def _make_object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Return values by name.

    Raises:
        RepeatedNameError: several have the same name.
    """
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        raise RepeatedNameError(next(name for name in names if names.count(name) > 1))
    return values


def _iterate_values(document: dict[str, Any], prefix: str, depth: int) -> Iterator[tuple[str, Any]]:
    if depth > _MAX_DEPTH:
        raise ValueError(f"objects are more than {_MAX_DEPTH} levels deep")
    for name, value in document.items():
        if isinstance(value, dict):
            yield from _iterate_values(value, f"{prefix}{name}.", depth + 1)
        else:
            yield prefix + name, value
