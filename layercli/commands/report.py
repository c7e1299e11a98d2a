"""``layercli report``: write a page with everything about runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from layercli.command_line.options import JsonOption, TrustOption, require_parent_directory
from layercli.errors import Problem
from layercli.reports.console import make_console, print_json, redirect_stdout_for_json
from layercli.reports.problems import print_problems
from layercli.workflows.evaluate import SplitName
from layercli.workflows.report import ReportFormat, write_report

_SUFFIXES: Final[dict[ReportFormat, tuple[str, ...]]] = {
    "html": (".html", ".htm"),
    "markdown": (".md", ".markdown"),
}


def _choose_format(output: str | None, report_format: ReportFormat | None) -> tuple[str, ReportFormat]:
    """Return the file and the format, each of which the other one can determine.

    Raises:
        BadParameter: The suffix is that of no format or of another one, or the directory does not exist.
    """
    if output is None:
        chosen = report_format or "html"
        return f"report{_SUFFIXES[chosen][0]}", chosen
    suffix = Path(output).suffix.lower()
    found = next((name for name, suffixes in _SUFFIXES.items() if suffix in suffixes), None)
    if found is None or report_format not in (None, found):
        wanted = " or ".join(
            suffixes[0] for name, suffixes in _SUFFIXES.items() if report_format in (None, name)
        )
        raise typer.BadParameter(f"the file name must end in {wanted}, got {output}.", param_hint="--output")
    require_parent_directory(output)
    return output, found


def command(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN",
            help="The directories of one or several runs, of several seeds, or of a cross-validation.",
        ),
    ],
    output: Annotated[
        str | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="The file to write. Default: report.html or report.md."
        ),
    ] = None,
    report_format: Annotated[
        ReportFormat | None,
        typer.Option(
            "--format",
            "-f",
            help="A page with charts and examples, or a model card without them. Default: by the name of the file.",
        ),
    ] = None,
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
    """Write one HTML file with everything about a run, or about several runs side by side; or a model card.

    It contains a summary, learning curves, results, examples, the most important columns, the model, the data and the config.
    """
    output, report_format = _choose_format(output, report_format)
    with redirect_stdout_for_json(json):
        result = write_report(runs, output, report_format=report_format, split=part, trust=trust)
    if json:
        print_json(result)
        return
    print_problems(make_console(error=True), [Problem(**problem) for problem in result["problems"]])
    advice = " Open it in a browser." if report_format == "html" else ""
    make_console().print(f"Wrote {output}.{advice}", soft_wrap=True)
