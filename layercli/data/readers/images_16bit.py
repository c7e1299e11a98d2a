"""Images with more than 8 bits a value, of which every bit is kept."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from layercli.data.examples import Array
from layercli.runtime import native_output_held

_GREY = ("I;16", "I;16B", "I;16L", "I", "F")
"""Modes of Pillow in which it keeps all bits."""
_COLOURS = ("RGB", "RGBA", "LA")
_LUMINANCE = np.array([0.299, 0.587, 0.114], dtype=np.float32)
"""How much of each colour is in grey, as Pillow has it."""
_OPAQUE = 65535
_lock = Lock()


def is_deep(image: Any) -> bool:
    """Whether an image that Pillow has opened has more than 8 bits a value.

    Raises:
        ValueError: it has, and they cannot be read.
    """
    if image.mode in _GREY:
        return True
    if (
        image.mode not in _COLOURS or image.format == "BMP" or ";16" not in _stored(image)
    ):  # of BMP 16 are all colours'
        return False
    if image.format != "PNG":
        raise ValueError(f"colours of 16 bits are read of PNG alone, and this is {image.format}")
    return True


def deep_pixels(file: Path, image: Any, channels: int | None, size: Sequence[int] | None) -> Array:
    """The pixels of a deep image, scaled to (height, width): float32 of shape (height, width, channels).

    Raises:
        ValueError: the file is damaged.
    """
    if image.mode in _GREY:
        pixels = np.asarray(image, dtype=np.float32)[..., np.newaxis]
    else:
        pixels = _decoded(file).astype(np.float32)
        if _stored(image).startswith("LA"):
            pixels = pixels[..., [0, 3]]  # grey, and opacity
    grey = pixels.shape[2] < 3
    channels = channels or (1 if grey else 3)
    colours = pixels[..., :1] if grey else pixels[..., :3]
    if channels == 1 and not grey:
        colours = colours @ _LUMINANCE[:, np.newaxis]
    if channels < 4:
        colours = _scaled(colours, size)
        return np.repeat(colours, channels // colours.shape[2], axis=2)
    if pixels.shape[2] == 1:
        colours = _scaled(colours, size)
        opacity = np.full_like(colours, _OPAQUE)
    elif size is None:
        opacity = pixels[..., -1:]
    else:  # a colour counts as much as it is opaque, as in Pillow
        opacity = _scaled(pixels[..., -1:], size)
        shown = _scaled(colours * pixels[..., -1:], size)
        colours = np.divide(shown, opacity, out=np.zeros_like(shown), where=opacity > 0)
    return np.concatenate([np.repeat(colours, 3 // colours.shape[2], axis=2), opacity], axis=2)


def _stored(image: Any) -> str:
    """How the values stand in the file, in Pillow's words."""
    how = image.tile[0][3] if image.tile else ""
    return str(how[0] if isinstance(how, tuple) and how else how)


def _scaled(pixels: Array, size: Sequence[int] | None) -> Array:
    """Each channel scaled to (height, width)."""
    if size is None:
        return pixels
    from PIL import Image

    planes = (Image.fromarray(np.ascontiguousarray(plane)) for plane in np.moveaxis(pixels, 2, 0))
    height, width = size
    return np.stack(
        [np.asarray(plane.resize((width, height), Image.Resampling.BILINEAR)) for plane in planes], axis=2
    )


def _decoded(file: Path) -> Array:
    """A PNG file with 16 bits a value in red, green, blue and opacity: uint16 of shape (height, width, 4)."""
    tensorflow = _tensorflow()
    try:
        decoded = tensorflow.io.decode_png(file.read_bytes(), channels=4, dtype=tensorflow.uint16)
    except tensorflow.errors.InvalidArgumentError:
        raise ValueError("its content is damaged") from None
    return np.asarray(decoded)


def _tensorflow() -> Any:
    """TensorFlow, which reads colours of 16 bits; Pillow keeps 8 of them."""
    with _lock:  # several threads decode
        if "tensorflow" not in sys.modules:
            os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
            with native_output_held():
                import tensorflow

                tensorflow.config.list_physical_devices()  # which prints, too
    import tensorflow

    return tensorflow
