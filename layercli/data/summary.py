"""Summaries of examples: ranges, missing values, class balance and a contact sheet of images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from layercli.data.examples import Examples, ShuffleSeed, Splits, Subset
from layercli.data.labels import is_labels
from layercli.data.statistics import ArrayStatistics, Statistics, count_labels
from layercli.data.types import Array

_MAX_CLASS_LABEL = 100_000
_VOID = 255
"""The usual value of pixels without a class."""
_SHEET_IMAGES = 64
"""Maximum number of images on a contact sheet."""
_SHEET_BYTES = 1 << 26
"""Maximum size of the images of a contact sheet in memory."""
_MIN_TILE_HEIGHT = 64
"""Minimum height of an image on a contact sheet, in pixels."""


@dataclass(frozen=True, slots=True)
class FeatureSummary:
    """Summary of a column, or of a whole array without column names."""

    input: str | None
    name: str | None
    shape: tuple[int, ...]
    dtype: str
    missing: int
    different: int | None
    """Number of distinct values of a column."""
    low: float | None
    mean: float | None
    high: float | None
    samples: tuple[Any, ...]
    """Values of the first examples."""


ClassBalance: TypeAlias = list[tuple[str, tuple[int, int, int]]]
"""Class name and its number of training, validation and test examples."""


def summarize_features(statistics: Statistics) -> list[FeatureSummary]:
    """Return a summary for each column, and for each input without columns."""
    return [
        feature for name, values in statistics.inputs.items() for feature in _summarize_columns(name, values)
    ]


def summarize_targets(statistics: Statistics) -> list[FeatureSummary]:
    """Return a summary for each target, or for each column of a target with several."""
    summaries: list[FeatureSummary] = []
    for name, values in statistics.targets.items():
        if values.columns:
            summaries += _summarize_columns(name, values)
        else:
            summary = _summarize_column(None, values, 0, values.finite_counts)
            summaries.append(replace(summary, name=name or "target"))
    return summaries


def _summarize_columns(name: str | None, values: ArrayStatistics) -> Iterator[FeatureSummary]:
    finite_counts = values.finite_counts  # once: for each column it would take quadratic time
    if not values.columns:
        yield _summarize_column(name, values, None, finite_counts)
    for index, column in enumerate(values.columns):
        yield replace(_summarize_column(name, values, index, finite_counts), name=column)


def _summarize_column(
    name: str | None, values: ArrayStatistics, column: int | None, finite_counts: Array
) -> FeatureSummary:
    """Summarize one column, or all columns together if ``column`` is None."""
    chosen = slice(None) if column is None or len(values.missing_counts) == 1 else slice(column, column + 1)
    finite_count = int(finite_counts[chosen].sum())
    has_range = values.dtype != "text" and finite_count > 0
    return FeatureSummary(
        name,
        None,
        values.shape,
        values.dtype,
        int(values.missing_counts[chosen].sum() + values.infinite_counts[chosen].sum()),
        len(values.distinct_values[column or 0]) if (column or 0) in values.distinct_values else None,
        float(values.minima[chosen].min()) if has_range else None,
        float(values.totals[chosen].sum() / finite_count) if has_range else None,
        float(values.maxima[chosen].max()) if has_range else None,
        tuple(values.sample_values[column or 0]) if values.sample_values else (),
    )


def compute_class_balances(splits: Splits) -> dict[str | None, ClassBalance]:
    """Return the class balance of each target that is labels."""
    balances: dict[str | None, ClassBalance] = {}
    labels_by_split = [count_labels(subset, splits.target_meanings) for subset in splits.subsets]
    for target in labels_by_split[0]:
        split_counts = [labels[target].counts for labels in labels_by_split]
        seen = {label for counts in split_counts for label in counts}
        if max(seen, default=0) > _MAX_CLASS_LABEL:
            continue
        batch = splits.train.empty_batch
        names = batch.class_names_of(target)
        meaning = splits.target_meanings.get(target)
        if names is None and meaning is not None and meaning.kind in ("multi-label", "one-hot"):
            names = batch.target_columns.get(target)
        classes = len(names or ()) or (meaning.classes if meaning is not None else None)
        are_signs = meaning is not None and meaning.kind == "signs"
        labels = sorted(seen.union(range(classes) if classes and not are_signs else _list_labels(seen)))
        rows = [tuple(counts.get(label, 0) for counts in split_counts) for label in labels]
        titles = names if names and len(names) == len(labels) else [str(label) for label in labels]
        balances[target] = [(title, (a, b, c)) for title, (a, b, c) in zip(titles, rows, strict=True)]
    return balances


def _list_labels(seen: set[int]) -> list[int]:
    """Return the labels from 0 to the largest, and the value of pixels without a class; none with labels below 0."""
    last = max(seen, default=-1)
    if min(seen, default=0) < 0:
        return []
    if last == _VOID and _VOID // 2 not in seen:
        return [*range(max(seen - {_VOID}, default=-1) + 1), _VOID]
    return list(range(last + 1))


def write_contact_sheet(subset: Subset, path: Path) -> bool:
    """Write images of the first image input as one PNG, sorted by class; return False if there are none."""
    from PIL import Image

    names = [name for name, array in subset.empty_batch.inputs if is_image_batch(array)]
    if not names or not len(subset):
        return False
    count = min(_SHEET_IMAGES, _SHEET_BYTES // max(1, subset.count_example_bytes()))
    if not count:
        return False  # one image would be larger than a sheet
    batch = next(subset.batches(count, shuffle=ShuffleSeed(0, 0)))
    images = scale_to_bytes(_sort_by_class(batch, dict(batch.inputs)[names[0]]))
    scale = max(1, -(-_MIN_TILE_HEIGHT // images.shape[1]))
    sheet = _tile_images(images.repeat(scale, axis=1).repeat(scale, axis=2))
    Image.fromarray(sheet[..., 0] if sheet.shape[2] == 1 else sheet).save(path, format="PNG")
    return True


def is_image_batch(array: Array) -> bool:
    """Return whether an array is images of shape (samples, height, width, channels)."""
    return array.ndim == 4 and array.shape[3] in (1, 3, 4)


def _sort_by_class(batch: Examples, images: Array) -> Array:
    labels = next((labels for _, labels in batch.targets if is_labels(labels)), np.zeros(len(batch)))
    return np.asarray(images[np.argsort(labels, kind="stable")])


def scale_to_bytes(images: Array) -> Array:
    """Return the images as uint8, scaled from their range to 0..255 unless they are uint8 already."""
    if images.dtype == np.uint8:
        return images
    images = images.astype(np.float64)
    low, high = np.nanmin(images), np.nanmax(images)
    return np.asarray((np.nan_to_num((images - low) / (high - low or 1.0)) * 255).astype(np.uint8))


def _tile_images(images: Array) -> Array:
    """Return one image of shape (height, width, channels) with all images in a square grid, one pixel apart."""
    side = int(np.ceil(np.sqrt(len(images))))
    height, width, channels = images.shape[1:]
    sheet = np.zeros((side * (height + 2), side * (width + 2), channels), dtype=np.uint8)
    for number, image in enumerate(images):
        top, left = (number // side) * (height + 2) + 1, (number % side) * (width + 2) + 1
        sheet[top : top + height, left : left + width] = image
    return sheet
