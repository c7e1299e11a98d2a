"""A folder of images for each class, decoded on all cores."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from layercli.config.data.files import Images
from layercli.data.examples import Array, Examples, RefusedDataError
from layercli.data.lazy import Indexed
from layercli.data.preview import IMAGES
from layercli.data.reader_state import Learned
from layercli.data.readers.arrays import SHARE
from layercli.data.readers.class_folders import classes_of, new_files
from layercli.data.readers.images_16bit import deep_pixels, is_deep
from layercli.data.readers.paths import content_sample
from layercli.data.subset import Source
from layercli.graph.finding import Finding
from layercli.source.nodes import printable

_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
_PATH = ("data", "path")
_MOST_TOLD = 20


def read(data: Images, memory: int | None) -> Source:
    """All images of shape (samples, height, width, channels): uint8, or float32 where an image has 16 bits a value.

    Those that would take more than a share of the memory are decoded anew whenever a batch needs them.

    Raises:
        RefusedDataError: an image cannot be read, or is of another size; every such file is told.
    """
    names, files = classes_of(Path(data.path), IMAGES)
    labels = np.array([label for _, label in files], dtype=np.int32)
    decoded = (_decoded(file, data, data.channels) for file, _ in files)
    first = next((image for image in decoded if not isinstance(image, Finding)), None)
    if first is None:
        wrong = (_decoded(file, data, data.channels) for file, _ in files[:_MOST_TOLD])
        raise RefusedDataError(*(found for found in wrong if isinstance(found, Finding)))
    images = ImageFiles(tuple(file for file, _ in files), data, first.shape, first.dtype)
    return _source(images, labels, tuple(names), memory)


def read_new(
    data: Images, paths: Sequence[str], learned: Learned, memory: int | None, *, targets: bool
) -> Source:
    """Images that came after training: see ``Reader`` and ``new_files``.

    Raises:
        RefusedDataError: an image cannot be read, or is of another size or class.
    """
    files, labels = new_files(paths, IMAGES, learned.names(), targets=targets)
    return _source(ImageFiles(tuple(files), data, *learned.one()), labels, learned.names(), memory)


def _source(images: ImageFiles, labels: Array, names: tuple[str, ...], memory: int | None) -> Source:
    everything = np.arange(len(images))
    if memory is not None and len(images) * prod(images.shape) * images.dtype.itemsize > memory // SHARE:
        origin = (
            f"{content_sample(images.files[:1])} {_sizes(images.files)} {images.data.size} {images.shape}"
        )
        return Indexed({None: images}, {None: labels}, origin, everything, names)
    return Examples(images[everything], labels, names)


def _sizes(files: Sequence[Path]) -> str:
    """SHA-256 of the names and sizes of files."""
    told = "\n".join(f"{file.parent.name}/{file.name} {file.stat().st_size}" for file in files)
    return hashlib.sha256(told.encode("utf-8", "surrogateescape")).hexdigest()


@dataclass(frozen=True, slots=True)
class ImageFiles:
    """Images in files, each decoded when it is needed, on all cores."""

    files: tuple[Path, ...]
    data: Images
    shape: tuple[int, ...]
    """Of each image: (height, width, channels)."""
    dtype: np.dtype[Any]

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, rows: Array) -> Array:
        """Images of shape (rows, height, width, channels)."""
        images = np.empty((len(rows), *self.shape), self.dtype)
        wrong = []
        chosen = [self.files[row] for row in rows.tolist()]
        decoded = _pool().map(lambda file: _decoded(file, self.data, self.shape[2]), chosen)
        for number, (file, image) in enumerate(zip(chosen, decoded, strict=True)):
            if isinstance(image, Finding):
                wrong.append(image)
            elif image.dtype != self.dtype:
                bits = {np.dtype(np.uint8): 8}
                message = (
                    f"{printable(str(file))} has {bits.get(image.dtype, 16)} bits a value, but the others have "
                    f"{bits.get(self.dtype, 16)}."
                )
                wrong.append(_finding(message, "Save all with the same number of bits."))
            elif image.shape != self.shape:
                message = (
                    f"{printable(str(file))} is {_size(image.shape)}, but the others are {_size(self.shape)}."
                )
                wrong.append(_finding(message, "Scale all to one size: `size: [64, 64]`."))
            elif not wrong:
                images[number] = image
        if wrong:
            raise RefusedDataError(*wrong)
        return images


@cache
def _pool() -> ThreadPoolExecutor:
    """Threads that decode: Pillow does it outside Python's lock."""
    return ThreadPoolExecutor(thread_name_prefix="decode")


def _decoded(file: Path, data: Images, channels: int | None) -> Array | Finding:
    """The pixels of shape (height, width, channels), or what is wrong with the file."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(file) as image:
            if is_deep(image):
                return deep_pixels(file, image, channels, data.size)
            if channels is None:
                channels = 1 if image.mode in ("1", "L", "LA") else 3
            wanted = _MODES[channels]
            plain = image if image.mode == wanted else image.convert(wanted)
            if data.size is not None:
                plain = plain.resize((data.size[1], data.size[0]), Image.Resampling.BILINEAR)
            pixels: Array = np.asarray(plain)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        said = printable(str(error).replace(str(file), "it"), limit=150).rstrip(".")
        return _finding(
            f"{printable(str(file))} is no image that can be read: {said}.", "Repair or remove it."
        )
    return pixels if pixels.ndim == 3 else pixels[..., np.newaxis]


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[0]}x{shape[1]}"


def _finding(message: str, hint: str) -> Finding:
    return Finding(code="unreadable-data", message=message, path=_PATH, hint=hint)
