"""``layercli runs``: list, filter, sort and compare runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from layercli.activity import show_activity
from layercli.command_line.options import JsonOption
from layercli.errors import make_file_error
from layercli.reports.console import make_console, print_json, print_text
from layercli.reports.runs import RunsFormat, format_runs, print_run_comparison, print_runs
from layercli.reports.seeds import print_seed_comparison
from layercli.runs.directory import RUNS_ROOT
from layercli.runs.listing import Run, find_runs
from layercli.runs.query import (
    Condition,
    filter_by_name,
    find_config_differences,
    limit_columns,
    list_run_keys,
    sort_runs,
)
from layercli.runs.seed_groups import compare_groups, find_seed_groups
from layercli.schema.suggestions import did_you_mean
from layercli.source.nodes import sanitize_text


def command(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="DIR", help="Folders of runs, or runs. Default: runs/."),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            "--name", metavar="PATTERN", help="Only show runs with this name; * and ? are wildcards."
        ),
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            "--where",
            metavar="CONDITION",
            help="Only show runs that match, such as 'val_accuracy>0.9' or train.batch_size=32. Can be repeated.",
        ),
    ] = None,
    sort: Annotated[
        str | None,
        typer.Option(
            "--sort",
            metavar="KEY",
            help="Sort by a metric (best run first), another result or a config value.",
        ),
    ] = None,
    reverse: Annotated[bool, typer.Option("--reverse", help="Reverse the order.")] = False,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, metavar="N", help="Only show the first N runs.")
    ] = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="Compare results and config values side by side.")
    ] = False,
    runs_format: Annotated[
        RunsFormat | None,
        typer.Option(
            "--format",
            help="Print every result with all digits and every differing value, as a table for other programs.",
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """List, filter, sort and compare runs. TensorFlow is not loaded."""
    if json and runs_format is not None:
        raise typer.BadParameter("cannot be used with --json.", param_hint="--format")
    conditions = [_parse_condition(text) for text in where or ()]
    selected_runs = select_runs(_find_runs(paths), name, conditions, sort, reverse=reverse)[:limit]
    if json:
        extra: dict[str, Any] = {}
        if compare:
            groups = find_seed_groups(selected_runs)
            extra = {
                "differences": _compare_configs(selected_runs),
                "groups": [group.as_json() for group in groups],
                "tests": [test.as_json() for test in compare_groups(groups)],
            }
        print_json({"ok": True, "runs": [run.as_json() for run in selected_runs], **extra, "problems": []})
        return
    if runs_format is not None:
        print_text(format_runs(selected_runs, _compare_configs(selected_runs), runs_format))
        return
    out = make_console()
    if not selected_runs:
        out.print(
            "No runs match."
            if name or conditions
            else "There are no runs yet; `layercli train CONFIG` creates one."
        )
    elif compare:
        print_run_comparison(out, selected_runs, _compare_configs(selected_runs))
        if groups := find_seed_groups(selected_runs):
            print_seed_comparison(out, groups, compare_groups(groups))
    else:
        print_runs(out, selected_runs, sort)


def _compare_configs(runs: Sequence[Run]) -> dict[str, list[Any]]:
    """Return the config values that differ, after a note on standard error if there are too many to show."""
    differences = find_config_differences(runs)
    limit = limit_columns(len(runs))
    if len(differences) >= limit:
        note = f"Too many config values differ: only the {limit:,} that most runs have are shown."
        make_console(error=True).print(note, style="yellow", soft_wrap=True)
    return differences


def select_runs(
    runs: list[Run],
    name: str | None,
    conditions: Sequence[Condition],
    sort: str | None,
    *,
    reverse: bool = False,
) -> list[Run]:
    """Return the runs that match the name and every condition, sorted.

    Raises:
        BadParameter: A key of a condition or of the sort order exists in no run.
    """
    for key in [*(condition.key for condition in conditions), *([sort] if sort else [])]:
        if runs and not any(run.value(key) is not None for run in runs):
            available_keys = list_run_keys(runs)
            hint = did_you_mean(
                key, available_keys, otherwise=f"Available keys include {', '.join(available_keys[:12])}."
            )
            raise typer.BadParameter(f"no run has {sanitize_text(key, limit=60)!r}. {hint}")
    selected = [
        run
        for run in (filter_by_name(runs, name) if name else runs)
        if all(condition.is_met_by(run) for condition in conditions)
    ]
    if sort is not None:
        return sort_runs(selected, sort, reverse=reverse)
    return selected[::-1] if reverse else selected


def _parse_condition(text: str) -> Condition:
    try:
        return Condition.parse(text)
    except ValueError as error:
        raise typer.BadParameter(f"{error}.") from None


@show_activity("Reading the runs")
def _find_runs(paths: list[Path] | None) -> list[Run]:
    """Return the runs of these folders, without duplicates.

    Raises:
        LayercliError: A folder does not exist or cannot be read.
    """
    if not paths and not RUNS_ROOT.is_dir():
        return []
    runs_by_path: dict[Path, Run] = {}
    for path in paths or [RUNS_ROOT]:
        try:
            runs_by_path |= {run.path: run for run in find_runs(path)}
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            message = f"Cannot list the runs in this folder: {reason}."
            raise make_file_error(sanitize_text(str(path)), "run-directory", message) from None
    return list(runs_by_path.values())
