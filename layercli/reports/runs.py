"""Show runs in a table, side by side, or for other programs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from textwrap import fill
from typing import TYPE_CHECKING, Any, Final, Literal

from layercli.reports.formatting import format_count, format_duration, format_number
from layercli.reports.provenance import COMMIT, DATA, describe_provenance
from layercli.reports.run_tables import (
    RunColumn,
    find_fitting_columns,
    fits_terminal,
    format_csv,
    format_markdown,
    print_columns,
    shorten_label,
    split_columns,
)
from layercli.runs.query import choose_columns, find_config_differences
from layercli.runs.resume_command import format_resume_command
from layercli.schema.flow_style import format_value
from layercli.source.nodes import sanitize_text

if TYPE_CHECKING:
    from rich.console import Console

    from layercli.runs.listing import Run

RunsFormat = Literal["csv", "markdown"]
_MAX_DIFFERENCES: Final = 40
_MAX_RESULTS: Final = 40
_MAX_ROW_DIFFERENCES: Final = 12
"""Most config values in the list of runs."""
_HASH_LENGTH: Final = 10
"""Characters of a hash that is shown."""
_SHORTENED: Final = "Long paths are shortened; `--format csv` has all of them."
_DATE: Final = "date"
_TITLES: Final = frozenset(
    {"run", _DATE, "state", "epochs", "best", "test", "time", "params", "name", "loss"}
)
"""Titles of columns of results, which no value of a config has, too."""
_FIRST_KEYS: Final = ("run", "name", "state", "started")
_LISTED_STATES: Final = ("finished", "running", "unfinished", "failed")


def print_runs(console: Console, runs: Sequence[Run], key: str | None) -> None:
    """Print a row for each run: date, results, the value of ``key``, and the config values that differ."""
    listed = [run for run in runs if run.state in _LISTED_STATES]
    if listed:
        label, *columns = _make_columns(listed, key)
        shown_label = shorten_label(console, label, columns)
        hidden = print_columns(console, _choose_dates(console, [shown_label, *columns]))
        if hidden:
            titles = ", ".join(column.title for column in hidden)
            _print_sentence(console, f"Not shown: {titles}. `--format csv` has every column.", style="dim")
        if shown_label is not label:
            _print_sentence(console, _SHORTENED, style="dim")
    for run in runs:
        if run.note is not None:
            text = f"{run.path.as_posix()} is {run.state}: {run.note}."
        elif run.state in ("unfinished", "failed"):
            text = describe_run_end(run)
        else:
            continue
        _print_sentence(console, text, style="yellow")


def _choose_dates(console: Console, columns: list[RunColumn]) -> list[RunColumn]:
    """Return the columns with dates that are as long as the terminal allows: with the time, without it, or without the year."""
    for start, end in ((0, 16), (0, 10), (5, 10)):
        dated = [
            replace(column, cells=[cell[start:end] for cell in column.cells])
            if column.title == _DATE
            else column
            for column in columns
        ]
        if any(column.title == _DATE for column in find_fitting_columns(console, dated)):
            return dated
    return columns


def _print_sentence(console: Console, text: str, *, style: str = "none") -> None:
    """Print a sentence, on a terminal in lines that end between words."""
    text = sanitize_text(text)
    if console.is_terminal:
        text = fill(text, console.width, break_long_words=False, break_on_hyphens=False)
    console.print(text, style=style, soft_wrap=True)


def describe_run_end(run: Run) -> str:
    """Return why an unfinished or failed run ended, and how to resume it."""
    path = run.path.as_posix()
    reason = (
        f"{sanitize_text(run.ended['message'], limit=300).rstrip('.')}."
        if run.ended
        else "its process ended without a message."
    )
    code = run.ended["code"] if run.state == "failed" and run.ended else None
    # Resuming without a change would fail in the same way, except after an error of the system.
    changes: tuple[str, ...] = () if code in (None, "cannot-write") else ("--allow-changes",)
    changes += ("--set KEY=VALUE",) if code == "loss-not-finite" else ()
    command = format_resume_command(path, *changes, needs_trust=run.needs_trust)
    if code is None:
        return f"{path} is unfinished: {reason} Resume with {command}."
    start = "Resume with" if code == "loss-not-finite" else "Fix the cause, then resume with"
    return f"{path} failed: {reason} {start} {command}."


def _make_columns(runs: Sequence[Run], key: str | None) -> list[RunColumn]:
    monitors = {str(run.best["monitor"]) for run in runs if "monitor" in run.best}
    test_metrics = {name for run in runs if (name := _test_metric(run.test))}
    best_title = f"best {_format_name(*monitors)}" if len(monitors) == 1 else "best"
    test_title = f"test {_format_name(*test_metrics)}" if len(test_metrics) == 1 else "test"
    columns = [
        RunColumn("run", [sanitize_text(run.path.as_posix()) for run in runs], is_text=True),
        RunColumn(_DATE, [_format_date(run) for run in runs], 4, is_text=True),
        RunColumn("epochs", [_format_epochs(run) for run in runs], 5),
        RunColumn(best_title, [_format_best(run, should_name=len(monitors) > 1) for run in runs], 1),
        RunColumn(test_title, [_format_test(run, should_name=len(test_metrics) > 1) for run in runs], 2),
    ]
    if any(run.state != "finished" for run in runs):
        columns.insert(1, RunColumn("state", [run.state for run in runs], 3, is_text=True))
    is_shown = key in ("run", "name", "state", "epochs", "seconds", "parameters") or all(
        run.best.get("monitor") == key and run.value(str(key)) == run.best.get(str(key)) for run in runs
    )
    if key is not None and not is_shown:
        columns.append(RunColumn(_format_name(key), [_format_value(run.value(key)) for run in runs], 2))
    differences = _hide_absent_layers(find_config_differences(runs), keeps_types=False)
    shown = {
        path: values
        for path, values in differences.items()
        if path not in (key, "name") and not all(value is None for value in values[1:])
    }
    for rank, (path, values) in enumerate(list(shown.items())[:_MAX_ROW_DIFFERENCES], start=6):
        title = _shorten_path(path, shown)
        columns.append(RunColumn(title, [_format_setting(value) for value in values], rank))
    columns.append(RunColumn("time", [_format_time(run) for run in runs], 90))
    columns.append(RunColumn("params", [_format_optional_count(run.parameters) for run in runs], 91))
    return columns


def _hide_absent_layers(
    differences: Mapping[str, list[Any]], *, keeps_types: bool = True
) -> dict[str, list[Any]]:
    """Return the differences; for a layer that a run lacks, only its type or nothing."""
    absent = {
        path.removesuffix(".type")
        for path, values in differences.items()
        if path.startswith("model.layers.") and path.endswith(".type") and None in values
    }
    return {
        path: values
        for path, values in differences.items()
        if (keeps_types and path.removesuffix(".type") in absent)
        or not any(path[: match.start()] in absent for match in re.finditer(r"\.", path))
    }


def _shorten_path(path: str, paths: Iterable[str]) -> str:
    """Return the last keys of a path that no other path ends with, and that are not the title of a result.

    That of a value of a layer has the name of the layer.
    """
    parts = path.split(".")
    for count in range(2 if path.startswith("model.layers.") else 1, len(parts)):
        ending = ".".join(parts[-count:])
        if ending in _TITLES:
            continue
        if sum(other == ending or other.endswith(f".{ending}") for other in paths) == 1:
            return sanitize_text(ending, limit=40)
    return sanitize_text(path, limit=60)


def format_runs(runs: Sequence[Run], differences: Mapping[str, list[Any]], runs_format: RunsFormat) -> str:
    """Return a row for each run, with all results and the config values that differ, as CSV or Markdown."""
    rows = [
        {
            **{key: run.results.get(key) for key in ("run", "name", "state")},
            "started": run.as_json()["started"],
            **run.results,
            "note": run.note or (run.ended["message"] if run.ended else None),
            **{path: values[index] for path, values in differences.items() if path != "name"},
        }
        for index, run in enumerate(runs)
    ]
    names = choose_columns(Counter(name for row in rows for name in row), len(rows))
    names.sort(key=lambda name: name not in _FIRST_KEYS)
    columns = [
        RunColumn(
            sanitize_text(name),
            [_format_exact(row.get(name)) for row in rows],
            is_text=any(isinstance(row.get(name), str) for row in rows),
        )
        for name in names
    ]
    return format_csv(columns) if runs_format == "csv" else format_markdown(columns)


def print_run_comparison(console: Console, runs: Sequence[Run], differences: Mapping[str, list[Any]]) -> None:
    """Print results and differences of the configs: a column for each run, or a row if the columns do not fit."""
    results = _compare_results(runs)
    hidden_results = list(results)[_MAX_RESULTS:]
    rows = dict(list(results.items())[:_MAX_RESULTS])
    differing = {
        path: [_format_setting(value) for value in values]
        for path, values in list(_hide_absent_layers(differences).items())[:_MAX_DIFFERENCES]
    }
    titles = [sanitize_text(run.path.as_posix()) for run in runs]
    names = [sanitize_text(name, limit=60) for name in (*rows, *differing)]
    cells = [*rows.values(), *differing.values()]
    side_by_side = [
        RunColumn("", names, is_text=True),
        *(RunColumn(title, [line[index] for line in cells]) for index, title in enumerate(titles)),
    ]
    if fits_terminal(console, side_by_side):
        print_columns(console, side_by_side)
    else:
        label = RunColumn("run", titles, is_text=True)
        parts = [rows, {_shorten_path(path, differing): values for path, values in differing.items()}]
        all_columns = [RunColumn(name, values) for part in parts for name, values in part.items()]
        shown_label = shorten_label(console, label, all_columns)
        for part in parts:
            columns = [RunColumn(sanitize_text(name, limit=60), values) for name, values in part.items()]
            for group in split_columns(console, shown_label, columns):
                print_columns(console, group)
                console.print()
        if shown_label is not label:
            _print_sentence(console, _SHORTENED, style="dim")
    if hidden_results:
        console.print(f"… and {len(hidden_results)} more results.")
    if len(differences) > len(differing):
        hidden_count = len(differences) - len(differing)
        text = f"… and {hidden_count} more values differ; `layercli diff A B` shows two models side by side."
        _print_sentence(console, text)
    if not differences:
        console.print("Their configs are the same.")


def _compare_results(runs: Sequence[Run]) -> dict[str, list[str]]:
    """Return a cell for each run, by the name of the result."""
    rows: dict[str, list[str]] = {
        "state": [run.state for run in runs],
        "date": [_format_date(run) for run in runs],
        "epochs": [_format_epochs(run) for run in runs],
        "best epoch": [_format_value(run.best.get("epoch")) for run in runs],
    }
    counts = Counter(
        name
        for run in runs
        for name in run.results
        if name not in _SEPARATE_ROWS and not name.startswith("best_")
    )
    metrics = choose_columns(counts, len(runs))
    speeds = [run.examples_per_second for run in runs]
    return (
        rows
        | {name: [_format_value(run.value(name)) for run in runs] for name in metrics}
        | {
            **_compare_provenance(runs),
            "time": [_format_time(run) for run in runs],
            "examples/s": ["" if speed is None else f"{speed:,.0f}" for speed in speeds],
            "parameters": [_format_optional_count(run.parameters) for run in runs],
        }
    )


def _compare_provenance(runs: Sequence[Run]) -> dict[str, list[str]]:
    """Return the commits of runs, and what else is known to differ in their machines, versions and data."""
    origins = [describe_provenance(run.manifest) for run in runs]
    titles = choose_columns(Counter(title for origin in origins for title in origin), len(runs))
    rows = {title: [origin.get(title, "") for origin in origins] for title in titles}
    return {
        title: [_shorten_hash(title, cell) for cell in cells]
        for title, cells in rows.items()
        if title == COMMIT or len({cell for cell in cells if cell}) > 1
    }


def _shorten_hash(title: str, text: str) -> str:
    """Return the first characters of a hash, and what follows it."""
    if title not in (COMMIT, DATA):
        return text
    value, _, note = text.removeprefix("sha256:").partition(" ")
    return f"{value[:_HASH_LENGTH]} {note}".rstrip()


_SEPARATE_ROWS = ("run", "name", "state", "epochs", "seconds", "examples_per_second", "parameters")
"""Results that the table shows in separate rows."""


def _format_date(run: Run) -> str:
    return "" if run.started is None else run.started.strftime("%Y-%m-%d %H:%M")


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
    if name is None:
        return ""
    return f"{f'{_format_name(name)} ' if should_name else ''}{format_number(run.test[name])}"


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
    if isinstance(value, list):
        return sanitize_text(f"[{', '.join(map(_format_value, value))}]", limit=60)
    return format_number(value) if isinstance(value, float) else sanitize_text(str(value), limit=60)


def _format_setting(value: Any) -> str:
    """Return a value of a config as a config has it."""
    return sanitize_text(format_value(_round_floats(value)), limit=60) if value is not None else ""


def _round_floats(value: Any) -> Any:
    """Return a value of a config with short decimal numbers."""
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, dict):
        return {key: _round_floats(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_round_floats(item) for item in value]
    return format_count(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _format_exact(value: Any) -> str:
    """Return a value with all its digits."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return repr(value)
    return _format_value(value) if value is None or isinstance(value, bool) else sanitize_text(str(value))
