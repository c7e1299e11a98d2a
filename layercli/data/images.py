"""A folder of images for each class, decoded by Pillow on all cores."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from layercli.config.files import Images
from layercli.data.arrays import Array, Examples, RefusedDataError
from layercli.data.folders import classes_of
from layercli.data.look import IMAGES
from layercli.data.tables import refuse
from layercli.graph.findings import Finding
from layercli.source.nodes import printable

_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
_PATH = ("data", "path")


def read(data: Images, memory: int | None) -> Examples:
    """All images of shape (samples, height, width, channels): uint8, or float32 where an image has 16 bits a value.

    Raises:
        RefusedDataError: an image cannot be read, or is of another size; every such file is told.
    """
    names, files = classes_of(Path(data.path), IMAGES)
    first = _decoded(files[0][0], data, data.channels)
    if isinstance(first, Finding):
        raise RefusedDataError(first)
    shape = first.shape
    needed = len(files) * first.nbytes
    if memory is not None and needed > memory // 2:
        refuse(f"{len(files):,} images of {shape} have {needed:,} bytes; this machine has {memory:,} of memory.", _PATH,
               "Scale them to a smaller `size`, or use a machine with more memory.")  # fmt: skip
    with ThreadPoolExecutor() as pool:  # Pillow decodes outside Python's lock
        decoded = list(pool.map(lambda item: _decoded(item[0], data, shape[2]), files))
    wrong = [image for image in decoded if isinstance(image, Finding)]
    images = [image for image in decoded if not isinstance(image, Finding)]
    for (file, _), image in zip(files, decoded, strict=True):
        if not isinstance(image, Finding) and image.shape != shape:
            message = f"{printable(str(file))} is {_size(image)}, but the first image is {_size(first)}."
            wrong.append(_finding(message, "Scale all to one size: `size: [64, 64]`."))
    if wrong:
        raise RefusedDataError(*wrong)
    x = np.stack(images)
    return Examples(x, np.array([label for _, label in files], dtype=np.int32), tuple(names))


def _decoded(file: Path, data: Images, channels: int | None) -> Array | Finding:
    """The pixels of shape (height, width, channels), or what is wrong with the file."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(file) as image:
            deep = image.mode in ("I;16", "I;16B", "I;16L", "I", "F")
            if channels is None:
                channels = 1 if deep or image.mode in ("1", "L", "LA") else 3
            plain: Any = image if deep and channels == 1 else image.convert(_MODES[channels])
            if data.size is not None:
                if deep and channels == 1:
                    plain = Image.fromarray(np.asarray(plain, dtype=np.float32))
                plain = plain.resize((data.size[1], data.size[0]), Image.Resampling.BILINEAR)
            pixels = np.asarray(plain, dtype=np.float32 if deep and channels == 1 else np.uint8)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        said = printable(str(error).replace(str(file), "it"), limit=150).rstrip(".")
        return _finding(
            f"{printable(str(file))} is no image that can be read: {said}.", "Repair or remove it."
        )
    return pixels if pixels.ndim == 3 else pixels[..., np.newaxis]


def _size(image: Array) -> str:
    return f"{image.shape[0]}x{image.shape[1]}"


def _finding(message: str, hint: str) -> Finding:
    return Finding(code="unreadable-data", message=message, path=_PATH, hint=hint)
