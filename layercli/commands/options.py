"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer


def _validate_overrides(options: list[str] | None) -> list[str] | None:
    """Refuse a ``--set`` that is no KEY=VALUE: the command line is wrong, not the config."""
    for option in options or ():
        if not option.partition("=")[0].strip() or "=" not in option:
            raise typer.BadParameter(f"{option!r} is not KEY=VALUE; write for example --set train.epochs=3.")
    return options


ConfigArgument = Annotated[
    str, typer.Argument(metavar="CONFIG", help="The config file; - reads standard input.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        callback=_validate_overrides,
        help="Change a value of the config, as in train.epochs=3 or model.layers.head.units=20; may be repeated.",
    ),
]
TrustOption = Annotated[
    bool,
    typer.Option(
        "--trust",
        help="Load the layers and the data function of your own that the config names; this runs their code.",
    ),
]
