"""``layercli inspect-shapes``: show the shapes of every layer and compare them with a forward pass."""

from __future__ import annotations

from typing import Annotated

import typer

from layercli.check import check_config, require_valid
from layercli.command_line.options import ConfigArgument, JsonOption, SetOption, TrustOption
from layercli.errors import ExitCode, has_errors
from layercli.reports.console import make_console, print_json, redirect_stdout_for_json
from layercli.reports.explanation import print_explanations
from layercli.reports.model_shapes import ForwardShapes, inspection_json, print_inspection
from layercli.reports.problems import print_problems, problems_json
from layercli.workflows.build import check_forward_pass


def command(
    config: ConfigArgument,
    static: Annotated[
        bool,
        typer.Option(
            "--static", help="Show only static shapes. The model is not run; TensorFlow is not loaded."
        ),
    ] = False,
    explain: Annotated[
        bool,
        typer.Option(
            "--explain",
            help="Show for each layer how its shape and its parameters follow from its arguments, as arithmetic.",
        ),
    ] = False,
    json: JsonOption = False,
    set_: SetOption = None,
    trust: TrustOption = False,
) -> None:
    """Show every layer's input, output, parameters and FLOPs; then run the model once and compare."""
    valid = require_valid(check_config(config, set_ or ()))
    problems = list(valid.check_result.problems)
    forward: ForwardShapes | None = None
    if not static:
        with redirect_stdout_for_json(json):
            valid, forward, forward_problems = check_forward_pass(valid, trust=trust)
        problems.extend(forward_problems)
    has_problems = has_errors(problems)
    if json:
        document = inspection_json(valid, forward, should_explain=explain)
        print_json({"ok": not has_problems, **document, **problems_json(problems)})
    else:
        print_inspection(make_console(), valid, forward)
        print_problems(make_console(error=True), problems)
        if forward is not None and not has_problems:
            make_console().print("Forward pass: every shape as declared, every value finite.")
        if explain:
            print_explanations(make_console(), valid.shapes)
    raise typer.Exit(ExitCode.INVALID_INPUT if has_problems else ExitCode.OK)
