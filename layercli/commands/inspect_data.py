"""``layercli inspect-data``: what the examples are like, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from layercli.check import check_config, require_valid
from layercli.commands.options import ConfigArgument, JsonOption, SetOption, TrustOption
from layercli.errors import ExitCode, LayercliError, Problem, has_errors
from layercli.reports.console import make_console, print_json
from layercli.reports.data_summary import data_json, print_data_summary
from layercli.reports.problems import print_problems, problems_json
from layercli.runs import directory as runs
from layercli.workflows.dataset import check_dataset
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
    valid = require_valid(check_config(config, set_ or ()))
    data = require_data(valid)
    examined = check_dataset(valid, data, trust=trust)
    from layercli.data.summary import (
        compute_class_balances,
        summarize_features,
        summarize_targets,
        write_contact_sheet,
    )

    statistics, parts = examined.statistics, examined.splits
    counts = (len(parts.train), len(parts.validation), len(parts.test)) if parts else (0, 0, 0)
    problems = [*valid.check_result.problems, *examined.problems]
    has_problems = has_errors(problems)
    found = (
        summarize_features(statistics),
        summarize_targets(statistics),
        counts,
        compute_class_balances(parts) if parts else {},
    )
    if json:
        print_json({"ok": not has_problems, **data_json(*found), **problems_json(problems)})
    else:
        print_data_summary(make_console(), *found)
        print_problems(make_console(), problems)
    if sheet is not None:
        try:
            with runs.stage_file(Path(sheet)) as staging:
                is_written = write_contact_sheet(examined.dataset, staging)
                if not is_written:
                    raise LayercliError(
                        Problem(
                            code="unreadable-data", message="The data holds no images to show.", file=config
                        )
                    )
        except OSError as error:
            message = f"The picture cannot be written: {error.strerror or error}."
            raise LayercliError(Problem(code="cannot-write", message=message, file=sheet)) from None
    raise typer.Exit(ExitCode.INVALID_INPUT if has_problems else ExitCode.OK)
