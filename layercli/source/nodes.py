"""Values as a person wrote them: plain data with a position on every key and value."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from layercli.errors import Problem, Severity

KeyPath: TypeAlias = tuple[str | int, ...]

_UNPRINTABLE = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\U000e0000-\U000e007f]"
)
"""What a terminal obeys, what turns the direction of text, and what nobody sees."""
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+")


def sanitize_text(text: str, *, limit: int | None = None) -> str:
    """The text without what could act on a terminal, cut to ``limit`` characters."""
    if limit is not None and len(text) > limit:
        text = text[: limit - 1] + "…"
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text.replace("\n", " ").replace("\t", " "))


def quote_value(value: object) -> str:
    """A received value as a message shows it: in YAML's words and short."""
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
    """Return a received value as a message names it that expected no string: ``the string "10"``."""
    return f"the string {quote_value(value)}" if isinstance(value, str) else quote_value(value)


def normalize_type_name(name: str) -> str:
    """A type's name as it is compared: case, ``_`` and ``-`` do not count."""
    return name.replace("_", "").replace("-", "").lower()


def format_path(path: KeyPath) -> str:
    """``("model", "layers", 3, "units")`` as ``model.layers[3].units``."""
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
    """A text that was read: a file, standard input or a ``--set`` option."""

    name: str
    lines: list[str]
    directory: Path
    has_positions: bool = True
    """Whether lines and columns mean anything to the reader."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A position in a source; line and column count from 1."""

    source: SourceText
    line: int
    column: int

    @property
    def excerpt(self) -> str | None:
        """The line that the mark points into."""
        lines = self.source.lines
        return lines[self.line - 1] if 0 < self.line <= len(lines) else None


def describe_position(mark: Mark, other: Mark) -> str:
    """Where ``mark`` is, as a message says it that points at ``other``: "line 3", or with the file where it is another."""
    if not mark.source.has_positions:
        return mark.source.name
    line = f"line {mark.line}"
    return line if mark.source is other.source else f"{line} of {mark.source.name}"


@dataclass(slots=True)
class YamlNode:
    """A scalar, list or mapping with the positions of its value and keys."""

    value: bool | int | float | str | list[YamlNode] | dict[str, YamlNode] | None
    mark: Mark
    keys: dict[str, Mark] = field(default_factory=dict)
    size: int = 1
    """Number of nodes in the tree below and with this one, aliases written out."""
    depth: int = 0
    """Levels of lists and mappings in the tree below this one, aliases written out."""
    written_path: KeyPath | None = None
    """The path at which it was written, where that is not the one at which it is found."""
    via: str | None = None
    """How it came here from another place, as a sentence."""

    @property
    def children(self) -> list[tuple[str | int, YamlNode]]:
        """The items of a list by their index, or those of a mapping by their key."""
        if isinstance(self.value, dict):
            return list(self.value.items())
        return list(enumerate(self.value)) if isinstance(self.value, list) else []

    def to_plain(self) -> Any:
        """The value without positions."""
        if isinstance(self.value, dict):
            return {key: child.to_plain() for key, child in self.value.items()}
        if isinstance(self.value, list):
            return [child.to_plain() for child in self.value]
        return self.value

    def find(self, path: KeyPath) -> YamlNode | None:
        """The node at ``path``, or None where there is none."""
        node = self
        for step in path:
            child = node._get_child(step)
            if child is None:
                return None
            node = child
        return node

    def find_mark(self, path: KeyPath, *, key: bool = False) -> Mark:
        """Where ``path`` stands: its value, or its key; else the nearest thing around it that was written."""
        node = self
        mark = node.mark
        for index, step in enumerate(path):
            last = index == len(path) - 1
            if key and last and isinstance(step, str) and step in node.keys:
                return node.keys[step]
            child = node._get_child(step)
            if child is None:
                break
            # A nested block starts a line below its key; the key is what a person looks for.
            nested = isinstance(child.value, (dict, list)) and isinstance(step, str)
            below = nested and step in node.keys and child.mark.line > node.keys[str(step)].line
            mark = node.keys[str(step)] if below else child.mark
            node = child
        return mark

    def find_origin(self, path: KeyPath) -> tuple[KeyPath, str | None]:
        """The path as it was written, and the sentence that says how what stands there came from elsewhere."""
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
    """A problem that points at ``mark``."""
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
    """A problem that points at ``path`` in a document: at the place where a person wrote what stands there."""
    if document is None:
        return problem_at(None, code, message, hint=hint, path=path, severity=severity)
    written_path, via = document.find_origin(path[:-1] if at_key else path)
    if at_key:  # the key was written here, wherever its value may come from
        written_path = (*written_path, *path[-1:])
    mark = document.find_mark(path, key=at_key)
    return problem_at(mark, code, message, hint=hint, path=written_path, severity=severity, via=via)
