"""Images with more than 8 bits per value, decoded without loss."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from layercli.data.types import Array
from layercli.runtime import capture_native_stderr

_HIGH_BIT_GRAY_MODES = ("I;16", "I;16B", "I;16L", "I", "F")
"""Modes in which Pillow keeps all bits."""
_COLOR_MODES = ("RGB", "RGBA", "LA")
_LUMINANCE_WEIGHTS = np.array([0.299, 0.587, 0.114], dtype=np.float32)
"""The weights of red, green and blue in gray, as in Pillow."""
_MAX_OPACITY = 65535
_import_lock = Lock()


def is_high_bit_depth(image: Any) -> bool:
    """Return whether an image that Pillow opened has more than 8 bits per value.

    Raises:
        ValueError: it has, and the values cannot be read.
    """
    if image.mode in _HIGH_BIT_GRAY_MODES:
        return True
    if (
        image.mode not in _COLOR_MODES or image.format == "BMP" or ";16" not in _get_raw_mode(image)
    ):  # in BMP the 16 bits are those of all colors
        return False
    if image.format != "PNG":
        raise ValueError(f"16-bit colors are only supported in PNG, got {image.format}")
    return True


def decode_high_bit_depth(file: Path, image: Any, channels: int | None, size: Sequence[int] | None) -> Array:
    """Return the pixels, scaled to ``size`` (height, width): float32 of shape (height, width, channels).

    Raises:
        ValueError: the file is damaged.
    """
    if image.mode in _HIGH_BIT_GRAY_MODES:
        pixels = np.asarray(image, dtype=np.float32)[..., np.newaxis]
    else:
        pixels = _decode_png(file).astype(np.float32)
        if _get_raw_mode(image).startswith("LA"):
            pixels = pixels[..., [0, 3]]  # gray and opacity
    is_gray = pixels.shape[2] < 3
    channels = channels or (1 if is_gray else 3)
    colors = pixels[..., :1] if is_gray else pixels[..., :3]
    if channels == 1 and not is_gray:
        colors = colors @ _LUMINANCE_WEIGHTS[:, np.newaxis]
    if channels < 4:
        colors = _resize_channels(colors, size)
        return np.repeat(colors, channels // colors.shape[2], axis=2)
    if pixels.shape[2] == 1:
        colors = _resize_channels(colors, size)
        opacity = np.full_like(colors, _MAX_OPACITY)
    elif size is None:
        opacity = pixels[..., -1:]
    else:  # colors are weighted by their opacity, as in Pillow
        opacity = _resize_channels(pixels[..., -1:], size)
        weighted_colors = _resize_channels(colors * pixels[..., -1:], size)
        colors = np.divide(weighted_colors, opacity, out=np.zeros_like(weighted_colors), where=opacity > 0)
    return np.concatenate([np.repeat(colors, 3 // colors.shape[2], axis=2), opacity], axis=2)


def _get_raw_mode(image: Any) -> str:
    """Return Pillow's name of the file's pixel format."""
    decoder_args = image.tile[0][3] if image.tile else ""
    return str(decoder_args[0] if isinstance(decoder_args, tuple) and decoder_args else decoder_args)


def _resize_channels(pixels: Array, size: Sequence[int] | None) -> Array:
    """Return each channel scaled to (height, width)."""
    if size is None:
        return pixels
    from PIL import Image

    planes = (Image.fromarray(np.ascontiguousarray(plane)) for plane in np.moveaxis(pixels, 2, 0))
    height, width = size
    return np.stack(
        [np.asarray(plane.resize((width, height), Image.Resampling.BILINEAR)) for plane in planes], axis=2
    )


def _decode_png(file: Path) -> Array:
    """Return a PNG file of 16 bits per value as red, green, blue and opacity: uint16 of shape (height, width, 4)."""
    tensorflow = _import_tensorflow()
    try:
        decoded = tensorflow.io.decode_png(file.read_bytes(), channels=4, dtype=tensorflow.uint16)
    except tensorflow.errors.InvalidArgumentError:
        raise ValueError("its content is damaged") from None
    return np.asarray(decoded)


def _import_tensorflow() -> Any:
    """Import TensorFlow, which reads 16-bit colors; Pillow reduces them to 8 bits."""
    with _import_lock:  # several threads decode images
        if "tensorflow" not in sys.modules:
            os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
            with capture_native_stderr():
                import tensorflow

                tensorflow.config.list_physical_devices()  # also prints messages
    import tensorflow

    return tensorflow
