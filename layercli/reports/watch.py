"""The state of a config that is being edited: its shapes, problems and totals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from layercli.check import CheckResult, ValidConfig
from layercli.errors import has_errors
from layercli.reports.formatting import format_count, format_short_count
from layercli.reports.model_shapes import inspection_json, print_inspection
from layercli.reports.problems import ALL_ADVICE, print_problems, problems_json
from layercli.source.nodes import sanitize_text

if TYPE_CHECKING:
    from rich.console import Console


def watch_json(result: CheckResult) -> dict[str, Any]:
    """Return the document of one change: that of ``inspect-shapes``, without a forward pass and without what is unknown."""
    valid = _with_shapes(result)
    shapes = inspection_json(valid, None) if valid is not None else {}
    return {
        "ok": not has_errors(result.problems),
        "file": result.file,
        **shapes,
        **problems_json(result.problems),
    }


def draw_result(console: Console, result: CheckResult) -> None:
    """Clear the terminal and draw the shapes, the problems and the totals."""
    console.clear()
    valid = _with_shapes(result)
    if valid is not None:
        print_inspection(console, valid, None)
    print_problems(console, result.problems, advice=ALL_ADVICE)
    console.print(f"{describe_result(result)} Watching for changes; Ctrl-C ends.")


def print_result(console: Console, result: CheckResult) -> None:
    """Print one line for a change, and its problems."""
    console.print(describe_result(result), soft_wrap=True)
    print_problems(console, result.problems, advice=ALL_ADVICE)


def describe_result(result: CheckResult) -> str:
    """Return the numbers of layers, parameters and problems as a sentence."""
    errors = sum(problem.severity == "error" for problem in result.problems)
    warnings = len(result.problems) - errors
    counts = [
        f"{number} {word}{'s' * (number != 1)}"
        for number, word in ((errors, "error"), (warnings, "warning"))
        if number
    ]
    valid = _with_shapes(result)
    shown = [", ".join(counts) or "no problems"]
    if valid is not None:
        shapes = valid.shapes
        trainable, fixed = shapes.trainable, shapes.non_trainable
        parameters = None if trainable is None or fixed is None else trainable + fixed
        count = len(shapes.rows)
        shown = [
            f"{count} layer{'s' * (count != 1)}",
            f"{format_count(parameters)} parameters",
            f"{format_short_count(shapes.flops)} FLOPs",
            *shown,
        ]
    return f"{sanitize_text(result.file)}: {', '.join(shown)}."


def _with_shapes(result: CheckResult) -> ValidConfig | None:
    """Return the config with its shapes, which may be unknown in part; None if it is malformed."""
    if result.config is None or result.shapes is None:
        return None
    return ValidConfig(result, result.config, result.shapes)
