"""Python in place of YAML: whole scripts, and calls and tuples in brackets, which YAML divides at their commas."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from layercli.errors import Problem
from layercli.source.nodes import Mark, SourceText, YamlNode, problem_at

_STATEMENT: Final = re.compile(
    r"import\s+\w[\w.]*(?:\s+as\s+\w+)?(?:\s*#.*)?|from\s+\w[\w.]*\s+import\s.+|(?:async\s+)?def\s+\w+\(.*|"
    r"class\s+\w+(?:\(.*\))?\s*:.*|\w[\w.]*\s*=\s*\w[\w.]*\(.*|\w+\.(?:add|build|compile|fit|summary)\(.*|"
    r"(?:keras|layers|tf|nn)\.\w.*\(.*"
)
_SEARCHED_LINES: Final = 500
_LAYER_HINT: Final = (
    'Write each layer by hand: Dense(32, activation="relu") is {type: Dense, units: 32, activation: relu}.'
)
CONVERSION_HINT: Final = (
    'Run it with `model.save("model.keras")` as its last line, and convert the model: `layercli import model.keras '
    f"--output config.yaml`. Or w{_LAYER_HINT[1:]}"
)


def find_script(source: SourceText) -> Problem | None:
    """Return the problem that a text is a Python script or a notebook; None for other texts."""
    lines = source.lines[:_SEARCHED_LINES]
    if any(re.match(r"model\s*:", line) for line in lines):
        return None
    number = next((n for n, line in enumerate(lines, 1) if _STATEMENT.fullmatch(line.rstrip())), None)
    if number is not None:
        message = "A config must be YAML, but this is a Python script."
        return problem_at(
            Mark(source, number, 1), "other-file-type", message, hint=_suggest_conversion(lines)
        )
    if lines and lines[0].lstrip().startswith("{") and any('"nbformat"' in line for line in source.lines):
        message = "A config must be YAML, but this is a Jupyter notebook."
        return problem_at(Mark(source, 1, 1), "other-file-type", message, hint=CONVERSION_HINT)
    return None


def _suggest_conversion(lines: Sequence[str]) -> str:
    """Return how to convert a script; only Keras can save a model that is converted."""
    text = " ".join(lines)
    return _LAYER_HINT if ("torch" in text or "nn." in text) and "keras" not in text else CONVERSION_HINT


def join_call(parent: YamlNode, last: YamlNode, text: str | None, node: YamlNode) -> bool:
    """Append a part of ``(3, 3)`` or ``Dense(32, activation="relu")`` to the part before it; return whether it is one.

    Args:
        parent: The list or mapping.
        last: Its last value.
        text: The key of a mapping, which has no value; None in a list.
        node: The next value.
    """
    if not isinstance(last.value, str) or last.value.count("(") <= last.value.count(")"):
        return False
    if _character_at(parent) not in ("[", "{") or _character_at(last) in ("'", '"'):
        return False
    part = _read_text(node) if text is None else text if node.value is None else None
    if part is None:
        return False
    last.value = f"{last.value},{'' if part == ')' else ' '}{part}"
    last.end = node.end
    return True


def _character_at(node: YamlNode) -> str:
    line = node.mark.excerpt or ""
    return line[node.mark.column - 1 : node.mark.column]


def _read_text(node: YamlNode) -> str | None:
    """Return the text of a value in one line; None for others."""
    if isinstance(node.value, (list, dict)) or node.end is None or node.end[0] != node.mark.line:
        return None
    return (node.mark.excerpt or "")[node.mark.column - 1 : node.end[1] - 1]
