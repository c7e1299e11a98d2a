"""Problems and warnings of an import."""

from __future__ import annotations

from pathlib import Path

from layercli.errors import Problem
from layercli.source.nodes import sanitize_text


def custom_module_problem(name: str) -> Problem:
    message = f"The model uses the module {sanitize_text(name, limit=60)}, which is not part of Keras."
    return Problem(code="custom-class", message=message, hint="If you trust its code, pass `--trust`.")


def not_imported_warning(setting: str) -> Problem:
    message = f"The config does not reproduce all of `compile`: {setting.rstrip('.')}."
    return Problem(code="not-carried", message=message, hint="Add it to `train`.", severity="warning")


def not_compared_warning(reason: str, *, is_rebuilt: bool) -> Problem:
    message = f"Outputs were not compared because {reason}"
    compared = "Layers, wiring, shapes and parameters were compared; compare" if is_rebuilt else "Compare"
    hint = f"{compared} the outputs on a machine that can run the model."
    return Problem(code="not-compared", message=message, hint=hint, severity="warning")


def with_file(path: Path, problem: Problem) -> Problem:
    return Problem(
        code=problem.code,
        message=problem.message,
        hint=problem.hint,
        severity=problem.severity,
        file=sanitize_text(str(path)),
    )
