"""Classes that are not Keras's, and what a person is told of a model beside its layers."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from pathlib import Path

from layercli.errors import Problem
from layercli.importing.keras_graph import Described
from layercli.source.nodes import sanitize_text


def custom_classes(folder: Path, *, trust: bool) -> Callable[[Described], str | None]:
    """How a config names a class that is not Keras's: its file beside the config, or a module that is installed."""

    def named(layer: Described) -> str | None:
        if not trust or not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", layer.module):
            return None
        place = Path(*layer.module.split(".")).with_suffix(".py")
        if (folder / place).is_file():
            return f"{place.as_posix()}:{layer.type}"
        try:
            found = importlib.util.find_spec(layer.module)
        except (ImportError, ValueError):
            found = None
        return None if found is None else f"{layer.module}:{layer.type}"

    return named


def foreign(name: str) -> Problem:
    message = f"The model names the module {sanitize_text(name, limit=60)}, which is no part of Keras."
    return Problem(
        code="custom-class", message=message, hint="If you know its code, allow it with `--trust`."
    )


def not_carried(what: str) -> Problem:
    message = f"How the model was compiled is not all in the config: {what.rstrip('.')}."
    return Problem(code="not-carried", message=message, hint="Write it under `train`.", severity="warning")


def not_run(reason: str) -> Problem:
    message = f"The model itself does not run here, so that its outputs were not compared: {reason}"
    hint = "Its layers, wiring, shapes and parameters were; compare outputs on a machine that runs it."
    return Problem(code="not-compared", message=message, hint=hint, severity="warning")


def in_file(path: Path, problem: Problem) -> Problem:
    return Problem(code=problem.code, message=problem.message, hint=problem.hint, severity=problem.severity,
                   file=sanitize_text(str(path)))  # fmt: skip
