"""Classes that are not Keras's, and what a person is told of a model beside its layers."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from pathlib import Path

from layercli.errors import Problem
from layercli.importing.keras_graph import KerasLayer
from layercli.source.nodes import sanitize_text


def make_class_resolver(folder: Path, *, trust: bool) -> Callable[[KerasLayer], str | None]:
    """How a config names a class that is not Keras's: its file beside the config, or a module that is installed."""

    def resolve_class(layer: KerasLayer) -> str | None:
        if not trust or not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", layer.module):
            return None
        module_path = Path(*layer.module.split(".")).with_suffix(".py")
        if (folder / module_path).is_file():
            return f"{module_path.as_posix()}:{layer.type}"
        try:
            module_spec = importlib.util.find_spec(layer.module)
        except (ImportError, ValueError):
            module_spec = None
        return None if module_spec is None else f"{layer.module}:{layer.type}"

    return resolve_class


def custom_module_problem(name: str) -> Problem:
    message = f"The model names the module {sanitize_text(name, limit=60)}, which is no part of Keras."
    return Problem(
        code="custom-class", message=message, hint="If you know its code, allow it with `--trust`."
    )


def not_imported_warning(setting: str) -> Problem:
    message = f"How the model was compiled is not all in the config: {setting.rstrip('.')}."
    return Problem(code="not-carried", message=message, hint="Write it under `train`.", severity="warning")


def not_compared_warning(reason: str) -> Problem:
    message = f"The model itself does not run here, so that its outputs were not compared: {reason}"
    hint = "Its layers, wiring, shapes and parameters were; compare outputs on a machine that runs it."
    return Problem(code="not-compared", message=message, hint=hint, severity="warning")


def with_file(path: Path, problem: Problem) -> Problem:
    return Problem(
        code=problem.code,
        message=problem.message,
        hint=problem.hint,
        severity=problem.severity,
        file=sanitize_text(str(path)),
    )
