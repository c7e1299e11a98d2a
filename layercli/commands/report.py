"""``layercli report``: write a page with everything about runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from layercli.commands.options import JsonOption, TrustOption, require_parent_directory
from layercli.errors import Problem
from layercli.reports.console import make_console, print_json, redirect_stdout_for_json
from layercli.reports.problems import print_problems
from layercli.workflows.evaluate import SplitName
from layercli.workflows.report import write_report


def _validate_output(output: str) -> str:
    """Check the value of ``--output``.

    Raises:
        BadParameter: The suffix is not .html, or the directory does not exist.
    """
    if Path(output).suffix.lower() not in (".html", ".htm"):
        raise typer.BadParameter(f"the file name must end in .html, got {output}.")
    require_parent_directory(output)
    return output


def command(
    runs: Annotated[
        list[str], typer.Argument(metavar="RUN...", help="The directories of one or several runs.")
    ],
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", metavar="FILE.html", callback=_validate_output, help="The page to write."
        ),
    ] = "report.html",
    part: Annotated[
        SplitName | None,
        typer.Option(
            "--part",
            help="The split over which the models are evaluated. Default: test, or the first one that is not empty.",
        ),
    ] = None,
    json: JsonOption = False,
    trust: TrustOption = False,
) -> None:
    """Write one HTML file with everything about a run, or about several runs side by side.

    It contains a summary, learning curves, results, examples, the columns that matter, the model, the data and the config.
    """
    with redirect_stdout_for_json(json):
        result = write_report(runs, output, split=part, trust=trust)
    if json:
        print_json(result)
        return
    print_problems(make_console(error=True), [Problem(**problem) for problem in result["problems"]])
    make_console().print(f"Wrote {output}. Open it in a browser.", soft_wrap=True)
