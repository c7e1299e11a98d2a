"""The names of masks: that of their image, or that with a word such as ``mask``. They are compared without numpy."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

_MASK_WORD: Final = (
    "masks?|segmentation|seg|labels?|labelids|annotations?|trimap|matte|gt|gtfine_labelids|groundtruth"
)
_MASK_NAME: Final = re.compile(
    rf"(?P<before>.+?)[ _.-]+(?:{_MASK_WORD}|l)|(?:{_MASK_WORD})[ _.-]+(?P<after>.+)", re.IGNORECASE
)
_IMAGE_NAME: Final = re.compile(
    r"(?P<before>.+?)[ _.-]+(?:image|img|rgb|sat|leftimg8bit)|(?:image|img)[ _.-]+(?P<after>.+)",
    re.IGNORECASE,
)


def strip_mask_word(path: Path) -> Path | None:
    """Return a path without suffix, and without the word for masks in its name; None if it has none: ``x_mask`` -> ``x``."""
    return _strip_word(path, _MASK_NAME)


def strip_image_word(path: Path) -> Path | None:
    """Return a path without suffix, and without the word for images in its name; None if it has none: ``x_rgb`` -> ``x``."""
    return _strip_word(path, _IMAGE_NAME)


def _strip_word(path: Path, pattern: re.Pattern[str]) -> Path | None:
    match = pattern.fullmatch(path.name)
    return None if match is None else path.with_name(match["before"] or match["after"])


def without_masks(files: Sequence[Path]) -> list[Path]:
    """Return the files of a folder that are not the mask of another, such as ``x_mask.png`` of ``x.jpg``."""
    paths = [file.with_suffix("") for file in files]
    images = {strip_image_word(path) or path for path in paths if strip_mask_word(path) is None}
    return [file for file, path in zip(files, paths, strict=True) if strip_mask_word(path) not in images]
