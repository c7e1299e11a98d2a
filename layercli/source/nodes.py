"""Plain data with a position for every key and value."""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from layercli.errors import Problem, Severity

KeyPath: TypeAlias = tuple[str | int, ...]

_UNPRINTABLE = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\U000e0000-\U000e007f]"
)
"""Control characters, changes of text direction and invisible characters."""
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+")


_MAX_VIA_LENGTH = 1000
TEXT_PER_NODE = 100
"""Characters of a string that count as one more value."""


def measure_text(text: str) -> int:
    """Return the number of values that a string counts for, so that aliases of long strings are bounded too."""
    return 1 + len(text) // TEXT_PER_NODE


def shorten_via(text: str) -> str:
    """Return the explanation of a value's position, shortened if it is long."""
    return text if len(text) <= _MAX_VIA_LENGTH else f"{text[: _MAX_VIA_LENGTH - 1]}…"


def sanitize_text(text: str, *, limit: int | None = None) -> str:
    """Return the text on one line without control characters, cut to ``limit`` characters."""
    if limit is not None and len(text) > limit:
        text = text[: limit - 1] + "…"
    return replace_unprintable(text.replace("\n", " ").replace("\t", " "))


def replace_unprintable(text: str) -> str:
    """Return the text without control characters; line breaks and tabs are kept."""
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def quote_value(value: object) -> str:
    """Return a received value for a message, short and in YAML's spelling."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and abs(value) >= 10**15:
        return f"an integer of {len(str(abs(value)))} digits"
    if isinstance(value, str):
        return f'"{sanitize_text(value, limit=60)}"'
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, (list, tuple)):
        shown = ", ".join(
            "[…]" if isinstance(item, (list, tuple)) and item else quote_value(item) for item in value[:8]
        )
        return f"[{shown}{', …' if len(value) > 8 else ''}]"
    if isinstance(value, float) and not math.isfinite(value):
        return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
    return sanitize_text(str(value), limit=60)


def describe_received(value: object) -> str:
    """Return a received value for the message of a field that takes other types than strings: ``the string "10"``."""
    return f"the string {quote_value(value)}" if isinstance(value, str) else quote_value(value)


def normalize_type_name(name: str) -> str:
    """Return a type's name for comparison, without case, ``_`` and ``-``."""
    return name.replace("_", "").replace("-", "").lower()


def format_path(path: KeyPath) -> str:
    """Return ``model.layers[3].units`` for ``("model", "layers", 3, "units")``."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif _PLAIN_KEY.fullmatch(step):
            text += f".{step}" if text else step
        else:
            text += f'["{sanitize_text(step, limit=60)}"]'
    return text


@dataclass(frozen=True, slots=True)
class SourceText:
    """A source of YAML text: a file, standard input or a ``--set`` option."""

    name: str
    lines: list[str]
    directory: Path
    has_positions: bool = True
    """Whether messages may show lines and columns."""


class Mark(NamedTuple):
    """A position in a source; line and column count from 1."""

    source: SourceText
    line: int
    column: int

    @property
    def excerpt(self) -> str | None:
        """The line of the mark, or None if it is outside the text."""
        lines = self.source.lines
        return lines[self.line - 1] if 0 < self.line <= len(lines) else None


def describe_position(mark: Mark, other: Mark) -> str:
    """Return the position of ``mark`` for a message at ``other``: "line 3", with the file's name if the files differ."""
    if not mark.source.has_positions:
        return mark.source.name
    line = f"line {mark.line}"
    return line if mark.source.name == other.source.name else f"{line} of {mark.source.name}"


