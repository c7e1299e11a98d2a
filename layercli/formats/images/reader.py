"""The reader of images data, which decodes on all cores."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from layercli.data.class_folders import list_class_files, list_files, list_new_files, raise_no_files
from layercli.data.cores import run_on_all_cores
from layercli.data.examples import Dataset, Examples
from layercli.data.lazy import LazyArray, LazyDataset
from layercli.data.memory import MAX_ITEM_BYTES, is_too_large_to_load, limit_item_bytes
from layercli.data.paths import hash_content_sample
from layercli.data.reader_state import ReaderState
from layercli.data.spool import SpooledArray
from layercli.data.types import (
    PATH_KEY,
    Array,
    DataError,
    make_aligned_array,
    make_data_finding,
    raise_data_error,
)
from layercli.formats.images.config import IMAGE_SUFFIXES, Images, MasksConfig
from layercli.formats.images.decode import decode_image, excess_pixels
from layercli.formats.images.labels import read_labels, read_new_labels
from layercli.formats.images.masks import ImageMasks, LazyMasks, MaskClasses, list_masked_files, read_masks
from layercli.graph.finding import Finding
from layercli.source.nodes import sanitize_text

_MAX_REPORTED = 20


@dataclass(frozen=True, slots=True)
class _Labelled:
    """Image files with the target of each."""

    files: Sequence[Path]
    targets: LazyArray | Array
    """The targets, of shape (files, ...)."""
    class_names: tuple[str, ...] | None
    value_names: tuple[str, ...] = ()
    """What the values of a target from a table are, if it has several."""
    warnings: tuple[Finding, ...] = ()
    errors: tuple[Finding, ...] = ()
    """The errors of images without a target; ``files`` are the others. If a table of labels has errors, no target is known."""
    masks: ImageMasks | None = None
    """The masks, which are the targets when the size of the images is known."""


def read_dataset(data: Images, memory: int | None) -> Dataset:
    """Return all images of shape (samples, height, width, channels): uint8, or float32 for images of 16 bits per value.

    Images that would take too much of the memory are decoded when a batch needs them.

    Raises:
        DataError: an image cannot be read or has a different size; there is one finding for each such file.
    """
    excess_pixels.clear()
    limit = limit_item_bytes(memory)
    labelled = _list_labelled_files(data, limit)
    findings: list[Finding] = []
    for file in labelled.files:
        first = decode_image(file, data.size, data.channels, limit)
        if not isinstance(first, Finding):
            break
        findings.append(first)
    else:
        raise DataError(*labelled.errors, *islice(findings, _MAX_REPORTED), *labelled.warnings)
    images = LazyImages(tuple(labelled.files), data, first.shape, first.dtype, limit)
    try:
        dataset = _build_dataset(images, labelled, memory, is_reread=True)
    except DataError as error:
        raise _complete_error(error.findings, images, labelled) from None
    if labelled.errors:
        raise _complete_error((), images, labelled)
    return dataset


def _complete_error(findings: Sequence[Finding], images: LazyImages, labelled: _Labelled) -> DataError:
    """Return the error of all files, with the targets that can be read, and with the warnings, which may explain it."""
    reasons = (*labelled.errors, *findings, *labelled.warnings)
    if labelled.masks is None and labelled.errors:
        return DataError(*reasons)
    blank = np.broadcast_to(np.zeros((), images.dtype), (len(images), *images.shape))
    targets = labelled.targets
    if labelled.masks is not None:
        targets = _make_lazy_masks(images, labelled.masks)
    readable = LazyDataset({None: blank}, {None: targets}, "", np.arange(len(images)), labelled.class_names)
    return DataError(*reasons, readable=readable)


def _list_labelled_files(data: Images, max_bytes: int) -> _Labelled:
    folder = Path(data.path)
    if data.masks is not None:
        return _label_with_masks(read_masks(data, folder, Path(data.masks.path), max_bytes))
    if data.labels is not None:
        listing = list_files(folder, IMAGE_SUFFIXES)
        if not listing.files:
            raise_no_files([data.path], IMAGE_SUFFIXES)
        labels = read_labels(data, listing)
        if not labels.files:
            raise DataError(*labels.errors)
        targets = np.zeros(len(labels.files)) if labels.errors else labels.targets
        return _Labelled(
            labels.files, targets, labels.class_names, labels.value_names, labels.warnings, labels.errors
        )
    found = list_class_files(folder, IMAGE_SUFFIXES)
    return _Labelled(found.files, found.labels, found.class_names, warnings=found.warnings)


def list_files_with_targets(data: Images) -> Sequence[Path]:
    """Return the images that have a mask or a row in the table of labels, in the order of the examples.

    Raises:
        DataError: the table cannot be read.
    """
    if data.masks is not None:
        return list_masked_files(Path(data.path), Path(data.masks.path))
    return read_labels(data, list_files(Path(data.path), IMAGE_SUFFIXES)).files


def _label_with_masks(masks: ImageMasks) -> _Labelled:
    return _Labelled(
        masks.files,
        np.empty(0),
        masks.classes.names,
        warnings=masks.warnings,
        errors=masks.errors,
        masks=masks,
    )


def read_new_dataset(
    data: Images, paths: Sequence[str], reader_state: ReaderState, memory: int | None, *, has_targets: bool
) -> Dataset:
    """Return images that are not from training; see ``Reader`` and ``list_new_files``.

    With ``has_targets``, data with a table of labels is read from other tables of that kind.

    Raises:
        DataError: an image cannot be read, or has a different size or an unknown class.
    """
    excess_pixels.clear()
    class_names, limit = reader_state.single_target_classes(), limit_item_bytes(memory)
    if has_targets and data.masks is not None:
        classes = MaskClasses.from_names(reader_state.class_names)
        labelled = _label_with_masks(
            read_masks(data, *_find_mask_folders(data, data.masks, paths), limit, classes)
        )
        if labelled.errors:
            raise DataError(*labelled.errors)
    elif has_targets and data.labels is not None:
        trained = reader_state.target_columns_of(None) or ()
        labels = read_new_labels(data, paths, reader_state.class_names, trained)
        labelled = _Labelled(labels.files, labels.targets, labels.class_names, labels.value_names)
    else:
        files, targets, warnings = list_new_files(paths, IMAGE_SUFFIXES, class_names, has_targets=has_targets)
        labelled = _Labelled(files, targets, class_names, warnings=warnings)
    images = LazyImages(tuple(labelled.files), data, *reader_state.single_input(), limit_item_bytes(memory))
    return _build_dataset(images, labelled, memory)


def _find_mask_folders(data: Images, masks: MasksConfig, paths: Sequence[str]) -> tuple[Path, Path]:
    """Return the folders of new images and their masks: two paths, or the folders of these names in one path.

    Raises:
        DataError: the path does not contain these folders.
    """
    if len(paths) == 2:
        return Path(paths[0]), Path(paths[1])
    if data.path == masks.path and len(paths) == 1:
        return Path(paths[0]), Path(paths[0])
    folder, names = Path(paths[0]), (Path(data.path).name, Path(masks.path).name)
    if len(paths) > 2 or not all((folder / name).is_dir() for name in names):
        raise_data_error(
            f"{sanitize_text(str(folder))} must contain the folders {names[0]} and {names[1]}, as in training.",
            PATH_KEY,
            "Name the folder of the images, and then that of the masks: `--data images --data masks`.",
        )
    return folder / names[0], folder / names[1]


def _build_dataset(
    images: LazyImages, labelled: _Labelled, memory: int | None, *, is_reread: bool = False
) -> Dataset:
    """Return the images with their targets; ``is_reread`` if each is read several times, as in a training."""
    row_indices = np.arange(len(images))
    targets, files = labelled.targets, images.files
    decoded_bytes = len(images) * prod(images.shape) * images.dtype.itemsize
    if labelled.masks is not None:
        targets = _make_lazy_masks(images, labelled.masks)
        files += targets.files
        decoded_bytes += len(files) * prod(targets.shape) * targets.classes.dtype.itemsize // 2
    target_columns: dict[str | None, tuple[str, ...]] = (
        {None: labelled.value_names} if labelled.value_names else {}
    )
    file_bytes = sum(file.stat().st_size for file in files)
    if is_too_large_to_load(decoded_bytes, file_bytes, memory):
        content_id = (
            f"{hash_content_sample(files[:1])} {_hash_file_sizes(files)} {images.data.size} {images.shape}"
        )
        return LazyDataset(
            {None: SpooledArray(images, images.shape, images.dtype) if is_reread else images},
            {None: targets},
            content_id,
            row_indices,
            labelled.class_names,
            warnings=labelled.warnings,
            target_columns=target_columns,
        )
    y = targets if isinstance(targets, np.ndarray) else targets[row_indices]
    return Examples(
        images[row_indices],
        y,
        labelled.class_names,
        warnings=labelled.warnings,
        target_columns=target_columns,
        target_files=labelled.masks.masks if labelled.masks is not None else (),
        is_movable=True,
    )


def _make_lazy_masks(images: LazyImages, masks: ImageMasks) -> LazyMasks:
    height, width, _ = images.shape
    return LazyMasks(tuple(masks.masks), masks.classes, (height, width), masks.threshold, images.max_bytes)


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
    """The shape of one image: (height, width, channels)."""
    dtype: np.dtype[Any]
    max_bytes: int = MAX_ITEM_BYTES
    """Memory that decoding one image may take."""

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, rows: Array) -> Array:
        """Return images of shape (rows, height, width, channels)."""
        images = make_aligned_array((len(rows), *self.shape), self.dtype)
        files = [self.files[row] for row in rows.tolist()]
        found = run_on_all_cores(len(files), lambda index: self._read_into(files[index], images[index]))
        if found:
            raise DataError(*found)
        return images

    def _read_into(self, file: Path, target: Array) -> Finding | None:
        """Copy the pixels of a file to ``target``; return the finding if they cannot be read or do not fit."""
        image = decode_image(file, self.data.size, self.shape[2], self.max_bytes)
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


def _format_size(shape: tuple[int, ...]) -> str:
    return f"{shape[0]}x{shape[1]}"
