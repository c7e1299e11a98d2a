"""``layercli validate``: report every problem in every config file."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated

import typer

from layercli.command_line.options import JsonOption, SetOption
from layercli.errors import ExitCode, Problem, has_errors
from layercli.reports.console import make_console, print_json
from layercli.reports.problems import github_annotation, print_problems, problems_json
from layercli.workflows.config_files import find_configs, find_problems_in_files


class ProblemFormat(StrEnum):
    """The output format: text, JSON, or annotations for GitHub."""

    TEXT = "text"
    JSON = "json"
    GITHUB = "github"


def command(
    configs: Annotated[
        list[str],
        typer.Argument(metavar="CONFIG", help="Config files or folders of configs; - reads standard input."),
    ],
    format_: Annotated[
        ProblemFormat | None,
        typer.Option(
            "--format", help="text, json (same as --json), or github (annotations, not with --json)."
        ),
    ] = None,
    fix: Annotated[
        bool,
        typer.Option(
            "--fix", help="Apply the safe fixes, after showing the changes; unsafe fixes are only shown."
        ),
    ] = False,
    show_all: Annotated[
        bool,
        typer.Option(
            "--all", help="Show every problem, not only the first 20. github always shows every one."
        ),
    ] = False,
    json: JsonOption = False,
    set_: SetOption = None,
) -> None:
    """Check configs and report every problem in every file. TensorFlow is not loaded."""
    if json and format_ not in (None, ProblemFormat.JSON):
        raise typer.BadParameter(f"--json cannot be used with --format {format_}.")
    files, skipped, problems = find_configs(configs)
    if fix:
        if set_ or "-" in configs:
            raise typer.BadParameter(
                "--fix cannot be used with --set or standard input, because it changes files."
            )
        for file in files:
            _fix_file(file, json=json or format_ is ProblemFormat.JSON)
            _show_unsafe_fixes(file, json=json or format_ is ProblemFormat.JSON)
    problems += find_problems_in_files(files, overrides=set_ or ())
    has_problems = has_errors(problems)
    match ProblemFormat.JSON if json else format_:
        case ProblemFormat.JSON:
            print_json({"ok": not has_problems, **problems_json(problems, show_all=show_all)})
        case ProblemFormat.GITHUB:
            for problem in problems:
                print(github_annotation(problem))
            print(_format_summary(len(files), skipped, problems))
        case _:
            if problems:
                print_problems(make_console(), problems, show_all=show_all, advice="Add --all to see all.")
            print(_format_summary(len(files), skipped, problems))
    raise typer.Exit(ExitCode.INVALID_INPUT if has_problems else ExitCode.OK)


def _fix_file(file: str, *, json: bool) -> None:
    """Show the safe fixes of a file and write them. Ask for confirmation on a terminal."""
    from layercli.reports.problems import print_text_diff
    from layercli.workflows.autofix import compute_fixes, write_fixed_file

    before, after = compute_fixes(file)
    if before == after:
        return
    print_text_diff(make_console(error=json), file, before, after)
    should_ask = not json and sys.stdin.isatty() and sys.stdout.isatty()
    if not should_ask or typer.confirm(f"Write {file}?"):
        write_fixed_file(file, after)


def _show_unsafe_fixes(file: str, *, json: bool) -> None:
    """Show the fixes that are not applied, and why."""
    from layercli.reports.problems import print_unsafe_fixes
    from layercli.workflows.autofix import find_unsafe_fixes

    fixes = [(fix.problem, fix.reason) for fix in find_unsafe_fixes(file)]
    print_unsafe_fixes(make_console(error=json), fixes)


def _format_summary(files: int, skipped: int, problems: Sequence[Problem]) -> str:
    errors = sum(problem.severity == "error" for problem in problems)
    kinds = ((errors, "error"), (len(problems) - errors, "warning"))
    counts = [_format_count(number, word) for number, word in kinds if number]
    skipped_note = (
        f" Skipped {_format_count(skipped, 'other YAML file')} (no `model` or `extends` key)."
        if skipped
        else ""
    )
    return f"{_format_count(files, 'file')} checked: {', '.join(counts) if counts else 'no problems'}.{skipped_note}"


def _format_count(number: int, word: str) -> str:
    return f"{number} {word}{'s' * (number != 1)}"
