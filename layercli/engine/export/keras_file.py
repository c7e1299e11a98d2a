"""The Keras format, loaded in a new Python process without layercli."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from layercli.data.types import Array
from layercli.engine.export.isolated_run import run_isolated
from layercli.engine.export.options import ExportOptions, InputBatch

TOLERANCE = 1e-5


def write_model(model: Any, output_path: Path, options: ExportOptions) -> None:
    """Save the model, with the state of its optimizer if it is compiled."""
    del options
    model.save(output_path)


def run_model(output_path: Path, batches: list[InputBatch], options: ExportOptions) -> list[list[Array]]:
    """Return the outputs of a new process for each batch."""
    return run_isolated("keras", output_path, batches, options.code_files)
