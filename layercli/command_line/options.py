"""Options and checks that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from layercli.runs import directory as runs


def require_parent_directory(path: str, *, option: str | None = None) -> None:
    """Check that the directory of an output path exists.

    Raises:
        BadParameter: The directory does not exist.
    """
    parent = Path(path).parent
    if not parent.is_dir():
        raise typer.BadParameter(f"directory {parent} does not exist.", param_hint=option)


def _validate_overrides(options: list[str] | None) -> list[str] | None:
    """Check the form KEY=VALUE of ``--set``.

    Raises:
        BadParameter: A value has a different form. This is a usage error, not a config error.
    """
    for option in options or ():
        if not option.partition("=")[0].strip() or "=" not in option:
            raise typer.BadParameter(f"expected KEY=VALUE, such as --set train.epochs=3, got {option!r}.")
    return options


ConfigArgument = Annotated[
    str, typer.Argument(metavar="CONFIG", help="The config file; - reads standard input.")
]
RunArgument = Annotated[
    str, typer.Argument(metavar="RUN", help="The directory of a finished run; `layercli runs` lists runs.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document to standard output.")]
ForceOption = Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        callback=_validate_overrides,
        help="Change a config value, such as train.epochs=3 or model.layers.head.units=20. Can be repeated.",
    ),
]
TrustOption = Annotated[
    bool,
    typer.Option(
        "--trust",
        help="Load the custom layers, losses and other custom code that the config names. This runs it.",
    ),
]


def find_config(name: str) -> str:
    """Return the config of a run directory, otherwise the name itself.

    Raises:
        LayercliError: The run contains a link or a special file, or its config was modified after training.
    """
    config = Path(name) / runs.CONFIG
    try:
        if not config.is_file():
            return name
    except (OSError, ValueError):  # an invalid file name; reading it reports the error
        return name
    if (Path(name) / runs.MANIFEST).exists():
        from layercli.runs.manifest import open_verified
        from layercli.runs.open_run import require_own_config

        require_own_config(Path(name))
        open_verified(Path(name), runs.CONFIG).close()
    return str(config)
