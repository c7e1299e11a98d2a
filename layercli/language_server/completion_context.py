"""Where the cursor is in a text that is half typed: the path of the value or key that is being written."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from layercli.language_server.analysis import parse_text
from layercli.source.nodes import KeyPath, YamlNode

_PLACEHOLDER: Final = "layercliPlaceholder"
_MAX_WORD: Final = 300
"""Most characters of a word; a search in a longer text that ends in no word would take long."""
_WORD_BEFORE: Final = re.compile(r"[\w.*/:-]*$")
_WORD_AFTER: Final = re.compile(r"[\w.*/-]*")
_OPEN_REFERENCE: Final = re.compile(r"\$\{\w*$")
_BRACKETS: Final = re.compile(r"""["'#\[\]{}\n]""")
_CLOSING: Final = {"{": "}", "[": "]"}


@dataclass(frozen=True, slots=True)
class CompletionContext:
    """The place of the cursor."""

    tree: YamlNode
    """The values of the text, with a placeholder at the cursor."""
    path: KeyPath
    """The path of the value, or of the mapping around the key."""
    is_key: bool
    start: int
    """The offset of the word at the cursor."""
    end: int
    is_reference: bool
    """Whether a `${name}` is being written."""
    is_list_item: bool
    """Whether the cursor is at the start of an item without brackets."""


def find_context(path: Path, text: str, offset: int) -> CompletionContext | None:
    """Return the place of the cursor; None in a comment, or if the text above is not valid YAML."""
    line_start = max(text.rfind("\n", 0, offset), text.rfind("\r", 0, offset)) + 1
    line = text[line_start:offset]
    if re.search(r"(^|\s)#", line):
        return None
    line = line[-_MAX_WORD:]
    is_reference = _OPEN_REFERENCE.search(line) is not None
    found = (_OPEN_REFERENCE if is_reference else _WORD_BEFORE).search(line)
    assert found is not None
    word = found[0]
    is_in_file = re.search(r"\.py:\w*$", word) is not None  # a class, as in `layers.py:Scale`
    if (
        not is_reference and ":" in word and not is_in_file
    ):  # the value directly after a colon, as in `{type:`
        word = word.rpartition(":")[2]
    start = offset - len(word)
    after = _WORD_AFTER.match(text, offset)
    end = after.end() if after is not None else offset
    if is_reference and text[end : end + 1] == "}":
        end += 1
    glue = " " if text[:start].endswith(":") else ""
    for candidate in _iterate_candidates(text, start, end, glue):
        tree = parse_text(path, candidate)
        placed = _find_placeholder(tree, ()) if tree is not None else None
        if tree is not None and placed is not None:
            is_item = re.fullmatch(r"[\s-]*-\s+", text[line_start:start]) is not None
            return CompletionContext(tree, placed[0], placed[1], start, end, is_reference, is_item)
    return None


def _iterate_candidates(text: str, start: int, end: int, glue: str) -> Iterator[str]:
    """Yield texts with a placeholder at the cursor; the later ones leave out more of the text after it."""
    before, after = text[:start] + glue, text[end:]
    line_end = re.search(r"[\r\n]", after)
    rest = after[line_end.start() :] if line_end is not None else ""
    closing = _list_closing_brackets(before)
    for ending in (after, closing + rest, closing):
        yield f"{before}{_PLACEHOLDER}{ending}"
        yield f"{before}{_PLACEHOLDER}: null{ending}"


def _list_closing_brackets(text: str) -> str:
    """Return the quotes and brackets that close those that are open at the end of a text."""
    stack: list[str] = []
    quote = ""
    is_comment = False
    for found in _BRACKETS.finditer(text):
        char = found[0]
        if char == "\n":
            is_comment = False
        elif is_comment:
            continue
        elif quote:
            quote = "" if char == quote else quote
        elif char in "\"'":
            before = text[found.start() - 1 : found.start()]
            quote = char if before in ("", " ", "[", "{", ",", "\n", ":") else ""
        elif char == "#":
            is_comment = text[found.start() - 1 : found.start()] in ("", " ", "\n", "\t")
        elif char in _CLOSING:
            stack.append(_CLOSING[char])
        elif stack and stack[-1] == char:
            stack.pop()
    return quote + "".join(reversed(stack))


def _find_placeholder(node: YamlNode, path: KeyPath) -> tuple[KeyPath, bool] | None:
    """Return the path of the placeholder, and whether it is a key."""
    pending: list[tuple[YamlNode, KeyPath]] = [(node, path)]
    while pending:
        node, path = pending.pop()
        if isinstance(node.value, str) and _PLACEHOLDER in node.value:
            return path, False
        for step, child in node.children:
            if isinstance(step, str) and _PLACEHOLDER in step:
                return path, True
            pending.append((child, (*path, step)))
    return None
