"""Options whose value can be left out, which Typer does not have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

LISTED: Final = "list"
"""The value that asks for a list of the valid values."""
_DEFAULT_VALUES: Final = {"--example": LISTED}
"""Option -> its value if it is followed by none."""


def add_left_out_values(arguments: Sequence[str]) -> list[str]:
    """Return the arguments of a command with the values that are left out."""
    added = []
    for index, argument in enumerate(arguments):
        added.append(argument)
        if argument in _DEFAULT_VALUES and (
            index + 1 == len(arguments) or arguments[index + 1].startswith("-")
        ):
            added.append(_DEFAULT_VALUES[argument])
    return added
