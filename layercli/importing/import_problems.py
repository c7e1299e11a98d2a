"""Problems and warnings of an import, and the names of custom classes."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from pathlib import Path

from layercli.errors import Problem
from layercli.importing.keras_graph import KerasLayer
from layercli.source.nodes import sanitize_text


def make_class_resolver(folder: Path, *, trust: bool) -> Callable[[KerasLayer], str | None]:
    """Return a function that maps a custom class to its `type` in a config: a file or an installed module.

    The function returns None if the module does not exist, or without ``trust``.
    """

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
    message = f"The model uses the module {sanitize_text(name, limit=60)}, which is not part of Keras."
    return Problem(code="custom-class", message=message, hint="If you trust its code, pass `--trust`.")


def not_imported_warning(setting: str) -> Problem:
    message = f"The config does not reproduce all of `compile`: {setting.rstrip('.')}."
    return Problem(code="not-carried", message=message, hint="Add it to `train`.", severity="warning")


def not_compared_warning(reason: str) -> Problem:
    message = f"Outputs were not compared because the original model does not run here: {reason}"
    hint = "Layers, wiring, shapes and parameters were compared; compare the outputs on a machine that can run the model."
    return Problem(code="not-compared", message=message, hint=hint, severity="warning")


def with_file(path: Path, problem: Problem) -> Problem:
    return Problem(
        code=problem.code,
        message=problem.message,
        hint=problem.hint,
        severity=problem.severity,
        file=sanitize_text(str(path)),
    )
