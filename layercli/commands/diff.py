"""``layercli diff``: two configs side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from layercli.check import check_config, require_valid
from layercli.commands.options import JsonOption, SetOption
from layercli.errors import LayercliError
from layercli.reports.console import make_console, print_json
from layercli.reports.diff import ConfigComparison, diff_json, print_config_diff
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
    comparison = compare_configs(before, after, set_ or ())
    checked = [comparison.before.check_result, comparison.after.check_result]
    problems = list(dict.fromkeys(problem for one in checked for problem in one.problems))
    if json:
        print_json({"ok": True, **diff_json(comparison), **problems_json(problems)})
        return
    print_problems(make_console(error=True), problems)
    print_config_diff(make_console(), comparison, show_all=all_)


def compare_configs(before: str, after: str, overrides: Sequence[str] = ()) -> ConfigComparison:
    """What differs between two configs; ``overrides`` apply to the second.

    Raises:
        LayercliError: with the problems of both, if one is wrong.
    """
    check_results = check_config(_find_config(before)), check_config(_find_config(after), overrides)
    if not all(one.ok for one in check_results):
        raise LayercliError(dict.fromkeys(problem for one in check_results for problem in one.problems))
    old, new = map(require_valid, check_results)
    return ConfigComparison.from_configs((before, after), old, new, overrides)


def _find_config(name: str) -> str:
    """The config of a run directory, or the file itself."""
    config = Path(name) / runs.CONFIG
    try:
        return str(config) if config.is_file() else name
    except (OSError, ValueError):  # a name that no file has; reading it says so
        return name
