"""Texts without passwords: what is recorded can be published."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

_USER_INFO: Final = re.compile(r"(?<=://)[^/?#\s]*@")
"""User name and password in an address, such as postgresql://user:password@host."""
_KEY: Final = re.compile(r"(?<![^=&;\s])([^=&;\s]++)=(?=[^&;\s])")
"""A key with a value. Its time is linear: it starts only after a separator, and does not try shorter keys."""
_VALUE: Final = re.compile(r"[^&;\s]*")
_SECRET_NAME: Final = re.compile(
    r"(?i)password|passwd|token|secret|signature|credential|access_?key|api_?key"
)
"""The name of a secret in the query of an address, such as ?password=... or ?X-Amz-Signature=..."""


def hide_credentials(text: str) -> str:
    """Return a text in which the passwords and tokens of addresses are replaced by stars."""
    text = _USER_INFO.sub("***@", text)
    pieces: list[str] = []
    end = 0
    for match in _KEY.finditer(text):
        start = match.start()
        is_separated = start > 0 and text[start - 1] != "="
        name = match[1] if is_separated else match[1].partition("?")[2]
        if start >= end and _SECRET_NAME.search(name):
            pieces += (text[end : match.end()], "***")
            value = _VALUE.match(text, match.end())
            assert value is not None
            end = value.end()
    return "".join([*pieces, text[end:]])


def describe_command(arguments: Sequence[str]) -> list[str]:
    """Return a command line as it is recorded: the name of the program, and arguments without credentials."""
    return [*(Path(program).name for program in arguments[:1]), *map(hide_credentials, arguments[1:])]
