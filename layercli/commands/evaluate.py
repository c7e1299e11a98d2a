"""``layercli evaluate``: evaluate the model of a run."""

from __future__ import annotations

from typing import Annotated

import typer

from layercli.command_line.options import JsonOption, RunArgument, TrustOption
from layercli.errors import Problem
from layercli.reports.console import make_console, print_json, redirect_stdout_for_json
from layercli.reports.evaluation import print_results
from layercli.reports.formatting import format_metrics
from layercli.reports.problems import print_problems
from layercli.workflows.evaluate import SplitName, evaluate_run


def command(
    run: RunArgument,
    data: Annotated[
        list[str] | None,
        typer.Option(
            "--data",
            metavar="PATH",
            help="New examples with targets, in the format of the run's data. Can be repeated for tables.",
        ),
    ] = None,
    part: Annotated[
        SplitName, typer.Option("--part", help="The split of the run's data. Ignored with --data.")
    ] = "test",
    json: JsonOption = False,
    trust: TrustOption = False,
) -> None:
    """Evaluate a run's model on its test examples, on another split, or on new examples.

    Prints the loss and the metrics; for classes precision, recall, F1 and the confusion matrix, and for numbers the errors.
    """
    with redirect_stdout_for_json(json):
        result = evaluate_run(run, data=data, split=part, trust=trust)
    if json:
        print_json(result)
        return
    source = "new" if data else part
    console = make_console()
    console.print(
        f"{result['examples']:,} {source} examples: {format_metrics(result['metrics'])}", soft_wrap=True
    )
    print_results(console, result)
    print_problems(make_console(error=True), list(map(Problem.from_json, result["problems"])))
