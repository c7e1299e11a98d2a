"""Show runs in a table, or side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from layercli.reports.console import make_table
from layercli.reports.formatting import format_count, format_duration, format_number
from layercli.source.nodes import sanitize_text

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from layercli.runs.listing import Run

_MAX_DIFFERENCES = 40
_MAX_RESULTS = 40


def print_runs(console: Console, runs: Sequence[Run], key: str | None) -> None:
    """Print a row for each run: epochs, best epoch, test result, time, and the value of ``key``."""
    listed = [run for run in runs if run.state in ("finished", "running", "unfinished")]
    monitors = {str(run.best["monitor"]) for run in listed if "monitor" in run.best}
    test_metrics = {name for run in listed if (name := _test_metric(run.test))}
    max_path_length = max((len(run.path.as_posix()) for run in listed), default=0)
    table = make_table()
    table.add_column("run", overflow="fold", no_wrap=max_path_length <= console.width // 2)
    best_title = f"best {_format_name(*monitors)}" if len(monitors) == 1 else "best"
    test_title = f"test {_format_name(*test_metrics)}" if len(test_metrics) == 1 else "test"
    for title in ("epochs", best_title, test_title, "time", "params"):
        table.add_column(title, justify="right", overflow="fold", no_wrap=title in ("epochs", "time"))
    has_key_column = key is not None and key not in ("run", "name", "epochs", "seconds", "parameters")
    if has_key_column:
        table.add_column(_format_name(str(key)), justify="right", overflow="fold")
    for run in listed:
        table.add_row(
            _run_title(run),
            _format_epochs(run),
            _format_best(run, should_name=len(monitors) > 1),
            _format_test(run, should_name=len(test_metrics) > 1),
            _format_time(run),
            _format_optional_count(run.parameters),
            *([_format_value(run.value(str(key)))] if has_key_column else []),
        )
    if listed:
        console.print(table)
    for run in runs:
        if run.note is not None:
            console.print(
                sanitize_text(f"{run.path.as_posix()} is {run.state}: {run.note}."),
                soft_wrap=True,
                style="yellow",
            )


def print_run_comparison(console: Console, runs: Sequence[Run], differences: Mapping[str, list[Any]]) -> None:
    """Print a column for each run: its results, then the differences of the configs."""
    table = make_table("")
    for run in runs:
        table.add_column(sanitize_text(run.path.as_posix()), justify="right", overflow="fold")
    rows: dict[str, list[str]] = {
        "state": [run.state for run in runs],
        "epochs": [_format_epochs(run) for run in runs],
        "best epoch": [_format_value(run.best.get("epoch")) for run in runs],
    }
    results = [run.results for run in runs]
    metrics = list(
        dict.fromkeys(
            name
            for values in results
            for name in values
            if name not in _SEPARATE_ROWS and not name.startswith("best_")
        )
    )
    rows |= {name: [_format_value(run.value(name)) for run in runs] for name in metrics[:_MAX_RESULTS]}
    rows |= {
        "time": [_format_time(run) for run in runs],
        "examples/s": [
            "" if run.examples_per_second is None else f"{run.examples_per_second:,.0f}" for run in runs
        ],
        "parameters": [_format_optional_count(run.parameters) for run in runs],
    }
    for name, cells in rows.items():
        table.add_row(sanitize_text(name, limit=60), *cells)
    if differences:
        table.add_section()
    for name, values in list(differences.items())[:_MAX_DIFFERENCES]:
        table.add_row(sanitize_text(name, limit=60), *(_format_value(value) for value in values))
    console.print(table)
    if len(metrics) > _MAX_RESULTS:
        console.print(f"… and {len(metrics) - _MAX_RESULTS} more results.")
    if len(differences) > _MAX_DIFFERENCES:
        hidden_count = len(differences) - _MAX_DIFFERENCES
        console.print(
            f"… and {hidden_count} more values differ; `layercli diff A B` shows two models side by side."
        )
    if not differences:
        console.print("Their configs are the same.")


_SEPARATE_ROWS = ("run", "name", "state", "epochs", "seconds", "examples_per_second", "parameters")
"""Results that the table shows in separate rows."""


def _run_title(run: Run) -> Text:
    from rich.text import Text

    title = Text(sanitize_text(run.path.as_posix()))
    return (
        title
        if run.state == "finished"
        else title.append(f"\n{run.state}", style="green" if run.state == "running" else "yellow")
    )


def _format_epochs(run: Run) -> str:
    if run.epochs is None:
        return ""
    planned = run.planned_epochs if run.state != "finished" else None
    return f"{run.epochs}/{planned}" if planned is not None else str(run.epochs)


def _format_best(run: Run, *, should_name: bool) -> str:
    monitor = run.best.get("monitor")
    if monitor is None:
        return ""
    name = f"{_format_name(monitor)} " if should_name else ""
    return f"{name}{format_number(run.best[monitor])} at {_format_value(run.best.get('epoch'))}"


def _format_test(run: Run, *, should_name: bool) -> str:
    name = _test_metric(run.test)
    return (
        ""
        if name is None
        else f"{f'{_format_name(name)} ' if should_name else ''}{format_number(run.test[name])}"
    )


def _test_metric(test: Mapping[str, Any]) -> str | None:
    """Return the first metric, or the loss if there is no metric; None without results."""
    return next((name for name in test if name != "loss"), "loss" if "loss" in test else None)


def _format_name(name: str) -> str:
    return sanitize_text(name, limit=40)


def _format_time(run: Run) -> str:
    return "" if run.seconds is None else format_duration(run.seconds)


def _format_optional_count(value: int | None) -> str:
    return "" if value is None else format_count(value)


def _format_value(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return format_count(value)
    return format_number(value) if isinstance(value, float) else sanitize_text(str(value), limit=60)
