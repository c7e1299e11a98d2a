"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

ConfigArgument = Annotated[str, typer.Argument(metavar="CONFIG", help="The config file; - reads standard input.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change a value of the config, as in train.epochs=3 or model.layers.head.units=20; may be repeated.",
    ),
]
TrustOption = Annotated[
    bool, typer.Option("--trust", help="Load the layers of your own that the config names; this runs their code.")
]
