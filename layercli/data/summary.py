"""What examples are like: ranges, what is missing, the balance of classes, a sheet of images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from layercli.data.examples import Array, Splits
from layercli.data.labels import is_labels
from layercli.data.statistics import ArrayStatistics, Statistics, count_labels
from layercli.data.subset import ShuffleSeed, Subset

_MAX_CLASSES = 100_000
_SHEET_IMAGES = 64
"""Images on a contact sheet."""
_MIN_TILE_HEIGHT = 64
"""Least height of an image on it."""


@dataclass(frozen=True, slots=True)
class FeatureSummary:
    """A column, or a whole array where its values have no names."""

    input: str | None
    name: str | None
    shape: tuple[int, ...]
    dtype: str
    missing: int
    different: int | None
    """Different values, of a column."""
    low: float | None
    mean: float | None
    high: float | None
    samples: tuple[Any, ...]
    """Values of the first examples."""


def summarize_features(statistics: Statistics) -> list[FeatureSummary]:
    """A line for each column, and for each input that is not made of columns."""
    return [
        feature for name, values in statistics.inputs.items() for feature in _summarize_columns(name, values)
    ]


def summarize_targets(statistics: Statistics) -> list[FeatureSummary]:
    """A line for each target."""
    return [
        replace(_summarize_column(None, values, 0), name=name or "target")
        for name, values in statistics.targets.items()
    ]


def _summarize_columns(name: str | None, values: ArrayStatistics) -> Iterator[FeatureSummary]:
    if not values.columns:
        yield _summarize_column(name, values, None)
    for index, column in enumerate(values.columns):
        yield replace(_summarize_column(name, values, index), name=column)


def _summarize_column(name: str | None, values: ArrayStatistics, column: int | None) -> FeatureSummary:
    """A column, or all of them together."""
    chosen = slice(None) if column is None or len(values.missing_counts) == 1 else slice(column, column + 1)
    finite_count = int(values.finite_counts[chosen].sum())
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


ClassBalance: TypeAlias = list[tuple[str, tuple[int, int, int]]]


def compute_class_balances(splits: Splits) -> dict[str | None, ClassBalance]:
    """Of each target that is labels: each class by its name, and how many examples of each part have it."""
    found: dict[str | None, ClassBalance] = {}
    labels_by_split = [count_labels(part) for part in splits.subsets]
    for target in labels_by_split[0]:
        split_counts = [labels[target].counts for labels in labels_by_split]
        seen = {label for counts in split_counts for label in counts}
        if min(seen, default=0) < 0 or max(seen, default=0) > _MAX_CLASSES:
            continue
        names = splits.train.empty_batch.class_names_of(target)
        titles = names or [str(label) for label in range(max(seen, default=-1) + 1)]
        rows = [tuple(counts.get(label, 0) for counts in split_counts) for label in range(len(titles))]
        found[target] = [(title, (a, b, c)) for title, (a, b, c) in zip(titles, rows, strict=True)]
    return found


def write_contact_sheet(subset: Subset, path: Path) -> bool:
    """Write images of the first input that holds some as one picture, class by class; False where none does."""
    from PIL import Image

    like = subset.empty_batch
    name, kind = next(
        ((name, array) for name, array in like.inputs if array.ndim == 4 and array.shape[3] in (1, 3, 4)),
        (None, None),
    )
    if kind is None or not len(subset):
        return False
    drawn = next(subset.batches(_SHEET_IMAGES, shuffle=ShuffleSeed(0, 0)))
    labels = next((labels for _, labels in drawn.targets if is_labels(labels)), np.zeros(len(drawn)))
    images: Array = dict(drawn.inputs)[name][np.argsort(labels, kind="stable")].astype(np.float64)
    low, high = np.nanmin(images), np.nanmax(images)
    if kind.dtype != np.uint8:
        images = np.nan_to_num((images - low) / (high - low or 1.0)) * 255
    side = int(np.ceil(np.sqrt(len(images))))
    scale = max(1, -(-_MIN_TILE_HEIGHT // images.shape[1]))
    images = images.astype(np.uint8).repeat(scale, axis=1).repeat(scale, axis=2)
    height, width, channels = images.shape[1:]
    sheet = np.zeros((side * (height + 2), side * (width + 2), channels), dtype=np.uint8)
    for number, image in enumerate(images):
        top, left = (number // side) * (height + 2) + 1, (number % side) * (width + 2) + 1
        sheet[top : top + height, left : left + width] = image
    Image.fromarray(sheet[..., 0] if channels == 1 else sheet).save(path, format="PNG")
    return True
