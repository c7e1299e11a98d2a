"""``layercli import``: a config that rebuilds a Keras model, held against it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from layercli.commands.options import JsonOption, TrustOption
from layercli.reports.console import make_console, print_json, redirect_stdout_for_json
from layercli.reports.problems import print_problems
from layercli.workflows.import_model import import_model


def command(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="A .keras file, a run directory, or what model.to_json() gives."
        ),
    ],
    output: Annotated[str, typer.Option("--output", "-o", metavar="CONFIG", help="Write the config there.")],
    weights: Annotated[
        bool, typer.Option("--weights", help="Keep the weights beside the config, as NAME.weights.keras.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
    json: JsonOption = False,
    trust: TrustOption = False,
) -> None:
    """Write a config that rebuilds a Keras model; the rebuilt one is compared with it."""
    config = Path(output)
    weights_file = config.with_suffix(".weights.keras") if weights else None
    if config.suffix not in (".yaml", ".yml"):
        raise typer.BadParameter(f"{output}: a config's name ends in .yaml.")
    if not config.parent.is_dir():
        raise typer.BadParameter(f"there is no directory {config.parent}.")
    for path in (config, weights_file):
        if path is not None and path.exists() and not force:
            raise typer.BadParameter(f"{path} is there already; name another file, or allow it by --force.")
    with redirect_stdout_for_json(json):
        found = import_model(model, config, weights=weights_file, trust=trust)
    if json:
        print_json({"ok": True, **found.as_json()})
    else:
        print_problems(make_console(error=True), found.problems)
        for line in found.summary_lines():
            make_console().print(line, soft_wrap=not line.startswith("Rebuilt"))
