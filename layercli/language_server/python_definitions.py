"""The classes and functions of a Python file that a config names. The file is read as text; no code runs."""

from __future__ import annotations

import ast
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from layercli.io.paths import is_file
from layercli.layers.custom_layers import split_reference
from layercli.schema.field_types import IDENTIFIER

_MAX_FILE_BYTES: Final = 1 << 18
_MAX_DEFINITIONS: Final = 200
_MAX_SIGNATURE_LENGTH: Final = 2000
_TOKEN: Final = re.compile(
    r'''"""(?:\\.|[^\\])*?(?:"""|\Z)|'{3}(?:\\.|[^\\])*?(?:'{3}|\Z)'''
    r"""|"(?:\\.|[^"\\\n])*+"?|'(?:\\.|[^'\\\n])*+'?|#[^\n]*|[()\[\]{}]""",
    re.DOTALL,
)
"""A string, a comment or a bracket."""
_DEFINITION: Final = re.compile(rf"^(?P<word>class|def)[ \t]+(?P<name>{IDENTIFIER})", re.MULTILINE | re.ASCII)
_CONSTRUCTOR: Final = re.compile(r"^[ \t]+def[ \t]+__init__[ \t]*(?=\()", re.MULTILINE)
_SUMMARY: Final = re.compile(r'(?=[^\n]*:)[^\n]*\n\s*[rR]?"""[ \t]*(?P<text>[^\n"]+)')


@dataclass(frozen=True, slots=True)
class Definition:
    """A class or function at the top of a file."""

    name: str
    is_class: bool
    summary: str
    """The first line of its documentation; empty without one."""
    arguments: dict[str, str | None] | None
    """Argument -> its default as Python code, None for a required one; None if they cannot be read."""


def list_definitions(file: Path) -> list[Definition]:
    """Return the classes and functions of a file; none if it is too large or cannot be read."""
    try:
        if not is_file(file) or file.stat().st_size > _MAX_FILE_BYTES:
            return []
        text = file.read_text(encoding="utf-8", errors="replace")
    except (OSError, ValueError):
        return []
    found = list(_DEFINITION.finditer(text))[: _MAX_DEFINITIONS + 1]
    ends = [*(match.start() for match in found[1:]), len(text)]
    return [
        _read_definition(match["name"], match["word"] == "class", text[match.end() : end])
        for match, end in list(zip(found, ends, strict=False))[:_MAX_DEFINITIONS]
        if not match["name"].startswith("_")
    ]


def find_definition(folder: Path, type_name: object) -> Definition | None:
    """Return the class or function that a ``type`` such as `layers.py:Scale` names; None if it is unknown."""
    reference = split_reference(type_name) if isinstance(type_name, str) else None
    if reference is None or reference[0] != "file":
        return None
    return next((one for one in list_definitions(folder / reference[1]) if one.name == reference[2]), None)


def _read_definition(name: str, is_class: bool, body: str) -> Definition:
    """Return a definition; ``body`` is the text after its name."""
    summary = _SUMMARY.match(body)
    start: int | None = 0
    if is_class:
        constructor = _CONSTRUCTOR.search(body)
        start = constructor.end() if constructor is not None else None
    arguments = _read_arguments(body[start : start + _MAX_SIGNATURE_LENGTH]) if start is not None else None
    for given in ("self",) if is_class else ("y_true", "y_pred"):
        if arguments is not None:
            arguments.pop(given, None)
    return Definition(name, is_class, summary["text"].strip() if summary is not None else "", arguments)


def _read_arguments(text: str) -> dict[str, str | None] | None:
    """Return the arguments of the signature at the start of a text; None if it is not valid."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            (function,) = ast.parse(f"def f{text[: _find_closing_bracket(text)]}: pass").body
        return _list_arguments(function.args) if isinstance(function, ast.FunctionDef) else None
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _find_closing_bracket(text: str) -> int:
    """Return the position after the bracket that closes the first one; 0 without it."""
    depth = 0
    for found in _TOKEN.finditer(text):
        depth += (found[0] in "([{") - (found[0] in ")]}")
        if not depth and found[0] in ")]}":
            return found.end()
    return 0


def _list_arguments(given: ast.arguments) -> dict[str, str | None]:
    positional = [*given.posonlyargs, *given.args]
    defaults = [None] * (len(positional) - len(given.defaults)) + given.defaults
    pairs = [*zip(positional, defaults, strict=True), *zip(given.kwonlyargs, given.kw_defaults, strict=True)]
    return {argument.arg: None if value is None else ast.unparse(value) for argument, value in pairs}
