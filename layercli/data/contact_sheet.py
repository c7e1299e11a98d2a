"""A contact sheet: sample images with their classes, values or masks, as one picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from layercli.data.examples import Examples, ShuffleSeed, Subset
from layercli.data.labels import format_label, is_labels
from layercli.data.types import Array
from layercli.source.nodes import sanitize_text

_MAX_IMAGES: Final = 64
_MAX_BYTES: Final = 1 << 26
"""Maximum size of the images of a contact sheet in memory."""
_MIN_SIDE: Final = 64
"""Minimum height and width of an image on a contact sheet, in pixels."""
_CAPTION_HEIGHT: Final = 14
_FONT_SIZE: Final = 11
_MAX_CAPTION: Final = 200
_OPACITY: Final = 0.6
"""That of the class of a pixel over its image."""
_COLORS: Final = np.array(
    [
        *((230, 25, 75), (60, 180, 75), (67, 99, 216), (255, 225, 25), (245, 130, 49), (145, 30, 180)),
        *((66, 212, 244), (240, 50, 230), (191, 239, 69), (250, 190, 212), (70, 153, 144), (154, 99, 36)),
    ],
    np.uint8,
)
"""Colors of the classes of pixels from class 1; class 0 has none. More classes repeat them."""


def write_contact_sheet(subset: Subset, path: Path) -> bool:
    """Write images of the first image input as one PNG, sorted by class; return False if there are none.

    Below each image is its class or its value. An image with a class for each pixel is shown twice: as it is, and with the
    classes in colors; the caption lists its classes.
    """
    from PIL import Image

    names = [name for name, array in subset.empty_batch.inputs if is_image_batch(array)]
    if not names or not len(subset):
        return False
    count = min(_MAX_IMAGES, _MAX_BYTES // max(1, subset.count_example_bytes()))
    if not count:
        return False  # one image would be larger than a sheet
    batch = next(subset.batches(count, shuffle=ShuffleSeed(0, 0)))
    labels = next((labels for _, labels in batch.targets if is_labels(labels)), np.zeros(len(batch)))
    batch = batch.take(np.argsort(labels, kind="stable"))
    images = _to_colors(scale_to_bytes(dict(batch.inputs)[names[0]]))
    target = next(iter(batch.targets), None)
    has_classes = target is not None and _has_pixel_classes(target[1], images)
    if target is not None and has_classes:
        classes = target[1].reshape(images.shape[:3])
        images = np.concatenate(
            [images, _color_classes(images, classes, batch.class_names_of(target[0]))], axis=2
        )
    scale = max(1, -(-_MIN_SIDE // min(images.shape[1:3])))
    captions = [] if target is None else _list_captions(batch, *target, has_pixels=has_classes)
    sheet = _tile_images(images.repeat(scale, axis=1).repeat(scale, axis=2), captions)
    Image.fromarray(sheet).save(path, format="PNG")
    return True


def is_image_batch(array: Array) -> bool:
    """Return whether an array is images of shape (samples, height, width, channels)."""
    return array.ndim == 4 and array.shape[3] in (1, 3, 4)


def _has_pixel_classes(target: Array, images: Array) -> bool:
    sizes = target.shape[:-1] if target.shape[-1:] == (1,) else target.shape
    return target.dtype.kind in "biu" and sizes == images.shape[:3]


def scale_to_bytes(images: Array) -> Array:
    """Return the images as uint8, scaled from their range to 0..255 unless they are uint8 already."""
    if images.dtype == np.uint8:
        return images
    images = images.astype(np.float64)
    low, high = np.nanmin(images), np.nanmax(images)
    return np.asarray((np.nan_to_num((images - low) / (high - low or 1.0)) * 255).astype(np.uint8))


def _to_colors(images: Array) -> Array:
    """Return the images of shape (images, height, width, 3), without opacity."""
    return images.repeat(3, axis=3) if images.shape[3] == 1 else images[..., :3]


def _color_classes(images: Array, classes: Array, names: Sequence[str] | None) -> Array:
    """Return the images with the class of each pixel as a color over it: its name, if that is a color."""
    if names is not None and all(name.startswith("#") for name in names):
        table = np.array([[int(name[at : at + 2], 16) for at in (1, 3, 5)] for name in names], np.uint8)
        colors = table[classes]
    else:
        colors = _COLORS[(classes.astype(np.int64) - 1) % len(_COLORS)]
    mixed = images + (colors - images.astype(np.float32)) * _OPACITY
    return np.where(classes[..., np.newaxis] == 0, images, np.rint(mixed).astype(np.uint8))


def _list_captions(batch: Examples, name: str | None, target: Array, *, has_pixels: bool) -> list[str]:
    """Return the class or the values of each example, or the classes of its pixels."""
    values, names = target.reshape(len(target), -1), batch.class_names_of(name)
    if has_pixels:
        return [
            ", ".join(_describe_values(label, names, None) for label in np.unique(row)[:, None])
            for row in values
        ]
    columns = batch.target_columns.get(name) if isinstance(batch.target_columns, Mapping) else None
    return [_describe_values(row, names, columns) for row in values]


def _describe_values(row: Array, names: Sequence[str] | None, columns: Sequence[str] | None) -> str:
    if len(row) == 1:
        value = row[0]
        if names is not None and 0 <= int(value) < len(names):
            return names[int(value)]
        return format_label(round(value.item(), 4) if isinstance(value, np.floating) else value)
    if columns is not None and bool(np.isin(row, (0, 1)).all()):
        return ", ".join(column for column, value in zip(columns, row, strict=True) if value)
    return ", ".join(format_label(round(float(value), 2)) for value in row)


def _tile_images(images: Array, captions: Sequence[str]) -> Array:
    """Return one image of shape (height, width, 3) with all images in a square grid, one pixel apart."""
    from PIL import Image, ImageDraw, ImageFont

    side = int(np.ceil(np.sqrt(len(images))))
    height, width = images.shape[1:3]
    tile_height = height + 2 + (_CAPTION_HEIGHT if captions else 0)
    sheet = np.zeros((side * tile_height, side * (width + 2), 3), dtype=np.uint8)
    for number, image in enumerate(images):
        top, left = (number // side) * tile_height + 1, (number % side) * (width + 2) + 1
        sheet[top : top + height, left : left + width] = image
    if not captions:
        return sheet
    picture = Image.fromarray(sheet)
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(_FONT_SIZE)
    for number, caption in enumerate(captions):
        top, left = (number // side) * tile_height + 1 + height, (number % side) * (width + 2) + 1
        draw.text((left + 1, top), _shorten_caption(caption, width - 2, font), fill="white", font=font)
    return np.asarray(picture)


def _shorten_caption(text: str, width: int, font: Any) -> str:
    """Return the start of a text that fits into a width in pixels."""
    text = sanitize_text(text, limit=_MAX_CAPTION)
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"{text}…") > width:
        text = text[:-1]
    return f"{text}…"
