"""Write predicted masks: an image of class numbers or of class colors for each image."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from layercli.data.memory import MAX_ITEM_BYTES
from layercli.data.types import Array, DataError
from layercli.formats.images.decode import measure_image, open_image
from layercli.graph.finding import Finding
from layercli.io.atomic import stage_file
from layercli.io.regular import create_folder_inside


def write_masks(
    folder: Path, chunks: Iterable[Mapping[str, Array]], inputs: Sequence[str], names: Sequence[str] | None
) -> int:
    """Write a PNG file for each image, with the size of the image; return the number of files.

    Args:
        folder: The folder to write to. A mask has the path of its image below the folder of the inputs.
        chunks: The column ``class`` of predictions, of shape (rows, height, width), with the column ``file``.
        inputs: The files and folders that were predicted.
        names: The classes of training if they are mapped, such as 255 or #ff0000; None if they are numbers.

    Raises:
        ValueError: there is no class for each pixel, two images have the same name, or a class is not a number or a color.
        DataError: an image cannot be read.
        OSError: a file cannot be written, or the folder contains a link in the place of a folder.
    """
    written: set[Path] = set()
    for chunk in chunks:
        classes = chunk.get("class")
        if classes is None or classes.ndim != 3 or "file" not in chunk:
            raise ValueError(
                "a folder of masks needs images and a class for each pixel; write to a file such as .npz"
            )
        values = _to_pixel_values(classes, names)
        for file, mask in zip(chunk["file"].tolist(), values, strict=True):
            relative_path = _locate_mask(Path(file), inputs)
            target = folder / relative_path
            if target in written:
                raise ValueError(f"two images have the mask {target}")
            create_folder_inside(folder, relative_path.parent)
            _write_mask(target, mask, _read_size(Path(file)))
            written.add(target)
    return len(written)


def _to_pixel_values(classes: Array, names: Sequence[str] | None) -> Array:
    """Return the values of pixels: integers of shape (rows, height, width), or colors (rows, height, width, 3)."""
    if classes.dtype.kind in "iu" or names is None:
        return classes.astype(np.uint8 if classes.max(initial=0) <= 255 else np.uint16)
    labels = np.zeros(classes.shape, np.int64)
    for label, name in enumerate(names):
        labels[classes == name] = label
    if all(name.startswith("#") for name in names):
        table = np.array([[int(name[at : at + 2], 16) for at in (1, 3, 5)] for name in names], np.uint8)
    else:
        numbers = np.array(list(map(int, names)))
        table = numbers.astype(np.uint8 if numbers.max() <= 255 else np.uint16)
    return np.asarray(table[labels])


def _locate_mask(file: Path, inputs: Sequence[str]) -> Path:
    for folder in map(Path, inputs):
        if folder.is_dir() and file.is_relative_to(folder):
            return file.relative_to(folder).with_suffix(".png")
    return Path(file.name).with_suffix(".png")


def _read_size(file: Path) -> tuple[int, int]:
    found = open_image(file, measure_image, MAX_ITEM_BYTES, is_decoded=False)
    if isinstance(found, Finding):
        raise DataError(found)
    return found


def _write_mask(target: Path, mask: Array, size: tuple[int, int]) -> None:
    from PIL import Image

    scaled = Image.fromarray(mask).resize((size[1], size[0]), Image.Resampling.NEAREST)
    with stage_file(target) as staging:
        scaled.save(staging, format="PNG")
