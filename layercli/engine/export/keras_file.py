"""The Keras format, loaded in a new Python process without layercli."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from layercli.data.types import Array
from layercli.engine.export.isolated_run import run_isolated
from layercli.engine.export.options import ExportOptions, InputBatch

TOLERANCE = 1e-5


def write_model(model: Any, target: Path, options: ExportOptions) -> None:
    """Write the file: a copy of the run's file with the optimizer's state, or the saved model if there is no run."""
    if options.source_file is not None:
        shutil.copyfile(options.source_file, target)
    else:
        model.save(target)


def run_model(target: Path, batches: list[InputBatch], options: ExportOptions) -> list[list[Array]]:
    """Return the outputs of a new process for each batch."""
    return run_isolated("keras", target, batches, options.code_files)
