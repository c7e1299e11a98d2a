"""``layercli inspect-shapes``: a row a layer, then one forward pass that must agree."""

from __future__ import annotations

from typing import Annotated

import typer

from layercli.check import ValidConfig, check_config, require_valid
from layercli.commands.options import ConfigArgument, JsonOption, SetOption, TrustOption
from layercli.errors import ExitCode, Problem, has_errors
from layercli.reports.console import make_console, print_json, redirect_stdout_for_json
from layercli.reports.layers import ForwardShapes, inspection_json, print_inspection
from layercli.reports.problems import print_problems, problems_json
from layercli.workflows.preflight import require_memory, require_trust


def command(
    config: ConfigArgument,
    static: Annotated[
        bool,
        typer.Option(
            "--static", help="Only what is known without running the model; TensorFlow is not loaded."
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
            valid, forward, found = check_forward_pass(valid, trust=trust)
        problems.extend(found)
    has_problems = has_errors(problems)
    if json:
        print_json({"ok": not has_problems, **inspection_json(valid, forward), **problems_json(problems)})
    else:
        print_inspection(make_console(), valid, forward)
        print_problems(make_console(error=True), problems)
        if forward is not None and not has_problems:
            make_console().print("Forward pass: every shape as declared, every value finite.")
    raise typer.Exit(ExitCode.INVALID_INPUT if has_problems else ExitCode.OK)


def check_forward_pass(
    valid: ValidConfig, *, trust: bool = False
) -> tuple[ValidConfig, ForwardShapes, list[Problem]]:
    """Run the model once: what is now known, each layer's actual output shapes, and what disagrees.

    Raises:
        LayercliError: the model cannot be built here.
    """
    require_trust(valid, trust=trust)
    require_memory(valid, copies=1)
    from layercli.engine.assemble import assemble_model, with_built_weights
    from layercli.engine.forward_pass import run_forward_pass

    assembled = assemble_model(valid)
    return with_built_weights(valid, assembled), *run_forward_pass(assembled, valid)
