"""``layercli launch``: a group of local processes that train one model."""

from __future__ import annotations

from typing import Annotated

import typer

from layercli.distribution.process_group import ProcessGroup
from layercli.errors import ExitCode


def command(
    arguments: Annotated[
        list[str],
        typer.Argument(metavar="-- train CONFIG ...", help="The command that each of them runs: train."),
    ],
    workers: Annotated[int, typer.Option("--workers", min=1, max=256, help="How many processes.")],
    restarts: Annotated[
        int, typer.Option(min=0, max=1000, help="How often the group begins again after one has died.")
    ] = 3,
) -> None:
    """Train with several processes on this machine; when one dies, all go on from the last checkpoint."""
    if arguments[0] != "train":
        raise typer.BadParameter(
            f"it launches `train`, not {arguments[0]!r}: layercli launch --workers 2 -- train CONFIG."
        )
    code = ProcessGroup(arguments, size=workers, restarts=restarts).run()
    if code != ExitCode.OK:
        raise typer.Exit(code)
