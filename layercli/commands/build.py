"""``layercli build``: build a Keras model, and save or draw it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from layercli.check import ValidConfig, check_config, require_valid
from layercli.command_line.options import (
    JsonOption,
    SetOption,
    TrustOption,
    find_config,
    require_parent_directory,
)
from layercli.plot.render import PLOT_SUFFIXES
from layercli.reports.console import make_console, print_json, redirect_stdout_for_json
from layercli.reports.model_shapes import print_model_summary
from layercli.reports.problems import ALL_ADVICE, print_problems, problems_json
from layercli.workflows.build import BuiltModel, build_model, require_vocabularies, save_model
from layercli.workflows.initial_weights import describe_transfer
from layercli.workflows.plot import ThemeName, write_plot

if TYPE_CHECKING:
    from rich.console import Console


def _validate_output(output: str | None) -> str | None:
    """Check the value of ``--output``.

    Raises:
        BadParameter: The suffix is not .keras, or the directory does not exist.
    """
    if output is None:
        return None
    if Path(output).suffix != ".keras":
        raise typer.BadParameter(f"the file name must end in .keras, got {output}.")
    require_parent_directory(output)
    return output


def _validate_plot_path(path: str | None) -> str | None:
    """Check the value of ``--plot``.

    Raises:
        BadParameter: The suffix is not a picture format, or the directory does not exist.
    """
    if path is None:
        return None
    if Path(path).suffix not in PLOT_SUFFIXES:
        choices = f"{', '.join(PLOT_SUFFIXES[:-1])} or {PLOT_SUFFIXES[-1]}"
        raise typer.BadParameter(f"the file name must end in {choices}, got {path}.")
    require_parent_directory(path)
    return path


def command(
    config: Annotated[
        str,
        typer.Argument(metavar="CONFIG", help="The config file, or a run directory; - reads standard input."),
    ],
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            callback=_validate_output,
            help="Save the model to this .keras file.",
        ),
    ] = None,
    plot: Annotated[
        str | None,
        typer.Option(
            "--plot",
            metavar="FILE",
            callback=_validate_plot_path,
            help="Draw the model as .svg, .png or Mermaid text (.mmd). Without --output, TensorFlow is not loaded.",
        ),
    ] = None,
    unfold: Annotated[
        bool, typer.Option("--unfold", help="Draw every layer inside blocks and repeats.")
    ] = False,
    theme: Annotated[
        ThemeName, typer.Option("--theme", help="Draw for a light or dark background.")
    ] = ThemeName.LIGHT,
    json: JsonOption = False,
    set_: SetOption = None,
    trust: TrustOption = False,
) -> None:
    """Build the Keras model and show a summary. Save it with --output, draw it with --plot."""
    target = None if output is None else Path(output)
    valid = require_valid(check_config(find_config(config), set_ or ()))
    if plot is not None and target is None:
        write_plot(plot, valid, unfold=unfold, theme=theme)
        if json:
            print_json({"ok": True, **_build_json(valid), "output": None, "plot": plot})
        else:
            print_problems(make_console(error=True), valid.check_result.problems, advice=ALL_ADVICE)
            make_console().print(f"Drew {plot}.", soft_wrap=True)
        return
    with redirect_stdout_for_json(json):
        built = build_model(valid, trust=trust, should_be_savable=target is not None)
        if target is not None:
            require_vocabularies(built)
            save_model(built.model, target)
    if plot is not None:
        write_plot(plot, built.valid, unfold=unfold, theme=theme)
    if json:
        plot_entry = {} if plot is None else {"plot": plot}
        weights_entry = {} if built.transfer is None else {"weights": built.transfer.as_json()}
        print_json({"ok": True, **_build_json(built.valid), "output": output, **plot_entry, **weights_entry})
        return
    print_problems(make_console(error=True), built.valid.check_result.problems, advice=ALL_ADVICE)
    out = make_console()
    _print_model(out, built)
    if target is not None:
        out.print(f"Saved to {target}.", soft_wrap=True)
    if plot is not None:
        out.print(f"Drew {plot}.", soft_wrap=True)


def _print_model(out: Console, built: BuiltModel) -> None:
    valid = built.valid
    out.print(f"{valid.check_result.name}: {len(valid.graph.nodes)} layers")
    print_model_summary(out, valid, valid.config.train.batch_size if valid.config.train else 32)
    for line in describe_transfer(built.transfer, valid) if built.transfer is not None else ():
        out.print(line, soft_wrap=True)


def _build_json(valid: ValidConfig) -> dict[str, Any]:
    """Return the counts of ``build --json``."""
    shapes = valid.shapes
    return {
        "model": valid.check_result.name,
        "layers": len(valid.graph.nodes),
        "trainable": shapes.trainable,
        "non_trainable": shapes.non_trainable,
        "flops": shapes.flops,
        **problems_json(valid.check_result.problems),
    }
