"""Where text goes: a terminal gets colour and width, a file plain lines."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console


def make_console(*, error: bool = False) -> Console:
    """A console on standard output, or on standard error; text is never read as markup."""
    from layercli.reports.piped import PipedConsole

    return PipedConsole(stderr=error, markup=False, highlight=False, emoji=False, soft_wrap=False)


def is_terminal(*, error: bool = False) -> bool:
    """Whether a person is looking."""
    return (sys.stderr if error else sys.stdout).isatty()


@contextmanager
def redirect_stdout_for_json(json: bool) -> Iterator[None]:
    """While callbacks and the user's code run: with ``--json``, what they print goes to standard error."""
    if not json:
        yield
        return
    with redirect_stdout(sys.stderr):
        yield


def print_json(document: Mapping[str, Any]) -> None:
    """The one JSON document of a command; NaN and infinity, which JSON lacks, become null."""
    sys.stdout.write(
        _compact_lists(
            json.dumps(replace_non_finite(document), indent=2, ensure_ascii=False, allow_nan=False)
        )
        + "\n"
    )
    sys.stdout.flush()


def _compact_lists(text: str) -> str:
    """Indented JSON with each list of plain values on one line; text in JSON holds no bare line break."""
    return re.sub(
        r"\[\n\s+([^\[\]{}]*?)\n\s+\]", lambda found: "[" + re.sub(r"\n\s+", " ", found[1]) + "]", text
    )


def replace_non_finite(value: Any) -> Any:
    """The value with null for each number in it that JSON lacks: NaN and infinity."""
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    if isinstance(value, Mapping):
        return {str(key): replace_non_finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [replace_non_finite(item) for item in value]
    return value
