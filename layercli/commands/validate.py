"""``layercli validate``: every problem in every file, at once."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated

import typer

from layercli.check import Checked, check, require
from layercli.commands.options import JsonOption, SetOption
from layercli.errors import ExitCode, Problem, has_errors
from layercli.reports.console import console, print_json
from layercli.reports.problems import MOST_SHOWN, github_line, print_problems, problems_json
from layercli.workflows.config_files import each, find_configs
from layercli.workflows.preflight import memory_problem


class Format(StrEnum):
    """Who reads the problems: a person, a program, or GitHub, which shows them beside the lines of a change."""

    TEXT = "text"
    JSON = "json"
    GITHUB = "github"


def command(
    configs: Annotated[
        list[str],
        typer.Argument(
            metavar="CONFIG...", help="Config files, and folders of them; - reads standard input."
        ),
    ],
    format_: Annotated[
        Format | None,
        typer.Option("--format", help="text for people, json as --json, github for annotations."),
    ] = None,
    fix: Annotated[
        bool, typer.Option("--fix", help="Mend what can be mended with certainty; shows the changes first.")
    ] = False,
    json: JsonOption = False,
    set_: SetOption = None,
) -> None:
    """Check configs: every problem in every file, at once. TensorFlow is not loaded."""
    if json and format_ not in (None, Format.JSON):
        raise typer.BadParameter(f"--json and --format {format_} contradict each other.")
    files, skipped, problems = find_configs(configs)
    if fix:
        if set_ or "-" in configs:
            raise typer.BadParameter("--fix changes files; it goes with neither --set nor standard input.")
        for file in files:
            _mend(file, json=json or format_ is Format.JSON)
    problems += validate(files, overrides=set_ or ())
    wrong = has_errors(problems)
    match Format.JSON if json else format_:
        case Format.JSON:
            print_json({"ok": not wrong, **problems_json(problems)})
        case Format.GITHUB:
            for problem in problems[:MOST_SHOWN]:
                print(github_line(problem))
            print(_verdict(len(files), skipped, problems))
        case _:
            if problems:
                print_problems(console(), problems)
            print(_verdict(len(files), skipped, problems))
    raise typer.Exit(ExitCode.WRONG if wrong else ExitCode.OK)


def _mend(file: str, *, json: bool) -> None:
    """Show what can be mended in a file, and write it; a person at a terminal is asked first."""
    from layercli.reports.problems import print_diff
    from layercli.workflows.autofix import mended, write

    before, after = mended(file)
    if before == after:
        return
    print_diff(console(error=json), file, before, after)
    asked = not json and sys.stdin.isatty() and sys.stdout.isatty()
    if not asked or typer.confirm(f"Write {file}?"):
        write(file, after)


def validate(files: Sequence[str], *, overrides: Sequence[str] = ()) -> list[Problem]:
    """Everything that is wrong with the config files, in their order."""
    return [problem for found in each(problems_of, files, tuple(overrides)) for problem in found]


def problems_of(file: str, overrides: Sequence[str] = ()) -> list[Problem]:
    """Everything that is wrong with one config file."""
    return _with_memory(check(file, overrides))


def _with_memory(checked: Checked) -> list[Problem]:
    """What is wrong with one file; that this machine is too small for it is a warning, since another may train it."""
    too_large = memory_problem(require(checked), copies=1, severity="warning") if checked.ok else None
    return [*checked.problems, *([too_large] if too_large else [])]


def _verdict(files: int, skipped: int, problems: Sequence[Problem]) -> str:
    errors = sum(problem.severity == "error" for problem in problems)
    kinds = ((errors, "error"), (len(problems) - errors, "warning"))
    counted = [_count(number, word) for number, word in kinds if number]
    left_out = f" {_count(skipped, 'other YAML file')} left out: no `model` in it." if skipped else ""
    return f"{_count(files, 'file')} checked: {', '.join(counted) if counted else 'no problems'}.{left_out}"


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'s' * (number != 1)}"
