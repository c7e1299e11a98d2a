"""Tables of runs whose cells never break: columns that do not fit a terminal are left out, or follow in another table."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final

from layercli.io.csv_cells import escape_formula
from layercli.page.markdown import escape_markdown

if TYPE_CHECKING:
    from rich.console import Console

_GAP: Final = "  "
"""The space between two columns."""
_MIN_LABEL: Final = 24
"""Fewest characters to which a label is cut."""
_MIN_ROOM: Final = 10
"""Fewest characters in which the middle of a column is cut."""


@dataclass(frozen=True)
class RunColumn:
    """A column: a title, and a cell for each row."""

    title: str
    cells: Sequence[str]
    rank: int = 0
    """Columns with a higher rank are left out first."""
    is_text: bool = False
    """Whether cells are aligned on the left."""

    @property
    def header(self) -> list[str]:
        """The two lines of the title: its first word above the others, so that the column is narrow."""
        first, _, rest = self.title.partition(" ")
        return [first, rest] if rest else ["", first]

    @cached_property
    def width(self) -> int:
        """The characters of the widest cell."""
        from rich.cells import cell_len

        return max(map(cell_len, (*self.header, *self.cells)))


def print_columns(console: Console, columns: Sequence[RunColumn]) -> list[RunColumn]:
    """Print a table of columns; return those that do not fit the terminal. Elsewhere than on a terminal, all fit."""
    from rich.text import Text

    shown = find_fitting_columns(console, columns)
    headers = [line for line in zip(*(column.header for column in shown), strict=True) if any(line)]
    lines = [Text(_format_line(shown, cells), style="bold") for cells in headers]
    lines.append(Text(_GAP.join("─" * column.width for column in shown), style="dim"))
    lines += [
        Text(_format_line(shown, cells)) for cells in zip(*(column.cells for column in shown), strict=True)
    ]
    for line in lines:
        if console.is_terminal:  # only a single column can be too wide
            line.truncate(console.width, overflow="ellipsis")
        console.print(line, soft_wrap=True)
    return [column for column in columns if column not in shown]


def find_fitting_columns(console: Console, columns: Sequence[RunColumn]) -> list[RunColumn]:
    """Return the columns that fit the terminal; elsewhere than on a terminal, all."""
    return _fit_columns(columns, console.width) if console.is_terminal else list(columns)


def _format_line(columns: Sequence[RunColumn], cells: Sequence[str]) -> str:
    from rich.cells import cell_len

    padded = []
    for column, cell in zip(columns, cells, strict=True):
        space = " " * (column.width - cell_len(cell))
        padded.append(cell + space if column.is_text else space + cell)
    return _GAP.join(padded).rstrip()


def shorten_label(console: Console, label: RunColumn, columns: Sequence[RunColumn]) -> RunColumn:
    """Return the label with at most half the width of the terminal, or 24 characters, if the columns do not fit next to it.

    Its cells are cut in the middle, but not if two of them would be equal.
    """
    limit = max(console.width // 2, _MIN_LABEL)
    if fits_terminal(console, [label, *columns]) or label.width <= limit:
        return label
    cells = [_cut_middle(cell, limit) for cell in label.cells]
    return replace(label, cells=cells) if len(set(cells)) == len(set(label.cells)) else label


def _cut_column(column: RunColumn, limit: int) -> RunColumn:
    """Return the column with at most ``limit`` characters."""
    if column.width <= limit:
        return column
    cells = [_cut_middle(cell, limit) for cell in column.cells]
    return replace(column, title=_cut_middle(column.title, limit), cells=cells)


def _cut_middle(text: str, limit: int) -> str:
    """Return the text with at most ``limit`` characters on a terminal, without its middle."""
    from rich.cells import cell_len, set_cell_size

    if cell_len(text) <= limit:
        return text
    half = (limit - 1) // 2
    return f"{set_cell_size(text, half)}…{set_cell_size(text[::-1], half)[::-1]}"


def split_columns(
    console: Console, label: RunColumn, columns: Sequence[RunColumn]
) -> Iterator[list[RunColumn]]:
    """Yield columns that fit the terminal together, each time with the label in front; wider ones are cut in the middle."""
    room = console.width - label.width - len(_GAP)
    if console.is_terminal and room >= _MIN_ROOM:
        columns = [_cut_column(column, room) for column in columns]
    group: list[RunColumn] = []
    for column in columns:
        if group and console.is_terminal and _measure_width([label, *group, column]) > console.width:
            yield [label, *group]
            group = []
        group.append(column)
    if group:
        yield [label, *group]


def fits_terminal(console: Console, columns: Sequence[RunColumn]) -> bool:
    """Return whether columns fit the width of the terminal; the width is not limited elsewhere."""
    return not console.is_terminal or _measure_width(columns) <= console.width


def _fit_columns(columns: Sequence[RunColumn], room: int) -> list[RunColumn]:
    fitting: list[RunColumn] = []
    for column in sorted(columns, key=lambda column: column.rank):
        if not fitting or _measure_width([*fitting, column]) <= room:
            fitting.append(column)
    return [column for column in columns if column in fitting]


def _measure_width(columns: Sequence[RunColumn]) -> int:
    return sum(column.width for column in columns) + len(_GAP) * (len(columns) - 1)


def format_csv(columns: Sequence[RunColumn]) -> str:
    """Return the columns as CSV; a text that a spreadsheet would run as a formula is preceded by a quote."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    for row in _iterate_rows(columns):
        writer.writerow([escape_formula(cell) for cell in row])
    return stream.getvalue()


def format_markdown(columns: Sequence[RunColumn]) -> str:
    """Return the columns as a Markdown table."""
    title, *rows = _iterate_rows(columns)
    rule = ["---" if column.is_text else "---:" for column in columns]
    lines = [list(map(escape_markdown, title)), rule, *(map(escape_markdown, row) for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _iterate_rows(columns: Sequence[RunColumn]) -> Iterator[list[str]]:
    yield [column.title for column in columns]
    yield from map(list, zip(*(column.cells for column in columns), strict=True))
