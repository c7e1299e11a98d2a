"""Output to terminals and files: text through Rich, and the JSON document of a command."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from layercli.source.nodes import replace_unprintable

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.table import Table


def make_console(*, error: bool = False) -> Console:
    """Return a console on standard output or standard error; it prints text as it is, without markup.

    Control characters of a text, and those that change its direction, are replaced, so that a name cannot control a terminal;
    so are characters that the encoding of the output does not have.
    If the reader of a pipe goes away, as in ``layercli ... | head``, the console discards the rest of the output.
    """
    from rich.console import Console
    from rich.segment import Segment

    class PipedConsole(Console):
        def render(
            self, renderable: RenderableType, options: ConsoleOptions | None = None
        ) -> Iterable[Segment]:
            for segment in super().render(renderable, options):
                text = segment.text if segment.control else replace_unprintable(segment.text)
                if not text.isascii() and not _is_utf(self.encoding):
                    text = text.replace("─", "-").encode(self.encoding, "replace").decode(self.encoding)
                yield segment if text is segment.text else Segment(text, segment.style)

        def on_broken_pipe(self) -> None:
            self.quiet = True
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.file.fileno())

    return PipedConsole(stderr=error, markup=False, highlight=False, emoji=False, soft_wrap=False)


def _is_utf(encoding: str) -> bool:
    """Return whether an encoding has all characters."""
    return encoding.lower().startswith("utf")


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


def print_plain_table(
    console: Console, texts: Sequence[str], numbers: Sequence[str], rows: Sequence[Sequence[str]]
) -> None:
    """Print a table that looks like that of ``make_table``, without styles, which is ten times as fast if there are many rows.

    Cells may have several lines. A table that is wider than the console is not folded.
    """
    cells = [[cell.split("\n") for cell in row] for row in ([*texts, *numbers], *rows)]
    widths = [max(len(line) for row in cells for line in row[column]) for column in range(len(cells[0]))]
    lines = []
    for row in cells:
        for parts in zip_longest(*row, fillvalue=""):
            padded = [
                part.rjust(width) if column >= len(texts) else part.ljust(width)
                for column, (part, width) in enumerate(zip(parts, widths, strict=True))
            ]
            lines.append(f" {'   '.join(padded)} ")
    line = "─" if _is_utf(console.encoding) else "-"
    blank = " " * len(lines[0])
    lines = [blank, lines[0], f" {line * (len(blank) - 2)} ", *lines[1:], blank]
    console.print("\n".join(lines), soft_wrap=True)


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


def print_text(text: str) -> None:
    """Print text for a file or another program as it is, in UTF-8 if the encoding of the output lacks a character."""
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        sys.stdout.flush()
        sys.stdout.buffer.write(text.encode("utf-8", "replace"))
        sys.stdout.buffer.flush()
    else:
        sys.stdout.write(text)


def print_json(document: Mapping[str, Any]) -> None:
    """Print the JSON document of a command, with null for NaN and infinity."""
    escapes = not _is_utf(getattr(sys.stdout, "encoding", None) or "utf-8")
    text = json.dumps(replace_non_finite(document), indent=2, ensure_ascii=escapes, allow_nan=False)
    sys.stdout.write(_escape_unprintable(_compact_lists(text)) + "\n")
    sys.stdout.flush()


def print_json_line(document: Mapping[str, Any]) -> None:
    """Print one of several JSON documents on a line, with null for NaN and infinity."""
    sys.stdout.write(json.dumps(replace_non_finite(document), allow_nan=False) + "\n")
    sys.stdout.flush()


def _escape_unprintable(text: str) -> str:
    """Return the text with JSON's escapes for control characters, changes of text direction, and surrogates, which names
    that are not UTF-8 become.
    """
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


_UNPRINTABLE = re.compile("[\ud800-\udfff\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


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
