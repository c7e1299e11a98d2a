"""Texts without passwords: what is recorded can be published."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

_USER_INFO: Final = re.compile(r"(?<=://)[^/?#\s]*@")
"""User name and password in an address, such as postgresql://user:password@host."""
_SECRET_VALUE: Final = re.compile(
    r"(?i)([?&;\s][^=&;\s]*(?:password|passwd|token|secret|signature|credential|access_?key|api_?key)[^=&;\s]*=)[^&;\s]+"
)
"""A secret in the query of an address, such as ?password=... or ?X-Amz-Signature=..."""


def hide_credentials(text: str) -> str:
    """Return a text in which the passwords and tokens of addresses are replaced by stars."""
    return _SECRET_VALUE.sub(r"\1***", _USER_INFO.sub("***@", text))


def describe_command(arguments: Sequence[str]) -> list[str]:
    """Return a command line as it is recorded: the name of the program, and arguments without credentials."""
    return [*(Path(program).name for program in arguments[:1]), *map(hide_credentials, arguments[1:])]
