"""Take the picture of a report. Write it to docs/report.png with ``python -m tests.report_picture``."""

from __future__ import annotations

import tempfile
from pathlib import Path

from PIL import Image

from tests.browser import take_picture
from tests.running import CONFIGS, invoke

PICTURE = Path(__file__).parents[1] / "docs" / "report.png"
_WIDTH, _HEIGHT = 1000, 1500


def main() -> None:
    """Train the CNN on digits, and take a picture of the top of its report."""
    import os

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.chdir(folder)
        for arguments in (["train", CONFIGS / "digits_cnn.yaml"], ["report", "runs/digits-cnn/1"]):
            result = invoke(*arguments)
            assert result.exit_code == 0, result.output
        take_picture(folder / "report.html", folder / "page.png", folder, width=_WIDTH, height=_HEIGHT)
        Image.open(folder / "page.png").convert("RGB").quantize(64).save(PICTURE, optimize=True)


if __name__ == "__main__":
    main()
