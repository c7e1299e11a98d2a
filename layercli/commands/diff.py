"""``layercli diff``: compare two configs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from layercli.activity import show_activity
from layercli.check import CheckResult, check_config, require_valid
from layercli.command_line.options import JsonOption, SetOption, find_config
from layercli.errors import LayercliError, Problem
from layercli.reports.console import make_console, print_json
from layercli.reports.diff import ConfigComparison, diff_json, print_config_diff
from layercli.reports.problems import print_problems, problems_json
from layercli.source.load import STDIN


def command(
    before: Annotated[
        str, typer.Argument(metavar="A", help="A config or a run directory; - reads standard input.")
    ],
    after: Annotated[
        str,
        typer.Argument(metavar="B", help="The config or run directory to compare with A; --set changes it."),
    ],
    all_: Annotated[
        bool, typer.Option("--all", help="Show every line, including layers without differences.")
    ] = False,
    json: JsonOption = False,
    set_: SetOption = None,
) -> None:
    """Compare two configs: layers, shapes, parameters, FLOPs, and the weights that transfer from A to B."""
    if before == after == STDIN:
        raise typer.BadParameter("only one of A and B can be standard input, got - for both.")
    comparison = compare_configs(before, after, set_ or ())
    problems = _collect_problems(comparison.before.check_result, comparison.after.check_result)
    if json:
        print_json({"ok": True, **diff_json(comparison), **problems_json(problems)})
        return
    print_problems(make_console(error=True), problems)
    print_config_diff(make_console(), comparison, show_all=all_)


@show_activity("Comparing the configs")
def compare_configs(before: str, after: str, overrides: Sequence[str] = ()) -> ConfigComparison:
    """Compare two configs. ``overrides`` apply to the second.

    Raises:
        LayercliError: A config is invalid. Contains the problems of both.
    """
    check_results = check_config(find_config(before)), check_config(find_config(after), overrides)
    if not all(result.ok for result in check_results):
        raise LayercliError(_collect_problems(*check_results))
    old, new = map(require_valid, check_results)
    return ConfigComparison.from_configs((before, after), old, new, overrides)


def _collect_problems(*check_results: CheckResult) -> list[Problem]:
    """Return the problems of all results, without duplicates."""
    return list(dict.fromkeys(problem for result in check_results for problem in result.problems))