@dataclass(slots=True)
class YamlNode:
    """A scalar, list or mapping with the positions of its value and keys."""

    value: bool | int | float | str | list[YamlNode] | dict[str, YamlNode] | None
    mark: Mark
    keys: dict[str, Mark] = field(default_factory=dict)
    size: int = 1
    """Number of nodes in this tree, including this one, with aliases expanded; a long string counts for several."""
    depth: int = 0
    """Levels of lists and mappings below this node, with aliases expanded."""
    written_path: KeyPath | None = None
    """The path at which it was written, if it was moved from there."""
    via: str | None = None
    """A sentence that explains how the value came from another position."""
    end: tuple[int, int] | None = None
    """Line and column after its last character; for a list or mapping without brackets, the start of the next token."""
    uses: tuple[Mark, ...] = ()
    """Positions of the entries whose block, or repetition, inserted this layer, the outermost first."""

    @property
    def children(self) -> list[tuple[str | int, YamlNode]]:
        """The items of a list by index, or those of a mapping by key."""
        if isinstance(self.value, dict):
            return list(self.value.items())
        return list(enumerate(self.value)) if isinstance(self.value, list) else []

    def to_plain(self) -> Any:
        """Return the value without positions."""
        value = self.value
        if isinstance(value, dict):
            return {key: child.to_plain() for key, child in value.items()}
        return [child.to_plain() for child in value] if isinstance(value, list) else value

    def find(self, path: KeyPath) -> YamlNode | None:
        """Return the node at ``path``, or None if it does not exist."""
        node = self
        for step in path:
            child = node._get_child(step)
            if child is None:
                return None
            node = child
        return node

    def find_mark(self, path: KeyPath, *, key: bool = False) -> Mark:
        """Return the mark of the value (or key) at ``path``, or of the nearest existing node around it."""
        node = self
        mark = node.mark
        for index, step in enumerate(path):
            last = index == len(path) - 1
            if key and last and isinstance(step, str) and step in node.keys:
                return node.keys[step]
            child = node._get_child(step)
            if child is None:
                break
            # A nested block starts a line below its key; its key is the better position.
            nested = isinstance(child.value, (dict, list)) and isinstance(step, str)
            below = nested and step in node.keys and child.mark.line > node.keys[str(step)].line
            mark = node.keys[str(step)] if below else child.mark
            node = child
        return mark

    def find_origin(self, path: KeyPath) -> tuple[KeyPath, str | None]:
        """Return the path at which the value was written, and the sentence that explains how it came to ``path``."""
        node: YamlNode | None = self
        written_path, via = self.written_path or (), self.via
        for step in path:
            node = node._get_child(step) if node is not None else None
            written_path = (
                (*written_path, step) if node is None or node.written_path is None else node.written_path
            )
            via = via if node is None or node.via is None else node.via
        return written_path, via

    def _get_child(self, step: str | int) -> YamlNode | None:
        if isinstance(step, int):
            items = self.value
            return items[step] if isinstance(items, list) and -len(items) <= step < len(items) else None
        return self.value.get(step) if isinstance(self.value, dict) else None


def measure_nodes(children: Collection[YamlNode]) -> tuple[int, int]:
    """Return the size and the depth of a list or mapping with these values."""
    return 1 + sum(child.size for child in children), 1 + max((child.depth for child in children), default=0)


def problem_at(
    mark: Mark | None,
    code: str,
    message: str,
    *,
    hint: str | None = None,
    path: KeyPath = (),
    severity: Severity = "error",
    via: str | None = None,
) -> Problem:
    """Return a problem at ``mark``."""
    numbered = mark is not None and mark.source.has_positions
    return Problem(
        code=code,
        message=message,
        hint=hint,
        severity=severity,
        path=format_path(path),
        file=mark.source.name if mark else None,
        line=mark.line if mark and numbered else None,
        column=mark.column if mark and numbered else None,
        excerpt=mark.excerpt if mark and numbered else None,
        via=via,
    )


def problem_in(
    document: YamlNode | None,
    path: KeyPath,
    code: str,
    message: str,
    *,
    hint: str | None = None,
    severity: Severity = "error",
    at_key: bool = False,
) -> Problem:
    """Return a problem at ``path`` in a document, located where its value was written."""
    if document is None:
        return problem_at(None, code, message, hint=hint, path=path, severity=severity)
    written_path, via = document.find_origin(path[:-1] if at_key else path)
    if at_key:  # the key was written here, even if its value was not
        written_path = (*written_path, *path[-1:])
    mark = document.find_mark(path, key=at_key)
    return problem_at(mark, code, message, hint=hint, path=written_path, severity=severity, via=via)
