"""``layercli import``: write a config that rebuilds a Keras model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from layercli.command_line.options import ForceOption, JsonOption, TrustOption, require_parent_directory
from layercli.reports.console import make_console, print_json, redirect_stdout_for_json
from layercli.reports.problems import print_problems
from layercli.workflows.import_model import import_model


def command(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="A .keras file, a run directory, or the output of model.to_json()."
        ),
    ],
    output: Annotated[str, typer.Option("--output", "-o", metavar="CONFIG", help="The config to write.")],
    weights: Annotated[
        bool, typer.Option("--weights", help="Save the weights next to the config, as NAME.weights.keras.")
    ] = False,
    force: ForceOption = False,
    json: JsonOption = False,
    trust: TrustOption = False,
) -> None:
    """Write a config that rebuilds a Keras model, and compare the rebuilt model with the original."""
    config = Path(output)
    weights_file = config.with_suffix(".weights.keras") if weights else None
    if config.suffix not in (".yaml", ".yml"):
        raise typer.BadParameter(f"the file name of a config must end in .yaml, got {output}.")
    require_parent_directory(output)
    for path in (config, weights_file):
        if path is not None and path.exists() and not force:
            raise typer.BadParameter(
                f"{path} already exists; name a different file, or pass --force to overwrite it."
            )
    with redirect_stdout_for_json(json):
        imported = import_model(model, config, weights=weights_file, trust=trust)
    if json:
        print_json({"ok": True, **imported.as_json()})
    else:
        print_problems(make_console(error=True), imported.problems)
        for line in imported.summary_lines():
            make_console().print(line, soft_wrap=not line.startswith("Rebuilt"))
