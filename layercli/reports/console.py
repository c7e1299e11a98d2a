"""Output to terminals and files: text through Rich, and the JSON document of a command."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


def make_console(*, error: bool = False) -> Console:
    """Return a console on standard output or standard error; it prints text as it is, without markup.

    If the reader of a pipe goes away, as in ``layercli ... | head``, the console discards further output.
    """
    from rich.console import Console

    class PipedConsole(Console):
        def on_broken_pipe(self) -> None:
            self.quiet = True
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.file.fileno())

    return PipedConsole(stderr=error, markup=False, highlight=False, emoji=False, soft_wrap=False)


def make_table(
    *texts: str, numbers: Iterable[str] = (), title: str | None = None, has_header: bool = True
) -> Table:
    """Return an empty table with columns of texts, which are folded, and after them columns of numbers."""
    from rich import box
    from rich.table import Table

    table = Table(
        box=box.SIMPLE_HEAD if has_header else None,
        show_header=has_header,
        title=title,
        title_justify="left",
        pad_edge=False,
        padding=(0, 1),
    )
    for name in texts:
        table.add_column(name, overflow="fold")
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def is_terminal(*, error: bool = False) -> bool:
    """Return whether standard output, or standard error, is a terminal."""
    return (sys.stderr if error else sys.stdout).isatty()


@contextmanager
def redirect_stdout_for_json(json: bool) -> Iterator[None]:
    """Redirect prints of callbacks and custom code to standard error if the command was called with ``--json``."""
    if not json:
        yield
        return
    with redirect_stdout(sys.stderr):
        yield


def print_json(document: Mapping[str, Any]) -> None:
    """Print the JSON document of a command, with null for NaN and infinity."""
    text = json.dumps(replace_non_finite(document), indent=2, ensure_ascii=False, allow_nan=False)
    sys.stdout.write(_escape_surrogates(_compact_lists(text)) + "\n")
    sys.stdout.flush()


def _escape_surrogates(text: str) -> str:
    """Return the text with JSON's escapes for the surrogates that Python makes of names that are not UTF-8."""
    return _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


_SURROGATE = re.compile("[\ud800-\udfff]")


def _compact_lists(text: str) -> str:
    """Put each list of scalars on one line; strings in JSON contain no bare line breaks."""
    return re.sub(
        r"\[\n\s+([^\[\]{}]*?)\n\s+\]", lambda found: "[" + re.sub(r"\n\s+", " ", found[1]) + "]", text
    )


def replace_non_finite(value: Any) -> Any:
    """Return the value with None for each NaN or infinity in it, for JSON."""
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    if isinstance(value, Mapping):
        return {str(key): replace_non_finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [replace_non_finite(item) for item in value]
    return value
