"""Draw a model for ``build --plot``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from layercli.check import ValidConfig
from layercli.errors import make_file_error
from layercli.io.atomic import report_write_errors, write_bytes
from layercli.plot.layout import PictureTooLargeError
from layercli.plot.render import render_plot


class ThemeName(StrEnum):
    """The background that a picture is drawn for."""

    LIGHT = "light"
    DARK = "dark"


def write_plot(path: str, valid: ValidConfig, *, unfold: bool, theme: ThemeName) -> None:
    """Draw the model with its shapes, in the format of the file suffix.

    Raises:
        LayercliError: The file cannot be written.
    """
    target = Path(path)
    try:
        content = render_plot(
            valid.shapes, target.suffix, title=valid.check_result.name, unfold=unfold, theme=theme.value
        )
    except PictureTooLargeError:
        message = "The model has too many layers and connections for a picture."
        hint = "Write Mermaid text: `--plot model.mmd`. Without `--unfold`, blocks are drawn as one box."
        raise make_file_error(path, "out-of-range", message, hint) from None
    with report_write_errors("The picture", path):
        write_bytes(target, content)
