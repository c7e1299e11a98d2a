"""Predict new examples with the model of a finished run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from layercli.errors import LayercliError, Problem, make_file_error
from layercli.io.atomic import stage_file
from layercli.workflows.finished_run import FinishedRun

DEFAULT_BATCH_SIZE = 128
PREDICTION_SUFFIXES = (".csv", ".parquet", ".pq", ".jsonl", ".ndjson", ".npz")
"""The keys of ``layercli.data.predictions.PREDICTION_WRITERS``, repeated here because that module imports numpy."""


def is_mask_folder(output: str) -> bool:
    """Return whether an output is a folder, for a mask for each image."""
    return output.endswith("/") or Path(output).is_dir()


def predict_to_file(
    run: str, inputs: list[str], output: str, *, batch_size: int = DEFAULT_BATCH_SIZE, trust: bool = False
) -> dict[str, Any]:
    """Write predictions for the examples at ``inputs``. ``output`` is a file, which is written completely or not at
    all, or a folder of masks.

    Raises:
        LayercliError: The run is not finished, its code is not trusted, or the examples do not fit the model.
    """
    finished_run = FinishedRun.open(run, trust=trust)
    dataset, _ = finished_run.read_new_examples(inputs, has_targets=False)
    if not len(dataset):
        raise make_file_error(inputs[0], "unreadable-data", "The input contains no examples.")
    from layercli.data.predictions import PREDICTION_WRITERS
    from layercli.data.types import DataError
    from layercli.engine.load_model import load_model
    from layercli.engine.predict import predict_columns

    model = load_model(finished_run.path, finished_run.valid)
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
        if is_mask_folder(output):
            from layercli.formats.images.mask_files import write_masks

            rows = write_masks(target, chunks, inputs, finished_run.load_reader_state().class_names_of(None))
        else:
            with stage_file(target) as staging:
                rows = PREDICTION_WRITERS[target.suffix.lower()](staging, chunks)
    except DataError as error:
        raise LayercliError(
            Problem(code=finding.code, message=finding.message, hint=finding.hint, file=inputs[0])
            for finding in error.findings
        ) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise make_file_error(
            output, "cannot-write", f"The predictions cannot be written: {reason}."
        ) from None
    return {"ok": True, "run": str(finished_run.path), "examples": rows, "output": output, "problems": []}
