"""``layercli diff``: two configs side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from layercli.check import check, require
from layercli.commands.options import JsonOption, SetOption
from layercli.errors import LayercliError
from layercli.reports.console import console, print_json
from layercli.reports.diff import Comparison, diff_json, print_diff
from layercli.reports.problems import print_problems, problems_json
from layercli.runs import directory as runs
from layercli.source.load import STDIN


def command(
    before: Annotated[
        str, typer.Argument(metavar="A", help="A config or a run directory; - reads standard input.")
    ],
    after: Annotated[str, typer.Argument(metavar="B", help="What to compare it with; --set changes it.")],
    all_: Annotated[bool, typer.Option("--all", help="Show layers that are the same, too.")] = False,
    json: JsonOption = False,
    set_: SetOption = None,
) -> None:
    """Compare two configs: layers, shapes, parameters, FLOPs, and which weights would carry over."""
    if before == after == STDIN:
        raise typer.BadParameter("Only one of A and B can be standard input.")
    comparison = diff(before, after, set_ or ())
    checked = [comparison.before.checked, comparison.after.checked]
    problems = list(dict.fromkeys(problem for one in checked for problem in one.problems))
    if json:
        print_json({"ok": True, **diff_json(comparison), **problems_json(problems)})
        return
    print_problems(console(error=True), problems)
    print_diff(console(), comparison, everything=all_)


def diff(before: str, after: str, overrides: Sequence[str] = ()) -> Comparison:
    """What differs between two configs; ``overrides`` apply to the second.

    Raises:
        LayercliError: with the problems of both, if one is wrong.
    """
    checked = check(_config_of(before)), check(_config_of(after), overrides)
    if not all(one.ok for one in checked):
        raise LayercliError(dict.fromkeys(problem for one in checked for problem in one.problems))
    old, new = map(require, checked)
    return Comparison.of((before, after), old, new, overrides)


def _config_of(name: str) -> str:
    """The config of a run directory, or the file itself."""
    config = Path(name) / runs.CONFIG
    try:
        return str(config) if config.is_file() else name
    except (OSError, ValueError):  # a name that no file has; reading it says so
        return name
