"""Quotes around names and texts in a new config."""

from __future__ import annotations

import json
import re


def quote_class_name(name: str) -> str:
    """Return the name of a class for a comment or a message; a text with other characters than words is quoted."""
    return name if re.fullmatch(r"[\w<>=.+-]+( [\w<>=.+-]+){0,3}", name, re.ASCII) else quote_yaml_text(name)


def quote_yaml_text(text: str) -> str:
    """Return a text as a YAML value on one line, without references to variables."""
    is_plain = re.fullmatch(r"[A-Za-z][\w./-]*", text) and text.lower() not in ("null", "true", "false")
    return text if is_plain else quote_always(text)


def quote_always(text: str) -> str:
    """Return a text in double quotes, without references to variables and characters that YAML refuses or folds."""
    quoted = json.dumps(text.replace("${", "$${"), ensure_ascii=False)
    return "".join(char if char.isprintable() else _escape_character(char) for char in quoted)


def _escape_character(char: str) -> str:
    return f"\\u{ord(char):04x}" if ord(char) <= 0xFFFF else f"\\U{ord(char):08x}"
