"""A table with a row for each metric, or a block for each if the terminal is too narrow for its name and values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from layercli.reports.console import make_table

if TYPE_CHECKING:
    from rich.console import Console

_GAP: Final = 5
"""The space around a column of names."""


def print_metrics(console: Console, titles: Sequence[str], rows: Mapping[str, Mapping[str, str]]) -> None:
    """Print the cells of each metric, by its name and the titles of columns."""
    from rich.cells import cell_len

    table = make_table(numbers=titles)
    for cells in rows.values():
        table.add_row(*(cells.get(title, "") for title in titles))
    longest = max(map(cell_len, ("metric", *rows)))
    if longest + _GAP + console.measure(table).maximum > console.width:
        _print_blocks(console, rows)
        return
    table = make_table("metric", numbers=titles)
    for name, cells in rows.items():
        table.add_row(name, *(cells.get(title, "") for title in titles))
    console.print(table)


def _print_blocks(console: Console, rows: Mapping[str, Mapping[str, str]]) -> None:
    """Print each metric on a line, and its values below it, because names do not fit next to their values."""
    console.print()
    for name, cells in rows.items():
        console.print(name, soft_wrap=True)
        values = (f"{title} {' '.join(cell.split())}" for title, cell in cells.items())
        console.print(f"  {'  '.join(values)}", soft_wrap=True)
    console.print()
