"""The reader of images data, which decodes on all cores."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from layercli.data.class_folders import list_class_files, list_new_files
from layercli.data.examples import Dataset, Examples
from layercli.data.lazy import LazyDataset
from layercli.data.memory import (
    MAX_ITEM_BYTES,
    ByteBudget,
    describe_excess,
    is_too_large_to_load,
    limit_item_bytes,
)
from layercli.data.paths import hash_content_sample
from layercli.data.reader_state import ReaderState
from layercli.data.types import PATH_KEY, Array, DataError, make_data_finding
from layercli.formats.images.color import has_color
from layercli.formats.images.config import IMAGE_FORMATS, IMAGE_SUFFIXES, PILLOW_MODES, Images
from layercli.formats.images.high_bit_depth import decode_high_bit_depth, is_high_bit_depth
from layercli.graph.finding import Finding
from layercli.source.nodes import sanitize_text

_MAX_REPORTED = 20
_MAX_SHARED_FILE_BYTES = 1 << 25
"""Larger files are opened one after the other, because their headers may be as large as the file."""
_MIN_RESERVED_BYTES = 1 << 22
_BYTES_PER_PIXEL = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2}
"""Mode of Pillow -> the bytes of a pixel in its memory; 4 in all other modes."""
_CONVERTED_BYTES_PER_PIXEL = 8
"""Memory for a pixel that was converted, and for its copy in an array."""
_MAX_SCANNED_PIXELS = 1 << 31
"""Most pixels of a JPEG file times its scans; each scan passes through all pixels, and a file can have any number."""
_SCAN_MARKER = b"\xff\xda"
_CHUNK_BYTES = 1 << 20
_HIGH_DEPTH_BYTES_PER_PIXEL = 48
"""Memory for a pixel of 16 bits per colour: its four integers, and copies as float32 while it is converted."""


def read_dataset(data: Images, memory: int | None) -> Dataset:
    """Return all images of shape (samples, height, width, channels): uint8, or float32 for images of 16 bits per value.

    Images that would take too much of the memory are decoded again for each batch.

    Raises:
        DataError: an image cannot be read or has a different size; there is one finding for each such file.
    """
    names, files = list_class_files(Path(data.path), IMAGE_SUFFIXES)
    labels = np.array([label for _, label in files], dtype=np.int32)
    limit = limit_item_bytes(memory)
    decoded = (_decode_image(file, data, data.channels, limit) for file, _ in files)
    first = next((image for image in decoded if not isinstance(image, Finding)), None)
    if first is None:
        results = (_decode_image(file, data, data.channels, limit) for file, _ in files[:_MAX_REPORTED])
        raise DataError(*(finding for finding in results if isinstance(finding, Finding)))
    images = LazyImages(tuple(file for file, _ in files), data, first.shape, first.dtype, limit)
    return _build_dataset(images, labels, tuple(names), memory)


def read_new_dataset(
    data: Images, paths: Sequence[str], reader_state: ReaderState, memory: int | None, *, has_targets: bool
) -> Dataset:
    """Return images that are not from training; see ``Reader`` and ``list_new_files``.

    Raises:
        DataError: an image cannot be read, or has a different size or an unknown class.
    """
    files, labels = list_new_files(
        paths, IMAGE_SUFFIXES, reader_state.single_target_classes(), has_targets=has_targets
    )
    return _build_dataset(
        LazyImages(tuple(files), data, *reader_state.single_input(), limit_item_bytes(memory)),
        labels,
        reader_state.single_target_classes(),
        memory,
    )


def _build_dataset(
    images: LazyImages, labels: Array, class_names: tuple[str, ...], memory: int | None
) -> Dataset:
    row_indices = np.arange(len(images))
    decoded_bytes = len(images) * prod(images.shape) * images.dtype.itemsize
    file_bytes = sum(file.stat().st_size for file in images.files)
    if is_too_large_to_load(decoded_bytes, file_bytes, memory):
        content_id = (
            f"{hash_content_sample(images.files[:1])} {_hash_file_sizes(images.files)} "
            f"{images.data.size} {images.shape}"
        )
        return LazyDataset({None: images}, {None: labels}, content_id, row_indices, class_names)
    return Examples(images[row_indices], labels, class_names)


def _hash_file_sizes(files: Sequence[Path]) -> str:
    """Return the SHA-256 of the names and sizes of files."""
    listing = "\n".join(f"{file.parent.name}/{file.name} {file.stat().st_size}" for file in files)
    return hashlib.sha256(listing.encode("utf-8", "surrogateescape")).hexdigest()


@dataclass(frozen=True, slots=True)
class LazyImages:
    """Images in files, decoded on all cores when they are needed."""

    files: tuple[Path, ...]
    data: Images
    shape: tuple[int, ...]
    """Of one image: (height, width, channels)."""
    dtype: np.dtype[Any]
    max_bytes: int = MAX_ITEM_BYTES
    """Memory that decoding one image may take."""

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, rows: Array) -> Array:
        """Return images of shape (rows, height, width, channels)."""
        images = np.empty((len(rows), *self.shape), self.dtype)
        files = [self.files[row] for row in rows.tolist()]
        results = _get_decode_pool().map(self._read_into, files, images)
        found = [finding for finding in results if finding is not None]
        if found:
            raise DataError(*found)
        return images

    def _read_into(self, file: Path, target: Array) -> Finding | None:
        """Copy the pixels of a file to ``target``; return the finding if they cannot be read or do not fit."""
        image = _decode_image(file, self.data, self.shape[2], self.max_bytes)
        finding = image if isinstance(image, Finding) else self._check_image(file, image)
        if finding is None:
            target[...] = image
        return finding

    def _check_image(self, file: Path, image: Array) -> Finding | None:
        """Return the finding of an image that differs from the others in dtype or shape."""
        shown = sanitize_text(str(file))
        if image.dtype != self.dtype:
            message = f"{shown} has {_count_bits(image.dtype)} bits per value, but the others have {_count_bits(self.dtype)}."
            return make_data_finding(message, PATH_KEY, "Save all images with the same number of bits.")
        if image.shape != self.shape:
            message = (
                f"{shown} is {_format_size(image.shape)}, but the others are {_format_size(self.shape)}."
            )
            return make_data_finding(message, PATH_KEY, "Scale all images to one size: `size: [64, 64]`.")
        return None


def _count_bits(dtype: np.dtype[Any]) -> int:
    return 8 if dtype == np.uint8 else 16


@cache
def _get_decode_pool() -> ThreadPoolExecutor:
    """Return the threads that decode, which run in parallel because Pillow releases Python's lock."""
    return ThreadPoolExecutor(thread_name_prefix="decode")


