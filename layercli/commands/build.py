"""``layercli build``: the Keras model and its summary."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from layercli.check import ValidConfig, check_config, require_valid
from layercli.commands.options import ConfigArgument, JsonOption, SetOption, TrustOption
from layercli.errors import LayercliError, Problem
from layercli.reports.console import make_console, print_json, redirect_stdout_for_json
from layercli.reports.layers import print_model_summary
from layercli.reports.problems import print_problems
from layercli.runs import directory as runs
from layercli.workflows.initial_weights import describe_transfer, load_initial_weights
from layercli.workflows.plot import PlotOption, ThemeName, ThemeOption, UnfoldOption, write_plot
from layercli.workflows.preflight import require_memory, require_trust

if TYPE_CHECKING:
    from layercli.engine.transfer_weights import WeightTransfer


def _validate_output(output: str | None) -> str | None:
    """The value of ``--output``, where a model can be saved under that name.

    Raises:
        BadParameter: it cannot.
    """
    if output is None:
        return None
    target = Path(output)
    if target.suffix != ".keras":
        raise typer.BadParameter(f"{output}: Keras saves models as files that end in .keras.")
    if not target.parent.is_dir():
        raise typer.BadParameter(f"there is no directory {target.parent}.")
    return output


def command(
    config: ConfigArgument,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            callback=_validate_output,
            help="Save the model there, as a .keras file.",
        ),
    ] = None,
    plot: PlotOption = None,
    unfold: UnfoldOption = False,
    theme: ThemeOption = ThemeName.LIGHT,
    json: JsonOption = False,
    set_: SetOption = None,
    trust: TrustOption = False,
) -> None:
    """Build the Keras model and show its summary; save it with --output, draw it with --plot."""
    target = None if output is None else Path(output)
    valid = require_valid(check_config(config, set_ or ()))
    if plot is not None and target is None:
        write_plot(plot, valid, unfold=unfold, theme=theme)
        if json:
            print_json({"ok": True, **build_json(valid), "output": None, "plot": plot})
        else:
            print_problems(make_console(error=True), valid.check_result.problems)
            make_console().print(f"Drew {plot}.", soft_wrap=True)
        return
    with redirect_stdout_for_json(json):
        built = build_model(valid, trust=trust, should_be_savable=target is not None)
        if target is not None:
            save_model(built.model, target)
    valid = built.valid
    if plot is not None:
        write_plot(plot, valid, unfold=unfold, theme=theme)
    if json:
        drawn = {} if plot is None else {"plot": plot}
        weights = {} if built.transfer is None else {"weights": built.transfer.as_json()}
        print_json({"ok": True, **build_json(valid), "output": output, **drawn, **weights})
        return
    print_problems(make_console(error=True), valid.check_result.problems)
    out = make_console()
    out.print(f"{valid.check_result.name}: {len(valid.graph.nodes)} layers")
    batch_size = valid.config.train.batch_size if valid.config.train else 32
    print_model_summary(out, valid, batch_size)
    for line in describe_transfer(built.transfer, valid) if built.transfer is not None else ():
        out.print(line, soft_wrap=True)
    if target is not None:
        out.print(f"Saved to {target}.", soft_wrap=True)
    if plot is not None:
        out.print(f"Drew {plot}.", soft_wrap=True)


class BuiltModel(NamedTuple):
    """A Keras model, its config with all that is now known, and what weights it took from elsewhere."""

    model: Any
    valid: ValidConfig
    transfer: WeightTransfer | None


def build_model(valid: ValidConfig, *, trust: bool = False, should_be_savable: bool = False) -> BuiltModel:
    """The Keras model of a config, weights drawn from its seed or taken from where it says.

    Raises:
        LayercliError: the user's code is not trusted, the machine is too small, Keras refuses a layer, or one
            that must be ``savable`` is not.
    """
    require_trust(valid, trust=trust)
    require_memory(valid, copies=1)
    from layercli.engine.assemble import (
        assemble_model,
        check_output_shapes,
        require_savable,
        with_built_weights,
    )

    assembled = assemble_model(valid)
    if problems := check_output_shapes(assembled, valid):
        raise LayercliError(problems)
    if should_be_savable:
        require_savable(assembled, valid)
    return BuiltModel(
        assembled.model, with_built_weights(valid, assembled), load_initial_weights(assembled, valid)
    )


def save_model(model: Any, target: Path) -> None:
    """Save the model, all of it or nothing.

    Raises:
        LayercliError: it cannot be written there.
    """
    try:
        with runs.stage_file(target) as staging:
            model.save(staging)
    except OSError as error:
        message = f"The model cannot be written: {error.strerror or error}."
        raise LayercliError(Problem(code="cannot-write", message=message, file=str(target))) from None


def build_json(valid: ValidConfig) -> dict[str, Any]:
    """The counts that ``build --json`` prints."""
    shapes = valid.shapes
    return {
        "model": valid.check_result.name,
        "layers": len(valid.graph.nodes),
        "trainable": shapes.trainable,
        "non_trainable": shapes.non_trainable,
        "flops": shapes.flops,
    }
