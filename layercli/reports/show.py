"""A config with all defaults written out, and the origin of each value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from layercli.check import ValidConfig
from layercli.config.model import LAYERS_PATH
from layercli.reports.console import is_terminal, make_console, print_text
from layercli.source.dump import to_yaml
from layercli.source.leaves import iterate_leaves
from layercli.source.load import parse_yaml
from layercli.source.nodes import KeyPath, SourceText, YamlNode, format_path

FROM_DEFAULT, FROM_GENERATED = "default", "generated"
_MAX_COMMENT_COLUMN = 44
"""Last column at which comments are aligned; after longer lines they follow directly."""
_GENERATED_KEYS = ("name", "inputs", "reuse")
"""Keys of a layer that may be generated from its type, block and position."""
_VALUE_SECTIONS = ("vars", "params", "with")
"""Sections of named values that other places refer to."""


def print_yaml(text: str) -> None:
    """Print YAML on standard output, in colors on a terminal."""
    if not is_terminal():
        print_text(text)
        return
    from rich.syntax import Syntax

    lines = Syntax(text, "yaml", theme="ansi_dark", background_color="default").highlight(text)
    lines.rstrip()
    make_console().print(lines, soft_wrap=True)


def render_annotated_yaml(valid: ValidConfig) -> str:
    """Return the resolved config as YAML with the origin of each value in a comment."""
    lines = to_yaml(valid.to_resolved_dict()).removesuffix("\n").split("\n")
    root = parse_yaml(SourceText("resolved", lines, valid.check_result.directory_of(())))
    starts = set(_start_lines(root))
    comments = {}
    for path, line in _value_lines(root):
        last = next((number for number in range(line, len(lines)) if number + 1 in starts), len(lines))
        comments[last] = find_origin(valid, path)["from"]
    width = min(max(map(len, lines)), _MAX_COMMENT_COLUMN)
    return "".join(
        f"{line:<{width}}  # {comments[number]}\n" if number in comments else f"{line}\n"
        for number, line in enumerate(lines, start=1)
    )


def origins_json(valid: ValidConfig) -> dict[str, Any]:
    """Return the origin of each value in the resolved config, by its path."""
    leaves = iterate_leaves(valid.to_resolved_dict(), _has_nested_items)
    return {format_path(path): find_origin(valid, path) for path, _ in leaves}


def find_origin(valid: ValidConfig, path: KeyPath) -> dict[str, Any]:
    """Return where a value of the resolved config was written: file, line, and a description of both."""
    document = valid.check_result.document
    assert document is not None
    node, rest = document, path
    while rest and (child := node.find(rest[:1])) is not None:
        if _is_generated(node, path[: len(path) - len(rest) + 1]):
            return _origin_without_file(FROM_GENERATED)
        node, rest = child, rest[1:]
    if rest and not _is_shorthand(node, rest):
        return _origin_without_file(_implicit_origin(path, valid))
    mark = node.mark
    written, through = document.find_origin(path[: len(path) - len(rest)])
    numbered = mark.source.has_positions
    location = f"{mark.source.name}:{mark.line}" if numbered else mark.source.name
    named = f", {format_path(written[-2:])}" if len(written) > 1 and written[-2] in _VALUE_SECTIONS else ""
    via = {} if through is None else {"through": through}
    return {
        "file": mark.source.name,
        "line": mark.line if numbered else None,
        "from": location + named,
        **via,
    }


def _origin_without_file(reason: str) -> dict[str, Any]:
    return {"file": None, "line": None, "from": reason}


def _is_generated(layer: YamlNode, path: KeyPath) -> bool:
    """Return whether a key of a layer was generated when blocks were expanded."""
    return (
        len(path) == 4
        and path[:2] == LAYERS_PATH
        and path[3] in _GENERATED_KEYS
        and path[3] not in layer.keys
    )


def _is_shorthand(node: YamlNode, rest: KeyPath) -> bool:
    """Return whether a value is shorthand: a name for its ``type``, a list for its ``shape``, one size for several."""
    if isinstance(node.value, dict):
        return False
    return rest in (("type",), ("shape",)) or all(isinstance(step, int) for step in rest)


def _implicit_origin(path: KeyPath, valid: ValidConfig) -> str:
    """Return the origin of a value that is not written in any file."""
    if path == ("name",):
        return "the name of the file"
    if path[:2] == LAYERS_PATH and path[3:] == ("name",):
        return FROM_GENERATED
    if path[:2] == ("model", "input") and valid.config.model.input is None:
        return "the data"
    return FROM_DEFAULT


def _value_lines(node: YamlNode, path: KeyPath = ()) -> Iterator[tuple[KeyPath, int]]:
    """Yield each value that ends a line, with the line on which it begins."""
    for step, child in node.children:
        if _ends_line(child):
            yield (*path, step), child.mark.line
        else:
            yield from _value_lines(child, (*path, step))


def _start_lines(node: YamlNode) -> Iterator[int]:
    """Yield the line number of each key and block list item."""
    yield from (mark.line for mark in node.keys.values())
    for _, child in node.children:
        yield child.mark.line
        if not _ends_line(child):
            yield from _start_lines(child)


def _ends_line(node: YamlNode) -> bool:
    """Return whether nothing below the value has a separate line."""
    return not node.children or (
        isinstance(node.value, list) and all(not item.children for item in node.value)
    )


def _has_nested_items(items: Sequence[Any]) -> bool:
    return any(isinstance(item, (list, Mapping)) for item in items)
