"""``layercli predict``: write the predictions of a run's model for new examples."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from layercli.commands.options import JsonOption, TrustOption, require_parent_directory
from layercli.reports.console import make_console, print_json, redirect_stdout_for_json
from layercli.source.nodes import sanitize_text
from layercli.workflows.predict import (
    DEFAULT_BATCH_SIZE,
    PREDICTION_SUFFIXES,
    is_mask_folder,
    predict_to_file,
)


def _validate_output(output: str) -> str:
    """Check the value of ``--output``.

    Raises:
        BadParameter: The suffix is not supported, or the directory does not exist.
    """
    if is_mask_folder(output):
        require_parent_directory(output)
        return output
    if Path(output).suffix.lower() not in PREDICTION_SUFFIXES:
        raise typer.BadParameter(
            f"the file name must end in one of {', '.join(PREDICTION_SUFFIXES)}, got {output}."
        )
    require_parent_directory(output)
    return output


def command(
    run: Annotated[str, typer.Argument(metavar="RUN", help="The directory of a finished run.")],
    input_: Annotated[
        list[str],
        typer.Option(
            "--input",
            "-i",
            metavar="PATH",
            help="New examples without targets, in the format of the run's data: a table, an image or text file, a "
            "folder of them, or arrays (.npz, .npy). Can be repeated for tables.",
        ),
    ],
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            callback=_validate_output,
            help="The file for the predictions: .csv, .parquet, .jsonl or .npz; for masks also a folder, such as masks/.",
        ),
    ],
    batch_size: Annotated[
        int, typer.Option("--batch-size", min=1, metavar="N", help="Number of examples per batch.")
    ] = DEFAULT_BATCH_SIZE,
    json: JsonOption = False,
    trust: TrustOption = False,
) -> None:
    """Predict classes with probabilities, or numbers, for new examples. Data is read and written in batches."""
    with redirect_stdout_for_json(json):
        result = predict_to_file(run, input_, output, batch_size=batch_size, trust=trust)
    if json:
        print_json(result)
    else:
        make_console().print(
            f"{result['examples']:,} predictions in {sanitize_text(output)}.", soft_wrap=True
        )
