"""A config with every default written out, and where each of its values came from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from layercli.check import Valid
from layercli.source.dump import to_yaml
from layercli.source.load import parse
from layercli.source.nodes import KeyPath, Node, Source, format_path

DEFAULT = "default"
_WIDEST = 44
"""Columns after which a comment follows a line of any length."""


def explained_yaml(valid: Valid) -> str:
    """The resolved config as YAML; each line ends with where its value came from."""
    text = to_yaml(valid.resolved())
    directory = valid.checked.directory_of(())
    root = parse(Source("resolved", text.splitlines(), directory))
    comments = {line: origin(valid, path)["from"] for path, line in _lines(root)}
    lines = text.splitlines()
    width = min(max(map(len, lines)), _WIDEST)
    return "".join(
        f"{line:<{width}}  # {comments[number]}\n" if number in comments else f"{line}\n"
        for number, line in enumerate(lines, start=1)
    )


def origins_json(valid: Valid) -> dict[str, Any]:
    """Where each value of the resolved config came from, by its path."""
    return {format_path(path): origin(valid, path) for path in _leaves(valid.resolved())}


def origin(valid: Valid, path: KeyPath) -> dict[str, Any]:
    """Where the value at a path of the resolved config was written: file, line, and both in words."""
    document = valid.checked.document
    assert document is not None
    node, left = document, path
    while left and (child := node.find(left[:1])) is not None:
        node, left = child, left[1:]
    short = left in (("type",), ("shape",)) and not isinstance(node.value, dict)  # a name, or a list, alone
    if left and not short:
        return {"file": None, "line": None, "from": _implied(path, valid)}
    mark, through = node.mark, document.origin(path[: len(path) - len(left)])[1]
    numbered = mark.source.numbered
    place = f"{mark.source.name}:{mark.line}" if numbered else mark.source.name
    told = {} if through is None else {"through": through}
    return {"file": mark.source.name, "line": mark.line if numbered else None, "from": place, **told}


def _implied(path: KeyPath, valid: Valid) -> str:
    """Why a value stands there that nobody wrote."""
    if path == ("name",):
        return "the name of the file"
    if path[:2] == ("model", "input") and valid.config.model.input is None:
        return "the data"
    return DEFAULT


def _lines(node: Node, path: KeyPath = ()) -> Iterator[tuple[KeyPath, int]]:
    """Each value that ends a line, with the line."""
    for step, child in node.steps:
        if child.steps and not (
            isinstance(child.value, list) and all(not item.steps for _, item in child.steps)
        ):
            yield from _lines(child, (*path, step))
        else:
            yield (*path, step), child.mark.line


def _leaves(value: Any, path: KeyPath = ()) -> Iterator[KeyPath]:
    if isinstance(value, Mapping) and value:
        for key, child in value.items():
            yield from _leaves(child, (*path, key))
    elif isinstance(value, list) and any(isinstance(item, (list, Mapping)) for item in value):
        for index, child in enumerate(value):
            yield from _leaves(child, (*path, index))
    else:
        yield path
