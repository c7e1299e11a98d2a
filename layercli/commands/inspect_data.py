"""``layercli inspect-data``: summarize the examples and check them against the model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from layercli.check import check_config, require_valid
from layercli.command_line.options import ConfigArgument, JsonOption, SetOption, TrustOption
from layercli.errors import ExitCode, has_errors, make_file_error
from layercli.io.atomic import report_write_errors, stage_file
from layercli.reports.console import make_console, print_json
from layercli.reports.data_summary import data_json, print_data_summary
from layercli.reports.problems import print_problems, problems_json
from layercli.workflows.dataset import check_dataset, combine_problems, find_learned_sizes
from layercli.workflows.preflight import require_data

if TYPE_CHECKING:
    from layercli.data.examples import Dataset

_MAX_PLACES: Final = 3
"""Rows that are left out whose places are named."""


def command(
    config: ConfigArgument,
    sheet: Annotated[
        str | None,
        typer.Option(
            "--sheet", metavar="FILE.png", help="Write a contact sheet of sample images to this file."
        ),
    ] = None,
    json: JsonOption = False,
    set_: SetOption = None,
    trust: TrustOption = False,
) -> None:
    """Summarize the data and check it against the model before training.

    TensorFlow is loaded only for layers that learn the size of their output from the data.
    """
    valid = require_valid(check_config(config, set_ or ()))
    data = require_data(valid)
    report = check_dataset(valid, data, trust=trust)
    from layercli.data.contact_sheet import write_contact_sheet
    from layercli.data.summary import (
        compute_class_balances,
        summarize_features,
        summarize_targets,
    )

    statistics, splits = report.statistics, report.splits
    counts = (len(splits.train), len(splits.validation), len(splits.test)) if splits else (0, 0, 0)
    problems = combine_problems(valid, report)
    has_problems = has_errors(problems)
    summary = (
        summarize_features(statistics),
        summarize_targets(statistics),
        counts,
        compute_class_balances(splits) if splits else {},
        splits.target_meanings if splits else {},
        report.dataset.empty_batch.class_names_of,
    )
    sizes = find_learned_sizes(valid, report.valid)
    if json:
        document = data_json(*summary) | ({"learned_sizes": sizes} if sizes else {})
        print_json({"ok": not has_problems, **document, **problems_json(problems)})
    else:
        print_data_summary(make_console(), *summary)
        if dropped := report.dataset.dropped_rows:
            make_console().print(_describe_dropped(report.dataset, dropped), markup=False, highlight=False)
        if sizes:
            listed = ", ".join(f"`{name}` {size:,}" for name, size in sizes.items())
            make_console().print(f"Sizes that layers learn: {listed}.")
        print_problems(make_console(), problems)
    if sheet is not None:
        with report_write_errors("The picture", sheet), stage_file(Path(sheet)) as staging:
            if not write_contact_sheet(report.dataset, staging):
                raise make_file_error(config, "unreadable-data", "The data contains no images.")
    raise typer.Exit(ExitCode.INVALID_INPUT if has_problems else ExitCode.OK)


def _describe_dropped(dataset: Dataset, rows: Sequence[int]) -> str:
    """Return how many rows are left out, and where the first of them are."""
    count = "1 row is" if len(rows) == 1 else f"{len(rows):,} rows are"
    places = "; ".join(dataset.locate_dropped(row) for row in rows[:_MAX_PLACES])
    more = f"; and {len(rows) - _MAX_PLACES:,} more" if len(rows) > _MAX_PLACES else ""
    return f"{count} left out, as `missing` says: {places}{more}."
