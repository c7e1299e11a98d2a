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
from layercli.data.examples import Dataset, Examples
from layercli.data.lazy import LazyDataset
from layercli.data.preview import IMAGE_SUFFIXES
from layercli.data.reader_state import ReaderState
from layercli.data.readers.arrays import MEMORY_DIVISOR
from layercli.data.readers.class_folders import list_class_files, list_new_files
from layercli.data.readers.images_16bit import decode_high_bit_depth, is_high_bit_depth
from layercli.data.readers.paths import hash_content_sample
from layercli.data.types import Array, DataError
from layercli.graph.finding import Finding
from layercli.source.nodes import sanitize_text

_PILLOW_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
_PATH_KEY = ("data", "path")
_MAX_REPORTED = 20


def read_dataset(data: Images, memory: int | None) -> Dataset:
    """All images of shape (samples, height, width, channels): uint8, or float32 where an image has 16 bits a value.

    Those that would take more than a share of the memory are decoded anew whenever a batch needs them.

    Raises:
        RefusedDataError: an image cannot be read, or is of another size; every such file is told.
    """
    names, files = list_class_files(Path(data.path), IMAGE_SUFFIXES)
    labels = np.array([label for _, label in files], dtype=np.int32)
    decoded = (_decode_image(file, data, data.channels) for file, _ in files)
    first = next((image for image in decoded if not isinstance(image, Finding)), None)
    if first is None:
        results = (_decode_image(file, data, data.channels) for file, _ in files[:_MAX_REPORTED])
        raise DataError(*(found for found in results if isinstance(found, Finding)))
    images = LazyImages(tuple(file for file, _ in files), data, first.shape, first.dtype)
    return _build_dataset(images, labels, tuple(names), memory)


def read_new_dataset(
    data: Images, paths: Sequence[str], reader_state: ReaderState, memory: int | None, *, has_targets: bool
) -> Dataset:
    """Images that came after training: see ``Reader`` and ``new_files``.

    Raises:
        RefusedDataError: an image cannot be read, or is of another size or class.
    """
    files, labels = list_new_files(
        paths, IMAGE_SUFFIXES, reader_state.single_target_classes(), has_targets=has_targets
    )
    return _build_dataset(
        LazyImages(tuple(files), data, *reader_state.single_input()),
        labels,
        reader_state.single_target_classes(),
        memory,
    )


def _build_dataset(
    images: LazyImages, labels: Array, class_names: tuple[str, ...], memory: int | None
) -> Dataset:
    row_indices = np.arange(len(images))
    if (
        memory is not None
        and len(images) * prod(images.shape) * images.dtype.itemsize > memory // MEMORY_DIVISOR
    ):
        content_id = f"{hash_content_sample(images.files[:1])} {_hash_file_sizes(images.files)} {images.data.size} {images.shape}"
        return LazyDataset({None: images}, {None: labels}, content_id, row_indices, class_names)
    return Examples(images[row_indices], labels, class_names)


def _hash_file_sizes(files: Sequence[Path]) -> str:
    """SHA-256 of the names and sizes of files."""
    listing = "\n".join(f"{file.parent.name}/{file.name} {file.stat().st_size}" for file in files)
    return hashlib.sha256(listing.encode("utf-8", "surrogateescape")).hexdigest()


@dataclass(frozen=True, slots=True)
class LazyImages:
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
        decoded = _get_decode_pool().map(lambda file: _decode_image(file, self.data, self.shape[2]), chosen)
        for number, (file, image) in enumerate(zip(chosen, decoded, strict=True)):
            if isinstance(image, Finding):
                wrong.append(image)
            elif image.dtype != self.dtype:
                bits = {np.dtype(np.uint8): 8}
                message = (
                    f"{sanitize_text(str(file))} has {bits.get(image.dtype, 16)} bits a value, but the others have "
                    f"{bits.get(self.dtype, 16)}."
                )
                wrong.append(_make_finding(message, "Save all with the same number of bits."))
            elif image.shape != self.shape:
                message = f"{sanitize_text(str(file))} is {_format_size(image.shape)}, but the others are {_format_size(self.shape)}."
                wrong.append(_make_finding(message, "Scale all to one size: `size: [64, 64]`."))
            elif not wrong:
                images[number] = image
        if wrong:
            raise DataError(*wrong)
        return images


@cache
def _get_decode_pool() -> ThreadPoolExecutor:
    """Threads that decode: Pillow does it outside Python's lock."""
    return ThreadPoolExecutor(thread_name_prefix="decode")


def _decode_image(file: Path, data: Images, channels: int | None) -> Array | Finding:
    """The pixels of shape (height, width, channels), or what is wrong with the file."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(file) as image:
            if is_high_bit_depth(image):
                return decode_high_bit_depth(file, image, channels, data.size)
            if channels is None:
                channels = 1 if image.mode in ("1", "L", "LA") else 3
            mode = _PILLOW_MODES[channels]
            converted = image if image.mode == mode else image.convert(mode)
            if data.size is not None:
                converted = converted.resize((data.size[1], data.size[0]), Image.Resampling.BILINEAR)
            pixels: Array = np.asarray(converted)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        reason = sanitize_text(str(error).replace(str(file), "it"), limit=150).rstrip(".")
        return _make_finding(
            f"{sanitize_text(str(file))} is no image that can be read: {reason}.", "Repair or remove it."
        )
    return pixels if pixels.ndim == 3 else pixels[..., np.newaxis]


def _format_size(shape: tuple[int, ...]) -> str:
    return f"{shape[0]}x{shape[1]}"


def _make_finding(message: str, hint: str) -> Finding:
    return Finding(code="unreadable-data", message=message, path=_PATH_KEY, hint=hint)
