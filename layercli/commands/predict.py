"""``layercli predict``: write the predictions of a run's model for new examples, or for one of its sets."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from layercli.command_line.options import JsonOption, RunArgument, TrustOption, require_parent_directory
from layercli.errors import ExitCode, Problem
from layercli.reports.console import make_console, print_json, redirect_stdout_for_json
from layercli.reports.problems import print_problems
from layercli.source.nodes import sanitize_text
from layercli.workflows.evaluate import SplitName
from layercli.workflows.predict import (
    DEFAULT_PREDICTION_BATCH,
    PREDICTION_SUFFIXES,
    STANDARD_STREAM,
    StreamFormat,
    is_mask_folder,
    is_stream,
    predict_set,
    predict_to_file,
)


def _validate_output(output: str, stream_format: str | None) -> None:
    """Check the value of ``--output``.

    Raises:
        BadParameter: The suffix is not supported, or the directory does not exist.
    """
    path = Path(output)
    if output == STANDARD_STREAM:
        return
    if is_mask_folder(output):
        require_parent_directory(output, option="--output")
        return
    if not (stream_format or is_stream(output)) and path.suffix.lower() not in PREDICTION_SUFFIXES:
        raise typer.BadParameter(
            f"the file name must end in one of {', '.join(PREDICTION_SUFFIXES)}, got {output}.",
            param_hint="--output",
        )
    require_parent_directory(output, option="--output")


def command(
    run: RunArgument,
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="The file for the predictions: .csv, .parquet, .jsonl or .npz; - is standard output; for masks also a "
            "folder, such as masks/.",
        ),
    ],
    input_: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            "-i",
            metavar="PATH",
            help="New examples without targets, in the format of the run's data: a table, an image or text file, a "
            "folder of them, or arrays (.npz, .npy). - is standard input: a table as CSV or JSON Lines. Can be repeated "
            "for tables.",
        ),
    ] = None,
    part: Annotated[
        SplitName | None,
        typer.Option("--part", help="Predict a set of the run's data instead of new examples."),
    ] = None,
    keep: Annotated[
        list[str] | None,
        typer.Option(
            "--keep", metavar="COLUMN", help="Copy this column of the input to the output. Can be repeated."
        ),
    ] = None,
    stream_format: Annotated[
        StreamFormat | None,
        typer.Option(
            "--format", help="The format of the output. Default: from its name; csv for standard output."
        ),
    ] = None,
    batch_size: Annotated[
        int, typer.Option("--batch-size", min=1, metavar="N", help="Number of examples per batch.")
    ] = DEFAULT_PREDICTION_BATCH,
    json: JsonOption = False,
    trust: TrustOption = False,
) -> None:
    """Predict classes with probabilities, or numbers: one row for each example, in the order of the input.

    Data is read and written in batches. If no example has a prediction, the exit code is 1.
    """
    if (not input_) == (part is None):
        raise typer.BadParameter("give either --input or --part.", param_hint="--input")
    if part is not None and keep:
        raise typer.BadParameter(
            "it needs --input; the rows of --part have their targets.", param_hint="--keep"
        )
    if json and output == STANDARD_STREAM:
        raise typer.BadParameter(
            "with --json, name a file: both would use standard output.", param_hint="--output"
        )
    _validate_output(output, stream_format)
    stdout = sys.stdout
    with redirect_stdout_for_json(json or output == STANDARD_STREAM):
        if part is not None:
            result = predict_set(
                run,
                part,
                output,
                batch_size=batch_size,
                trust=trust,
                stream_format=stream_format,
                stdout=stdout,
            )
        else:
            result = predict_to_file(
                run,
                input_ or [],
                output,
                batch_size=batch_size,
                trust=trust,
                keep=keep or (),
                stream_format=stream_format,
                stdout=stdout,
            )
    if json:
        print_json(result)
    else:
        _print_result(result, output)
    if not result["ok"]:
        raise typer.Exit(ExitCode.INVALID_INPUT)


def _print_result(result: dict[str, Any], output: str) -> None:
    print_problems(make_console(error=True), list(map(Problem.from_json, result["problems"])))
    if not is_stream(output):
        count = result["examples"]
        title = "1 prediction" if count == 1 else f"{count:,} predictions"
        make_console().print(f"{title} in {sanitize_text(output)}.", soft_wrap=True)
