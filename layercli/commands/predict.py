"""``layercli predict``: what a run's model says of new examples, into a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from layercli.commands.options import JsonOption, TrustOption
from layercli.errors import LayercliError, Problem
from layercli.reports.console import make_console, redirect_stdout_for_json, print_json
from layercli.runs.directory import stage_file
from layercli.source.nodes import sanitize_text
from layercli.workflows.finished_run import FinishedRun

_DEFAULT_BATCH_SIZE = 128


def _validate_output(output: str) -> str:
    """The value of ``--output``, where predictions can be written under that name.

    Raises:
        BadParameter: they cannot.
    """
    target = Path(output)
    if target.suffix.lower() not in PREDICTION_SUFFIXES:
        raise typer.BadParameter(f"{output}: the file must end in one of {', '.join(PREDICTION_SUFFIXES)}.")
    if not target.parent.is_dir():
        raise typer.BadParameter(f"there is no directory {target.parent}.")
    return output


PREDICTION_SUFFIXES = (".csv", ".parquet", ".pq", ".jsonl", ".ndjson", ".npz")
"""As in layercli/data/writing.py, which is not loaded for them."""


def command(
    run: Annotated[str, typer.Argument(metavar="RUN", help="The directory of a finished run.")],
    input_: Annotated[
        list[str],
        typer.Option(
            "--input",
            "-i",
            metavar="PATH",
            help="New examples of the kind that the run read, without targets: a table, a folder of images or texts, "
            "or one of them; or arrays (.npz, .npy). Several tables may be named.",
        ),
    ],
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            callback=_validate_output,
            help="Where predictions are written: .csv, .parquet, .jsonl or .npz.",
        ),
    ],
    batch_size: Annotated[
        int, typer.Option("--batch-size", min=1, metavar="N", help="Examples that the model takes at once.")
    ] = _DEFAULT_BATCH_SIZE,
    json: JsonOption = False,
    trust: TrustOption = False,
) -> None:
    """Predict: classes and their probabilities, or numbers, for new examples. They are read and written as they come."""
    with redirect_stdout_for_json(json):
        found = predict_to_file(run, input_, output, batch_size=batch_size, trust=trust)
    if json:
        print_json(found)
    else:
        make_console().print(f"{found['examples']:,} predictions in {sanitize_text(output)}.", soft_wrap=True)


def predict_to_file(
    run: str, inputs: list[str], output: str, *, batch_size: int = _DEFAULT_BATCH_SIZE, trust: bool = False
) -> dict[str, Any]:
    """Write what a run's model says of the examples at ``inputs``; ``output`` appears when all is written.

    Raises:
        LayercliError: it is no finished run, its code is not trusted, or the examples do not fit.
    """
    finished_run = FinishedRun.open(run, trust=trust)
    dataset = finished_run.read_new_examples(inputs, targets=False)
    if not len(dataset):
        raise LayercliError(Problem(code="unreadable-data", message="There are no examples.", file=inputs[0]))
    from layercli.data.examples import DataError
    from layercli.data.predictions import PREDICTION_WRITERS
    from layercli.engine.load_model import load_model
    from layercli.engine.predict import predict_columns

    model = load_model(finished_run.model_file, finished_run.valid)
    target = Path(output)
    chunks = predict_columns(
        model,
        finished_run.valid,
        dataset,
        finished_run.load_reader_state(),
        finished_run.list_example_files(inputs),
        batch_size,
    )
    try:
        with stage_file(target) as staging:
            rows = PREDICTION_WRITERS[target.suffix.lower()](staging, chunks)
    except DataError as error:
        raise LayercliError(
            Problem(code=found.code, message=found.message, hint=found.hint, file=inputs[0])
            for found in error.findings
        ) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        message = f"The predictions cannot be written: {reason}."
        raise LayercliError(Problem(code="cannot-write", message=message, file=output)) from None
    return {"ok": True, "run": str(finished_run.path), "examples": rows, "output": output, "problems": []}
