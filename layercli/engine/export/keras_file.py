"""Keras's own file, loaded in a fresh Python process that knows nothing of layercli."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from layercli.data.types import Array
from layercli.engine.export.isolated_run import run_isolated
from layercli.engine.export.options import ExportOptions, InputBatch

TOLERANCE = 1e-5


def write_model(model: Any, target: Path, options: ExportOptions) -> None:
    """Write the file: the run's own, with the optimizer's state in it, where the model came from one."""
    if options.source_file is not None:
        shutil.copyfile(options.source_file, target)
    else:
        model.save(target)


def run_model(target: Path, batches: list[InputBatch], options: ExportOptions) -> list[list[Array]]:
    """What a fresh process gives for each batch."""
    return run_isolated("keras", target, batches, options.code_files)
