"""Draw a running training. Write it to docs/training-terminal.svg with ``python -m tests.training_picture``."""

from __future__ import annotations

import contextlib
import io
import re
import tempfile
from pathlib import Path

from rich.console import Console

from layercli.check import check_config, require_valid
from layercli.reports.training_progress import TrainingProgress
from layercli.workflows.train import train_new_run

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "training-terminal.svg"
CONFIG = ROOT / "configs" / "digits_cnn.yaml"
EPOCH, STEP = 14, 26
"""The step at which the picture is taken, from 1."""


class PictureProgress(TrainingProgress):
    """The progress of a terminal that prints the live display once, at one step of one epoch."""

    is_drawn = False

    def __enter__(self):
        return self

    def finish_step(self, epoch, step, logs):
        """Draw the live display below the lines that were printed so far."""
        super().finish_step(epoch, step, logs)
        if epoch == EPOCH and step >= STEP and not self.is_drawn:
            self.is_drawn = True
            self._console.print(self._screen)
            write_picture(self._console)


def write_picture(console: Console) -> None:
    """Write what the console printed as SVG, without fonts from the network."""
    svg = console.export_svg(title="layercli train configs/digits_cnn.yaml", unique_id="terminal")
    svg = re.sub(r"\s*@font-face \{.*?\}", "", svg, flags=re.DOTALL)
    PICTURE.write_text(svg.replace("Fira Code, monospace", "monospace"), encoding="utf-8")


def main() -> None:
    """Train the example and write the picture."""
    console = Console(
        file=io.StringIO(),
        record=True,
        force_terminal=True,
        width=84,
        height=30,
        color_system="truecolor",
        markup=False,
        highlight=False,
        emoji=False,
    )
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        train_new_run(require_valid(check_config(str(CONFIG))), progress=PictureProgress(console, live=True))


if __name__ == "__main__":
    main()
