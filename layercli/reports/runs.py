"""Runs as a table, and side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from layercli.reports.formatting import count, duration, number
from layercli.source.nodes import sanitize_text

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from layercli.runs.listing import Run

_MOST_DIFFERENCES = 40


def print_runs(console: Console, runs: Sequence[Run], key: str | None) -> None:
    """A row for each run: how far it came, its best epoch, its test result; and the value that they are sorted by."""
    told = [run for run in runs if run.state in ("finished", "running", "unfinished")]
    watched = {str(run.best["monitor"]) for run in told if run.best}
    tested = {name for run in told if (name := _tested(run.test))}
    longest = max((len(run.path.as_posix()) for run in told), default=0)
    table = _table("run", no_wrap=longest <= console.width // 2)
    for title in (
        "epochs", f"best {_name(*watched)}" if len(watched) == 1 else "best",
        f"test {_name(*tested)}" if len(tested) == 1 else "test", "time", "params",
    ):  # fmt: skip
        table.add_column(title, justify="right", overflow="fold", no_wrap=title in ("epochs", "time"))
    extra = key is not None and key not in ("run", "name", "epochs", "seconds", "parameters")
    if extra:
        table.add_column(_name(str(key)), justify="right", overflow="fold")
    for run in told:
        table.add_row(
            _title(run), _epochs(run), _best(run, named=len(watched) > 1), _test(run, named=len(tested) > 1),
            _time(run), _count(run.parameters), *([_value(run.value(str(key)))] if extra else []),
        )  # fmt: skip
    if told:
        console.print(table)
    for run in runs:
        if run.note is not None:
            console.print(
                sanitize_text(f"{run.path.as_posix()} is {run.state}: {run.note}."),
                soft_wrap=True,
                style="yellow",
            )


def print_comparison(console: Console, runs: Sequence[Run], differences: Mapping[str, list[Any]]) -> None:
    """A column for each run: what came of it, then where their configs differ."""
    table = _table("")
    for run in runs:
        table.add_column(sanitize_text(run.path.as_posix()), justify="right", overflow="fold")
    shown: dict[str, list[str]] = {
        "state": [run.state for run in runs],
        "epochs": [_epochs(run) for run in runs],
        "best epoch": [_value(run.best.get("epoch")) for run in runs],
    }
    metrics = dict.fromkeys(
        name for run in runs for name in run.results if name not in _APART and not name.startswith("best_")
    )
    shown |= {name: [_value(run.value(name)) for run in runs] for name in metrics}
    shown |= {
        "time": [_time(run) for run in runs],
        "examples/s": [
            "" if run.examples_per_second is None else f"{run.examples_per_second:,.0f}" for run in runs
        ],
        "parameters": [_count(run.parameters) for run in runs],
    }
    for name, cells in shown.items():
        table.add_row(sanitize_text(name, limit=60), *cells)
    if differences:
        table.add_section()
    for name, values in list(differences.items())[:_MOST_DIFFERENCES]:
        table.add_row(sanitize_text(name, limit=60), *(_value(value) for value in values))
    console.print(table)
    if len(differences) > _MOST_DIFFERENCES:
        left = len(differences) - _MOST_DIFFERENCES
        console.print(f"… and {left} more values differ; `layercli diff A B` shows two models side by side.")
    if not differences:
        console.print("Their configs are the same.")


_APART = ("run", "name", "state", "epochs", "seconds", "examples_per_second", "parameters")
"""Results that have lines of their own."""


def _table(first: str, *, no_wrap: bool = False) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    table.add_column(first, overflow="fold", no_wrap=no_wrap)
    return table


def _title(run: Run) -> Text:
    from rich.text import Text

    title = Text(sanitize_text(run.path.as_posix()))
    return (
        title
        if run.state == "finished"
        else title.append(f"\n{run.state}", style="green" if run.state == "running" else "yellow")
    )


def _epochs(run: Run) -> str:
    if run.epochs is None:
        return ""
    planned = run.planned_epochs if run.state != "finished" else None
    return f"{run.epochs}/{planned}" if planned is not None else str(run.epochs)


def _best(run: Run, *, named: bool) -> str:
    watched = run.best.get("monitor")
    if watched is None:
        return ""
    name = f"{_name(watched)} " if named else ""
    return f"{name}{number(run.best[watched])} at {_value(run.best.get('epoch'))}"


def _test(run: Run, *, named: bool) -> str:
    name = _tested(run.test)
    return "" if name is None else f"{f'{_name(name)} ' if named else ''}{number(run.test[name])}"


def _tested(test: Mapping[str, Any]) -> str | None:
    """The first metric; the loss where there is none."""
    return next((name for name in test if name != "loss"), "loss" if "loss" in test else None)


def _name(name: str) -> str:
    return sanitize_text(name, limit=40)


def _time(run: Run) -> str:
    return "" if run.seconds is None else duration(run.seconds)


def _count(value: int | None) -> str:
    return "" if value is None else count(value)


def _value(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return count(value)
    return number(value) if isinstance(value, float) else sanitize_text(str(value), limit=60)
