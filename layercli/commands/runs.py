"""``layercli runs``: the runs there are, chosen, sorted and compared."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from layercli.commands.options import JsonOption
from layercli.errors import LayercliError, Problem
from layercli.reports.console import make_console, print_json
from layercli.reports.runs import print_run_comparison, print_runs
from layercli.runs.directory import RUNS_ROOT
from layercli.runs.listing import Run, find_runs
from layercli.runs.query import Condition, filter_by_name, find_config_differences, list_run_keys, sort_runs
from layercli.schema.suggestions import did_you_mean
from layercli.source.nodes import sanitize_text


def command(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="DIR", help="Folders that hold runs, or runs; without any: runs/."),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option("--name", metavar="PATTERN", help="Only runs of that name; * and ? fit any text."),
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            "--where",
            metavar="CONDITION",
            help="Only runs that fulfil it, as in 'val_accuracy>0.9' or train.batch_size=32; may be repeated.",
        ),
    ] = None,
    sort: Annotated[
        str | None,
        typer.Option(
            "--sort",
            metavar="KEY",
            help="A metric, the best run first; or another result or value of the config.",
        ),
    ] = None,
    reverse: Annotated[bool, typer.Option("--reverse", help="The other way round.")] = False,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, metavar="N", help="Only the first N.")
    ] = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="Side by side: results, and where their configs differ.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """List the runs there are; choose, sort and compare them. TensorFlow is not loaded."""
    conditions = [_parse_condition(text) for text in where or ()]
    found = select_runs(_find_runs(paths), name, conditions, sort, reverse=reverse)[:limit]
    differing = find_config_differences(found) if compare else {}
    if json:
        extra = {"differences": differing} if compare else {}
        print_json({"ok": True, "runs": [run.as_json() for run in found], **extra, "problems": []})
        return
    out = make_console()
    if not found:
        out.print("There are no such runs." if name or conditions else
                  "There are no runs yet; `layercli train CONFIG` makes one.")  # fmt: skip
    elif compare:
        print_run_comparison(out, found, differing)
    else:
        print_runs(out, found, sort)


def select_runs(
    runs: list[Run],
    name: str | None,
    conditions: Sequence[Condition],
    sort: str | None,
    *,
    reverse: bool = False,
) -> list[Run]:
    """Those that fit the name and fulfil every condition, sorted.

    Raises:
        BadParameter: no run has what is asked for.
    """
    for key in [*(condition.key for condition in conditions), *([sort] if sort else [])]:
        if runs and not any(run.value(key) is not None for run in runs):
            available_keys = list_run_keys(runs)
            hint = did_you_mean(
                key, available_keys, otherwise=f"Among others they have {', '.join(available_keys[:12])}."
            )
            raise typer.BadParameter(f"no run has {sanitize_text(key, limit=60)!r}. {hint}")
    selected = [
        run
        for run in (filter_by_name(runs, name) if name else runs)
        if all(c.is_met_by(run) for c in conditions)
    ]
    if sort is not None:
        return sort_runs(selected, sort, reverse=reverse)
    return selected[::-1] if reverse else selected


def _parse_condition(text: str) -> Condition:
    try:
        return Condition.parse(text)
    except ValueError as error:
        raise typer.BadParameter(f"{error}.") from None


def _find_runs(paths: list[Path] | None) -> list[Run]:
    """The runs of these folders, each once.

    Raises:
        LayercliError: there is no such folder, or it cannot be read.
    """
    if not paths and not RUNS_ROOT.is_dir():
        return []
    found: dict[Path, Run] = {}
    for path in paths or [RUNS_ROOT]:
        try:
            found |= {run.path: run for run in find_runs(path)}
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            message = f"The runs there cannot be listed: {reason}."
            raise LayercliError(
                Problem(code="run-directory", message=message, file=sanitize_text(str(path)))
            ) from None
    return list(found.values())
