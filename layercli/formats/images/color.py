"""The decision whether an image has colors, without numpy."""

from __future__ import annotations

from typing import Any, Final

_GRAY_MODES: Final = ("1", "L", "LA", "La", "I", "F", "I;16", "I;16B", "I;16L", "I;16N")


def has_color(image: Any) -> bool:
    """Return whether an image that Pillow opened has colors; palettes other than gray scales count as colors."""
    return image.mode not in _GRAY_MODES
