"""Keras's own file, loaded in a fresh Python process that knows nothing of layercli."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from layercli.data.examples import Array
from layercli.engine.export.isolated_run import run_fresh
from layercli.engine.export.options import Inputs, Options

TOLERANCE = 1e-5


def write(model: Any, target: Path, options: Options) -> None:
    """Write the file: the run's own, with the optimizer's state in it, where the model came from one."""
    if options.source is not None:
        shutil.copyfile(options.source, target)
    else:
        model.save(target)


def run(target: Path, batches: list[Inputs], options: Options) -> list[list[Array]]:
    """What a fresh process gives for each batch."""
    return run_fresh("keras", target, batches, options.modules)
