"""Read the masks of images: a class for each pixel, as a number or as a color."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from layercli.data.class_folders import FolderFiles, list_files, make_skipped_finding, raise_no_files
from layercli.data.cores import run_on_all_cores
from layercli.data.memory import MAX_ITEM_BYTES
from layercli.data.types import Array, DataError, make_data_finding
from layercli.formats.images.config import IMAGE_SUFFIXES, Images
from layercli.formats.images.decode import (
    JPEG_FORMATS,
    convert_mode,
    measure_image,
    open_image,
    turn_upright,
)
from layercli.formats.images.mask_names import strip_image_word, strip_mask_word, without_masks
from layercli.graph.finding import Finding
from layercli.io.paths import compose_name
from layercli.source.nodes import KeyPath, sanitize_text

_KEY: Final[KeyPath] = ("data", "masks", "path")
_DEEP_MODES: Final = ("I", "I;16", "I;16B", "I;16L")
"""The modes of Pillow for gray values above 255."""
_NUMBER_MODES: Final = ("1", "L", "P", *_DEEP_MODES)
_MAX_COLORS: Final = 256
_MAX_LISTED = 3
_MANY_MASKS: Final = 10
_BINARY_MASK: Final = [0, 255]
"""The values of a mask that only says where something is."""
_THRESHOLD: Final = 128
_EXTREME_VALUES: Final = 16
"""Gray values that are black, from 0, and as many that are white: JPEG changes them a little."""
_EXTREME_SHARE: Final = 0.9
"""The least share of black and white pixels in masks that have only these apart from their edges."""
_THRESHOLD_HINT: Final = f"add `threshold: {_THRESHOLD}` to `masks`."


@dataclass(frozen=True, slots=True)
class MaskClasses:
    """The classes of masks: the values that a pixel can have, in ascending order."""

    values: tuple[int, ...]
    """Numbers, or colors as 0xrrggbb."""
    are_colors: bool
    is_mapped: bool
    """Whether the first value is class 0, the second is class 1, and so on; otherwise the values are the class numbers."""

    @property
    def names(self) -> tuple[str, ...] | None:
        """The names of mapped classes: numbers, or colors such as #ff0000."""
        if not self.is_mapped:
            return None
        return tuple(f"#{value:06x}" if self.are_colors else str(value) for value in self.values)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The smallest dtype of the class numbers."""
        largest = len(self.values) - 1 if self.is_mapped else max(self.values)
        return np.dtype(np.uint8 if largest <= 255 else np.int32)

    @classmethod
    def from_names(cls, names: Sequence[str] | None) -> MaskClasses:
        """Return the classes of training, whose names the run keeps."""
        if names is None:
            return cls((0,), are_colors=False, is_mapped=False)
        are_colors = names[0].startswith("#")
        values = tuple(int(name[1:], 16) if are_colors else int(name) for name in names)
        return cls(values, are_colors, is_mapped=True)


@dataclass(frozen=True, slots=True)
class ImageMasks:
    """The images that have masks, the mask of each, and the classes."""

    files: list[Path]
    masks: list[Path]
    classes: MaskClasses
    warnings: tuple[Finding, ...] = ()
    errors: tuple[Finding, ...] = ()
    """A finding for each image without a mask, and for each mask that is wrong; ``files`` and ``masks`` are the others."""
    rare_values: Mapping[int, Path] = field(default_factory=dict)
    """The values that only one of many masks has -> that mask."""
    threshold: int | None = None
    """The gray value from which a pixel has the class 255; None: each value is a class."""


def _list_images_and_masks(images: Path, masks: Path) -> tuple[FolderFiles, FolderFiles]:
    """Return the files of a folder of images without masks, and those of the folder of masks, which can be the same."""
    listing, mask_listing = list_files(images, IMAGE_SUFFIXES), list_files(masks, IMAGE_SUFFIXES, _KEY)
    inner = masks.resolve()
    if images.resolve() == inner:
        kept = without_masks(listing.files)
        are_images = {*kept}
        mask_files = [file for file in listing.files if file not in are_images]
        return replace(listing, files=kept), replace(mask_listing, files=mask_files, skipped=[])
    files, skipped = (
        [file for file in each if not file.resolve().is_relative_to(inner)]
        for each in (listing.files, listing.skipped)
    )
    return FolderFiles(images, files, skipped), mask_listing


def list_masked_files(images: Path, masks: Path) -> list[Path]:
    """Return the images of a folder that have masks in another, in the order of their examples."""
    pairs, *_ = _match_masks(*_list_images_and_masks(images, masks))
    return [image for image, _ in pairs]


def read_masks(
    data: Images, images: Path, masks: Path, max_bytes: int, trained: MaskClasses | None = None
) -> ImageMasks:
    """Return the images of a folder with the masks of another, after looking at every mask.

    ``trained`` are the classes of training, for new masks.

    Raises:
        DataError: the folder has no images, no mask can be used, or the masks are of several kinds.
    """
    listing, mask_listing = _list_images_and_masks(images, masks)
    if not listing.files:
        raise_no_files([str(images)], IMAGE_SUFFIXES)
    threshold = None if data.masks is None else data.masks.threshold
    pairs, errors, warnings = _match_masks(listing, mask_listing)
    pairs, values_of_masks, are_colors, wrong = _scan_masks(pairs, max_bytes, threshold)
    values = sorted({value for each in values_of_masks for value in each})
    errors += wrong
    if not pairs:
        raise DataError(*errors)
    if threshold is not None:
        classes = MaskClasses(tuple(_BINARY_MASK), are_colors=False, is_mapped=True)
    elif trained is None or not trained.is_mapped:
        is_binary = not are_colors and values == _BINARY_MASK
        classes = MaskClasses(
            tuple(values),
            are_colors,
            is_mapped=trained is None and (are_colors or is_binary or data.target_type == "labels"),
        )
    else:
        classes = trained
    if trained is not None:
        errors += _check_known(values, are_colors, trained, masks)
    warnings = [
        *listing.make_warnings(IMAGE_SUFFIXES),
        *mask_listing.make_warnings(IMAGE_SUFFIXES, _KEY),
        *warnings,
    ]
    images_with_masks, masks_of_images = zip(*pairs, strict=True)
    return ImageMasks(
        [*images_with_masks],
        [*masks_of_images],
        classes,
        tuple(warnings),
        tuple(errors),
        _find_rare_values(masks_of_images, values_of_masks),
        threshold,
    )


def _find_rare_values(masks: Sequence[Path], values_of_masks: Sequence[Sequence[int]]) -> dict[int, Path]:
    """Return the values that only one of many masks has, with that mask."""
    counts = Counter(value for values in values_of_masks for value in values)
    is_clear = len(masks) >= _MANY_MASKS and len(counts) > 2
    return {
        value: mask
        for mask, values in zip(masks, values_of_masks, strict=True)
        for value in values
        if is_clear and counts[value] == 1
    }


class _MaskIndex:
    """The masks of a folder by their paths in it and by their names, with and without a word such as ``mask``."""

    def __init__(self, masks: FolderFiles) -> None:
        self._tables: tuple[dict[str, list[Path]], ...] = ({}, {}, {}, {})
        for file in masks.files:
            path = _name_path(masks.folder, file)
            stripped = strip_mask_word(path) or path
            keys = (path.as_posix(), path.name, stripped.as_posix(), stripped.name)
            for table, key in zip(self._tables, keys, strict=True):
                table.setdefault(key, []).append(file)

    def find(self, image: Path) -> list[Path]:
        """Return the masks of an image, given its path in the folder of images without its suffix."""
        for path in (image, strip_image_word(image)):
            keys = () if path is None else (path.as_posix(), path.name) * 2
            for table, key in zip(self._tables, keys, strict=False):
                if key in table:
                    return table[key]
        return []


def _name_path(folder: Path, file: Path) -> Path:
    """Return the path of a file in a folder by which an image and its mask are compared."""
    return Path(compose_name(str(file.relative_to(folder).with_suffix(""))))


def _match_masks(
    images: FolderFiles, masks: FolderFiles
) -> tuple[list[tuple[Path, Path]], list[Finding], list[Finding]]:
    """Return images with their masks, a finding for each image without one, and a warning about masks without an image."""
    index = _MaskIndex(masks)
    pairs: list[tuple[Path, Path]] = []
    findings: list[Finding] = []
    used: set[Path] = set()
    for file in images.files:
        path = _name_path(images.folder, file)
        found = index.find(path)
        used.update(found)
        if len(found) == 1:
            pairs.append((file, found[0]))
        elif not found:
            message = (
                f"The image {sanitize_text(str(file))} has no mask in {sanitize_text(str(masks.folder))}."
            )
            shown = sanitize_text(path.as_posix())
            hint = f"Add {shown}.png or {shown}_mask.png there, with any suffix."
            findings.append(make_data_finding(message, _KEY, hint))
        else:
            listed = " and ".join(sanitize_text(str(mask)) for mask in found[:2])
            message = f"The image {sanitize_text(str(file))} has several masks: {listed}."
            findings.append(make_data_finding(message, _KEY, "Keep one of them."))
    rest = [file for file in masks.files if file not in used]
    if not rest:
        return pairs, findings, []
    listed = ", ".join(sanitize_text(str(file.relative_to(masks.folder))) for file in rest[:_MAX_LISTED])
    more = f" and {len(rest) - _MAX_LISTED:,} more" if len(rest) > _MAX_LISTED else ""
    noun, have, are = ("mask", "has", "is") if len(rest) == 1 else ("masks", "have", "are")
    message = f"{len(rest):,} {noun} in {sanitize_text(str(masks.folder))} {have} no image and {are} left out: {listed}{more}."
    return pairs, findings, [make_skipped_finding(message, "Add their images, or remove them.", _KEY)]


def _scan_masks(
    pairs: Sequence[tuple[Path, Path]], max_bytes: int, threshold: int | None
) -> tuple[list[tuple[Path, Path]], list[list[int]], bool, list[Finding]]:
    """Return the images with usable masks, the values of each in ascending order, whether they are colors, and findings.

    There is a finding for each mask that cannot be opened, whose image cannot be opened, or whose size is different.

    Raises:
        DataError: the masks are not of one kind.
    """
    found: list[tuple[Array, bool] | None] = [None] * len(pairs)

    jpeg_masks: list[Path] = []

    def scan(index: int) -> Finding | None:
        image_file, mask_file = pairs[index]
        size = open_image(image_file, measure_image, max_bytes, is_decoded=False)
        if isinstance(size, Finding):
            return size
        mask = _read_mask(mask_file, max_bytes, threshold)
        if mask is None:
            jpeg_masks.append(mask_file)
            return None
        if isinstance(mask, Finding):
            return mask
        if mask.shape[:2] != size:
            (height, width), (mask_height, mask_width) = size, mask.shape[:2]
            message = (
                f"The mask {sanitize_text(str(mask_file))} is {mask_height}x{mask_width}, "
                f"but its image {sanitize_text(str(image_file))} is {height}x{width}."
            )
            return make_data_finding(message, _KEY, "Save both with the same height and width.")
        codes = _encode_colors(mask) if mask.ndim == 3 else mask
        values = _find_values(codes)
        is_gray = mask.ndim == 2 or bool(np.isin(values, _GRAYS).all())
        found[index] = (values & 255 if mask.ndim == 3 and is_gray else values, not is_gray)
        return None

    findings = run_on_all_cores(len(pairs), scan)
    if jpeg_masks:
        findings.append(_make_jpeg_finding(sorted(jpeg_masks)))
    usable = [content for content in found if content is not None]
    are_colors = any(has_colors for _, has_colors in usable)
    if are_colors:
        usable = [(values if has_colors else values * 0x010101, True) for values, has_colors in usable]
    values_of_masks = [values.tolist() for values, _ in usable]
    distinct = {value for values in values_of_masks for value in values}
    if are_colors and len(distinct) > _MAX_COLORS:
        message = f"The masks have {len(distinct):,} colors, but a mask has one color for each class."
        hint = (
            "Save them without smooth edges and without loss, such as PNG, or as class numbers in gray. "
            f"For black and white, {_THRESHOLD_HINT}"
        )
        raise DataError(*findings, make_data_finding(message, _KEY, hint))
    kept = [pair for pair, content in zip(pairs, found, strict=True) if content is not None]
    return kept, values_of_masks, are_colors, findings


_GRAYS: Final = np.arange(256) * 0x010101


def _read_mask(
    file: Path, max_bytes: int, threshold: int | None, size: Sequence[int] | None = None
) -> Array | Finding | None:
    """Return a mask, scaled to ``size`` without new values: numbers of shape (height, width), or colors (height, width, 3).

    With a threshold, all numbers are 0 or 255. None: a JPEG file without a threshold.
    """

    def read(mask: Any) -> Array | None:
        if threshold is None and mask.format in JPEG_FORMATS:
            return None
        if mask.mode == "F":
            raise ValueError("it has fractions, but a mask has integers")
        if mask.format == "TIFF":
            mask.load()
        is_gray = threshold is not None and mask.mode not in _DEEP_MODES
        if is_gray or mask.mode not in _NUMBER_MODES:
            mask = convert_mode(mask, "L" if is_gray or mask.mode == "LA" else "RGB")
        pixels: Array = turn_upright(np.asarray(mask), mask)
        if threshold is not None:
            pixels = (pixels >= threshold).astype(np.uint8) * 255
        if size is not None and pixels.shape[:2] != tuple(size):
            rows, columns = (
                (np.arange(new) * 2 + 1) * old // (2 * new)
                for new, old in zip(size, pixels.shape, strict=False)
            )
            pixels = pixels[rows[:, np.newaxis], columns]
        return pixels.astype(np.uint8) if pixels.dtype == bool else pixels

    return open_image(file, read, max_bytes, noun="mask", key=_KEY)


def _make_jpeg_finding(masks: Sequence[Path]) -> Finding:
    """Return the finding of masks in JPEG files, given in ascending order."""
    listed = ", ".join(sanitize_text(str(mask)) for mask in masks[:_MAX_LISTED])
    more = f" and {len(masks) - _MAX_LISTED:,} more" if len(masks) > _MAX_LISTED else ""
    noun = "The mask is a JPEG file" if len(masks) == 1 else f"{len(masks):,} masks are JPEG files"
    message = f"{noun}, which do{'es' * (len(masks) == 1)} not keep class numbers: {listed}{more}."
    return make_data_finding(
        message, _KEY, f"Save them as PNG. If they are black and white, {_THRESHOLD_HINT}"
    )


def find_threshold(images: Path, masks: Path, max_bytes: int) -> int | None:
    """Return the gray value between black and white, if the masks have only these apart from smooth edges or JPEG losses."""
    pairs, *_ = _match_masks(*_list_images_and_masks(images, masks))
    counts_of_masks: list[Array | None] = [None] * len(pairs)

    def count_values(mask: Any) -> Array:
        if mask.mode in _DEEP_MODES:
            raise ValueError("its gray values are above 255")
        return np.bincount(np.asarray(convert_mode(mask, "L")).ravel(), minlength=256)

    def scan(index: int) -> Finding | None:
        counts = open_image(pairs[index][1], count_values, max_bytes, noun="mask", key=_KEY)
        if isinstance(counts, Finding):
            return counts
        counts_of_masks[index] = counts
        return None

    if not pairs or run_on_all_cores(len(pairs), scan):
        return None
    counts = np.sum([each for each in counts_of_masks if each is not None], axis=0)
    black, white = counts[:_EXTREME_VALUES].sum(), counts[-_EXTREME_VALUES:].sum()
    is_binary = min(black, white) > 0 and black + white >= _EXTREME_SHARE * counts.sum()
    return _THRESHOLD if is_binary else None


def _encode_colors(pixels: Array) -> Array:
    """Return colors of shape (height, width, 3) as integers 0xrrggbb: int32 of shape (height, width)."""
    red, green, blue = (pixels[..., index].astype(np.int32) for index in range(3))
    return (red << 16) | (green << 8) | blue


def _find_values(codes: Array) -> Array:
    if codes.dtype == np.uint8:
        return np.flatnonzero(np.bincount(codes.ravel(), minlength=256))
    return np.unique(codes).astype(np.int64)


def _check_known(
    values: Sequence[int], are_colors: bool, classes: MaskClasses, folder: Path
) -> list[Finding]:
    """Return the finding of values of new masks that are not classes of training."""
    if classes.are_colors and not are_colors:
        values = [value * 0x010101 for value in values]
    unknown = [value for value in values if classes.is_mapped and value not in classes.values]
    if not unknown and (classes.are_colors or not are_colors):
        return []
    value = [*unknown, *values][0]
    shown = f"#{value:06x}" if are_colors or classes.are_colors else str(value)
    message = f"The masks in {sanitize_text(str(folder))} have the value {shown}, which is not in the training data."
    known = ", ".join((classes.names or ())[:12]) or "class numbers"
    return [make_data_finding(message, _KEY, f"The classes are {known}.")]


@dataclass(frozen=True, slots=True)
class LazyMasks:
    """Masks in files, decoded on all cores when they are needed."""

    files: tuple[Path, ...]
    classes: MaskClasses
    shape: tuple[int, int]
    """(height, width)."""
    threshold: int | None = None
    max_bytes: int = MAX_ITEM_BYTES

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, rows: Array) -> Array:
        """Return class numbers of shape (rows, height, width)."""
        masks = np.empty((len(rows), *self.shape), self.classes.dtype)
        files = [self.files[row] for row in rows.tolist()]
        found = run_on_all_cores(len(files), lambda index: self._read_into(files[index], masks[index]))
        if found:
            raise DataError(*found)
        return masks

    def _read_into(self, file: Path, target: Array) -> Finding | None:
        mask = _read_mask(file, self.max_bytes, self.threshold, self.shape)
        if mask is None:
            return _make_jpeg_finding([file])
        if isinstance(mask, Finding):
            return mask
        if self.classes.are_colors:
            mask = _encode_colors(mask) if mask.ndim == 3 else mask.astype(np.int32) * 0x010101
        elif mask.ndim == 3:
            mask = mask[..., 0]  # all masks are gray
        if self.classes.is_mapped:
            target[...] = np.searchsorted(self.classes.values, mask)
        else:
            target[...] = mask
        return None
