"""The picture of a model for ``build --plot``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from layercli.check import ValidConfig
from layercli.errors import LayercliError, Problem
from layercli.plot.render import PLOT_SUFFIXES, render_plot
from layercli.runs import directory as runs


class ThemeName(StrEnum):
    """What a picture is painted for."""

    LIGHT = "light"
    DARK = "dark"


def _validate_plot_path(path: str | None) -> str | None:
    """The value of ``--plot``, where a picture can be written under that name.

    Raises:
        BadParameter: it cannot.
    """
    if path is None:
        return None
    target = Path(path)
    if target.suffix not in PLOT_SUFFIXES:
        raise typer.BadParameter(
            f"{path}: pictures end in {', '.join(PLOT_SUFFIXES[:-1])} or {PLOT_SUFFIXES[-1]}."
        )
    if not target.parent.is_dir():
        raise typer.BadParameter(f"there is no directory {target.parent}.")
    return path


PlotOption = Annotated[
    str | None,
    typer.Option(
        "--plot",
        metavar="FILE",
        callback=_validate_plot_path,
        help="Draw the model as .svg, .png or Mermaid text (.mmd); alone, without loading TensorFlow.",
    ),
]
UnfoldOption = Annotated[bool, typer.Option("--unfold", help="Draw every layer inside blocks and repeats.")]
ThemeOption = Annotated[ThemeName, typer.Option("--theme", help="Draw for light or dark paper.")]


def write_plot(path: str, valid: ValidConfig, *, unfold: bool, theme: ThemeName) -> None:
    """Draw the model, with all that is known of its shapes.

    Raises:
        LayercliError: the file cannot be written.
    """
    target = Path(path)
    content = render_plot(
        valid.shapes, target.suffix, title=valid.check_result.name, unfold=unfold, theme=theme.value
    )
    try:
        with runs.stage_file(target) as staging:
            staging.write_bytes(content)
    except OSError as error:
        message = f"The picture cannot be written: {error.strerror or error}."
        raise LayercliError(Problem(code="cannot-write", message=message, file=path)) from None
