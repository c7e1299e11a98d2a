"""Links from a config to the files that it names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from layercli.config.model import LAYERS_PATH
from layercli.language_server.analysis import Analysis
from layercli.language_server.documents import is_remote, uri_from_path
from layercli.language_server.places import find_place
from layercli.language_server.transport import Json
from layercli.layers.custom_layers import FILE_TYPE_PATTERN
from layercli.source.nodes import KeyPath, YamlNode

_MAX_LINKS = 1000


def find_target(analysis: Analysis, path: KeyPath) -> Path | None:
    """Return the file that the value at a path names; None if it names none, or one of another machine."""
    node = analysis.tree.find(path) if analysis.tree is not None else None
    text = node.value if node is not None else None
    if not isinstance(text, str) or not text or "${" in text or is_remote(text):
        return None
    folder = analysis.document.path.parent
    if path[-1:] == ("type",) and FILE_TYPE_PATTERN.fullmatch(text):
        return folder / text.rpartition(":")[0]
    is_split = path[:2] == ("data", "split") and path[2:3] in (("validation",), ("test",))
    has_file = is_split or find_place(analysis.tree, path).role == "path"
    if not has_file or any(char in text for char in "*?[\0"):
        return None
    return folder / text


def list_links(analysis: Analysis) -> list[Json]:
    """Return the links of a text."""
    links: list[Json] = []
    for node, path in _iterate_strings(analysis.tree):
        target = find_target(analysis, path)
        if target is not None and len(links) < _MAX_LINKS:
            place = analysis.index.range_of(*analysis.index.node_span(node))
            links.append({"range": place, "target": uri_from_path(target)})
    return links


def _iterate_strings(tree: YamlNode | None) -> Iterator[tuple[YamlNode, KeyPath]]:
    """Yield the strings that can name a file, each with its path."""
    pending: list[tuple[YamlNode, KeyPath]] = [(tree, ())] if tree is not None else []
    while pending:
        node, path = pending.pop()
        if isinstance(node.value, str) and (":" in node.value or (len(path) < 4 and path[:2] != LAYERS_PATH)):
            yield node, path
        pending.extend(
            (child, (*path, step))
            for step, child in reversed(node.children)
            if tree is not None and child.mark.source is tree.mark.source
        )
