"""``layercli inspect-data``: what the examples are like, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from layercli.check import check, require
from layercli.commands.options import ConfigArgument, JsonOption, SetOption, TrustOption
from layercli.errors import ExitCode, LayercliError, Problem, has_errors
from layercli.reports.console import console, print_json
from layercli.reports.data_summary import data_json, print_data
from layercli.reports.problems import print_problems, problems_json
from layercli.runs import directory as runs
from layercli.workflows.dataset import examine
from layercli.workflows.preflight import require_data


def command(
    config: ConfigArgument,
    sheet: Annotated[
        str | None,
        typer.Option("--sheet", metavar="FILE.png", help="Write some of the images there, as one picture."),
    ] = None,
    json: JsonOption = False,
    set_: SetOption = None,
    trust: TrustOption = False,
) -> None:
    """Show what the data is like and hold it against the model, before anything is trained. TensorFlow is not loaded."""
    valid = require(check(config, set_ or ()))
    data = require_data(valid)
    examined = examine(valid, data, trust=trust)
    from layercli.data.summary import balances, features, targets, write_sheet

    statistics, parts = examined.statistics, examined.parts
    counts = (len(parts.train), len(parts.validation), len(parts.test)) if parts else (0, 0, 0)
    problems = [*valid.checked.problems, *examined.problems]
    wrong = has_errors(problems)
    found = features(statistics), targets(statistics), counts, balances(parts) if parts else {}
    if json:
        print_json({"ok": not wrong, **data_json(*found), **problems_json(problems)})
    else:
        print_data(console(), *found)
        print_problems(console(), problems)
    if sheet is not None:
        try:
            with runs.staged(Path(sheet)) as staging:
                written = write_sheet(examined.source, staging)
                if not written:
                    raise LayercliError(
                        Problem(
                            code="unreadable-data", message="The data holds no images to show.", file=config
                        )
                    )
        except OSError as error:
            message = f"The picture cannot be written: {error.strerror or error}."
            raise LayercliError(Problem(code="cannot-write", message=message, file=sheet)) from None
    raise typer.Exit(ExitCode.WRONG if wrong else ExitCode.OK)