_budget = ByteBudget(MAX_ITEM_BYTES)
"""Memory of all images that are being decoded."""


def _decode_image(file: Path, data: Images, channels: int | None, max_bytes: int) -> Array | Finding:
    """Return the pixels of shape (height, width, channels), or the finding of a file that cannot be read.

    ``max_bytes`` is the memory that decoding may take.
    """
    from PIL import Image

    try:
        file_bytes = file.stat().st_size
        if file_bytes > max_bytes:
            return _make_size_finding(file, file_bytes, max_bytes)
        if file_bytes > _MAX_SHARED_FILE_BYTES:
            with _budget.reserve(_budget.size):
                return _decode_opened(file, data, channels, max_bytes, is_alone=True)
        return _decode_opened(file, data, channels, max_bytes, is_alone=False)
    except (
        OSError,
        ValueError,
        SyntaxError,
        Image.DecompressionBombError,
        Image.DecompressionBombWarning,
    ) as error:
        reason = sanitize_text(str(error).replace(str(file), "it"), limit=150).rstrip(".")
        return make_data_finding(
            f"Cannot read the image {sanitize_text(str(file))}: {reason}.", PATH_KEY, "Repair or remove it."
        )


def _decode_opened(
    file: Path, data: Images, channels: int | None, max_bytes: int, *, is_alone: bool
) -> Array | Finding:
    """Decode an image within the budget; ``is_alone`` if the caller has reserved all of it."""
    from PIL import Image

    with Image.open(file, formats=IMAGE_FORMATS) as image:
        needed = _count_decode_bytes(image, file.stat().st_size, data.size)
        if needed > max_bytes:
            return _make_size_finding(file, needed, max_bytes)
        if image.format == "JPEG":
            _check_scans(file, image.width * image.height)
        with nullcontext() if is_alone or needed < _MIN_RESERVED_BYTES else _budget.reserve(needed):
            if is_high_bit_depth(image):
                return decode_high_bit_depth(file, image, channels, data.size)
            if channels is None:
                channels = 3 if has_color(image) else 1
            mode = PILLOW_MODES[channels]
            converted = image if image.mode == mode else image.convert(mode)
            if data.size is not None:
                converted = converted.resize((data.size[1], data.size[0]), Image.Resampling.BILINEAR)
            pixels: Array = np.asarray(converted)
    return pixels if pixels.ndim == 3 else pixels[..., np.newaxis]


def _count_decode_bytes(image: Any, file_bytes: int, size: Sequence[int] | None) -> int:
    """Return the most memory that decoding an opened image takes: its pixels, converted and as an array."""
    pixels = image.width * image.height
    scaled_pixels = 0 if size is None else size[0] * size[1]
    if is_high_bit_depth(image):
        return int((pixels + scaled_pixels) * _HIGH_DEPTH_BYTES_PER_PIXEL + 2 * file_bytes)
    return int(
        pixels * _BYTES_PER_PIXEL.get(image.mode, 4) + (pixels + scaled_pixels) * _CONVERTED_BYTES_PER_PIXEL
    )


def _check_scans(file: Path, pixels: int) -> None:
    """Check the work of decoding a JPEG file by the number of its scans.

    Raises:
        ValueError: it has too many.
    """
    with file.open("rb") as content:
        scans = sum(chunk.count(_SCAN_MARKER) for chunk in iter(lambda: content.read(_CHUNK_BYTES), b""))
    if scans * pixels > _MAX_SCANNED_PIXELS:
        raise ValueError(f"it has {scans:,} scans of {pixels:,} pixels, which would take very long to decode")


def _make_size_finding(file: Path, needed: int, available: int) -> Finding:
    message = f"The image {sanitize_text(str(file))} needs {describe_excess(needed, available)}."
    return make_data_finding(message, PATH_KEY, "Save a smaller version of it, or remove it.")


def _format_size(shape: tuple[int, ...]) -> str:
    return f"{shape[0]}x{shape[1]}"
