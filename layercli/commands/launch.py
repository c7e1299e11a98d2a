"""``layercli launch``: train one model with several local processes."""

from __future__ import annotations

from typing import Annotated

import typer

from layercli.command_line.options import JsonOption
from layercli.distribution.process_group import ProcessGroup
from layercli.errors import ExitCode


def command(
    arguments: Annotated[
        list[str],
        typer.Argument(
            metavar="-- train CONFIG", help="The command that each process runs. Only train is allowed."
        ),
    ],
    workers: Annotated[int, typer.Option("--workers", min=1, max=256, help="Number of processes.")],
    restarts: Annotated[
        int, typer.Option(min=0, max=1000, help="Maximum number of restarts after a process crashed.")
    ] = 3,
    json: JsonOption = False,
) -> None:
    """Train with several processes on this machine. After a crash, all resume from the last checkpoint."""
    if arguments[0] != "train":
        raise typer.BadParameter(
            f"the command must be train, as in layercli launch --workers 2 -- train CONFIG, got {arguments[0]!r}."
        )
    if json and "--json" not in arguments:
        arguments = [*arguments, "--json"]
    code = ProcessGroup(arguments, size=workers, restarts=restarts).run()
    if code != ExitCode.OK:
        raise typer.Exit(code)
