"""Unquoted YAML scalars by the core schema of YAML 1.2, unlike PyYAML's 1.1."""

from __future__ import annotations

import re
from typing import Any, TypeGuard

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_OCTAL = re.compile(r"0o[0-7]+")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+")
_AMBIGUOUS = re.compile(r"[-+]?0[0-9]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_INFINITY = re.compile(r"[-+]?\.(?:inf|Inf|INF)")
_NAN = re.compile(r"\.(?:nan|NaN|NAN)")

_MAX_USUAL_LENGTH = 18
MAX_NUMBER_LENGTH = 300
"""In characters; all shorter integers are finite as floats."""


class AmbiguousNumberError(ValueError):
    """A number that YAML 1.1 and 1.2 read differently, such as 012."""


class NumberTooLongError(ValueError):
    """A number that is too long."""


def is_number(value: Any) -> TypeGuard[int | float]:
    """Return whether a value is a number; in YAML a boolean is not one."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def resolve_scalar(text: str) -> bool | int | float | str | None:
    """Return the value of an unquoted scalar.

    Raises:
        AmbiguousNumberError: for a number with a leading zero.
        NumberTooLongError: for a number of more than 300 characters, or of more than 250 in octal or hexadecimal.
    """
    if text in _NULL:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if text[0] not in "+-.0123456789":
        return text
    if len(text) <= _MAX_USUAL_LENGTH and text.isascii() and text.isdigit() and text[0] != "0":
        return int(text)  # faster than the patterns, which accept it too
    if _INTEGER.fullmatch(text):
        _check_length(text)
        return int(text)
    if _AMBIGUOUS.fullmatch(text):
        raise AmbiguousNumberError(text)
    for pattern, base in ((_OCTAL, 8), (_HEXADECIMAL, 16)):
        if pattern.fullmatch(text):
            _check_length(text, 250)
            return int(text[2:], base)
    if _FLOAT.fullmatch(text):
        _check_length(text)
        return float(text)
    if _INFINITY.fullmatch(text):
        return float(text.replace(".", ""))
    return float("nan") if _NAN.fullmatch(text) else text


def _check_length(text: str, max_length: int = MAX_NUMBER_LENGTH) -> None:
    if len(text) > max_length:
        raise NumberTooLongError(text)
