"""``layercli validate``: every problem in every file, at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from layercli.check import Checked, check, require
from layercli.commands.options import JsonOption, SetOption
from layercli.commands.ready import memory_problem
from layercli.errors import ExitCode, Problem, has_errors
from layercli.reports.console import console, print_json
from layercli.reports.problems import print_problems, problems_json


def command(
    configs: Annotated[
        list[str], typer.Argument(metavar="CONFIG...", help="Config files; - reads standard input.")
    ],
    json: JsonOption = False,
    set_: SetOption = None,
) -> None:
    """Check configs: every problem in every file, at once. TensorFlow is not loaded."""
    problems = validate(configs, overrides=set_ or ())
    wrong = has_errors(problems)
    if json:
        print_json({"ok": not wrong, **problems_json(problems)})
    else:
        if problems:
            print_problems(console(), problems)
        print(_verdict(configs, problems))
    raise typer.Exit(ExitCode.WRONG if wrong else ExitCode.OK)


def validate(files: Sequence[str], *, overrides: Sequence[str] = ()) -> list[Problem]:
    """Everything that is wrong with the config files, in their order."""
    return [problem for file in files for problem in _problems_of(check(file, overrides))]


def _problems_of(checked: Checked) -> list[Problem]:
    """What is wrong with one file; that this machine is too small for it is a warning, since another may train it."""
    too_large = memory_problem(require(checked), copies=1, severity="warning") if checked.ok else None
    return [*checked.problems, *([too_large] if too_large else [])]


def _verdict(configs: Sequence[str], problems: Sequence[Problem]) -> str:
    files = "1 file" if len(configs) == 1 else f"{len(configs)} files"
    errors = sum(problem.severity == "error" for problem in problems)
    warnings = len(problems) - errors
    counted = [
        f"{count} {word}{'s' * (count != 1)}"
        for count, word in ((errors, "error"), (warnings, "warning"))
        if count
    ]
    return f"{files} checked: {', '.join(counted) if counted else 'no problems'}."
