"""``layercli validate``: every problem in every file, at once."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated

import typer

from layercli.check import CheckResult, check_config, require_valid
from layercli.commands.options import JsonOption, SetOption
from layercli.errors import ExitCode, Problem, has_errors
from layercli.reports.console import make_console, print_json
from layercli.reports.problems import MAX_SHOWN_PROBLEMS, github_annotation, print_problems, problems_json
from layercli.workflows.config_files import find_configs, map_files
from layercli.workflows.preflight import check_memory


class ProblemFormat(StrEnum):
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
        ProblemFormat | None,
        typer.Option("--format", help="text for people, json as --json, github for annotations."),
    ] = None,
    fix: Annotated[
        bool, typer.Option("--fix", help="Mend what can be mended with certainty; shows the changes first.")
    ] = False,
    json: JsonOption = False,
    set_: SetOption = None,
) -> None:
    """Check configs: every problem in every file, at once. TensorFlow is not loaded."""
    if json and format_ not in (None, ProblemFormat.JSON):
        raise typer.BadParameter(f"--json and --format {format_} contradict each other.")
    files, skipped, problems = find_configs(configs)
    if fix:
        if set_ or "-" in configs:
            raise typer.BadParameter("--fix changes files; it goes with neither --set nor standard input.")
        for file in files:
            _fix_file(file, json=json or format_ is ProblemFormat.JSON)
    problems += validate_files(files, overrides=set_ or ())
    has_problems = has_errors(problems)
    match ProblemFormat.JSON if json else format_:
        case ProblemFormat.JSON:
            print_json({"ok": not has_problems, **problems_json(problems)})
        case ProblemFormat.GITHUB:
            for problem in problems[:MAX_SHOWN_PROBLEMS]:
                print(github_annotation(problem))
            print(_format_summary(len(files), skipped, problems))
        case _:
            if problems:
                print_problems(make_console(), problems)
            print(_format_summary(len(files), skipped, problems))
    raise typer.Exit(ExitCode.INVALID_INPUT if has_problems else ExitCode.OK)


def _fix_file(file: str, *, json: bool) -> None:
    """Show what can be mended in a file, and write it; a person at a terminal is asked first."""
    from layercli.reports.problems import print_text_diff
    from layercli.workflows.autofix import compute_fixes, write_fixed_file

    before, after = compute_fixes(file)
    if before == after:
        return
    print_text_diff(make_console(error=json), file, before, after)
    should_ask = not json and sys.stdin.isatty() and sys.stdout.isatty()
    if not should_ask or typer.confirm(f"Write {file}?"):
        write_fixed_file(file, after)


def validate_files(files: Sequence[str], *, overrides: Sequence[str] = ()) -> list[Problem]:
    """Everything that is wrong with the config files, in their order."""
    return [problem for found in map_files(find_file_problems, files, tuple(overrides)) for problem in found]


def find_file_problems(file: str, overrides: Sequence[str] = ()) -> list[Problem]:
    """Everything that is wrong with one config file."""
    return _add_memory_warning(check_config(file, overrides))


def _add_memory_warning(checked: CheckResult) -> list[Problem]:
    """What is wrong with one file; that this machine is too small for it is a warning, since another may train it."""
    too_large = check_memory(require_valid(checked), copies=1, severity="warning") if checked.ok else None
    return [*checked.problems, *([too_large] if too_large else [])]


def _format_summary(files: int, skipped: int, problems: Sequence[Problem]) -> str:
    errors = sum(problem.severity == "error" for problem in problems)
    kinds = ((errors, "error"), (len(problems) - errors, "warning"))
    counts = [_format_count(number, word) for number, word in kinds if number]
    skipped_note = (
        f" {_format_count(skipped, 'other YAML file')} left out: no `model` in it." if skipped else ""
    )
    return f"{_format_count(files, 'file')} checked: {', '.join(counts) if counts else 'no problems'}.{skipped_note}"


def _format_count(number: int, word: str) -> str:
    return f"{number} {word}{'s' * (number != 1)}"
