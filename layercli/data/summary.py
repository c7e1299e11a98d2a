"""What examples are like: ranges, what is missing, the balance of classes, a sheet of images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from layercli.data.examples import Array, Parts
from layercli.data.labels import is_labels
from layercli.data.statistics import Statistics, Values, labels_of
from layercli.data.subset import Part, Shuffle

_MOST_CLASSES = 100_000
_SHEET = 64
"""Images on a contact sheet."""
_TILE = 64
"""Least height of an image on it."""


@dataclass(frozen=True, slots=True)
class Feature:
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


def features(found: Statistics) -> list[Feature]:
    """A line for each column, and for each input that is not made of columns."""
    return [feature for name, values in found.inputs.items() for feature in _features(name, values)]


def targets(found: Statistics) -> list[Feature]:
    """A line for each target."""
    return [
        replace(_feature(None, values, 0), name=name or "target") for name, values in found.targets.items()
    ]


def _features(name: str | None, values: Values) -> Iterator[Feature]:
    if not values.columns:
        yield _feature(name, values, None)
    for index, column in enumerate(values.columns):
        yield replace(_feature(name, values, index), name=column)


def _feature(name: str | None, values: Values, column: int | None) -> Feature:
    """A column, or all of them together."""
    chosen = slice(None) if column is None or len(values.missing) == 1 else slice(column, column + 1)
    number = int(values.known[chosen].sum())
    measured = values.dtype != "text" and number > 0
    return Feature(
        name,
        None,
        values.shape,
        values.dtype,
        int(values.missing[chosen].sum() + values.infinite[chosen].sum()),
        len(values.different[column or 0]) if (column or 0) in values.different else None,
        float(values.low[chosen].min()) if measured else None,
        float(values.total[chosen].sum() / number) if measured else None,
        float(values.high[chosen].max()) if measured else None,
        tuple(values.samples[column or 0]) if values.samples else (),
    )


Balance: TypeAlias = list[tuple[str, tuple[int, int, int]]]


def balances(parts: Parts) -> dict[str | None, Balance]:
    """Of each target that is labels: each class by its name, and how many examples of each part have it."""
    found: dict[str | None, Balance] = {}
    each = [labels_of(part) for part in parts.all]
    for target in each[0]:
        three = [labels[target].counts for labels in each]
        seen = {label for counts in three for label in counts}
        if min(seen, default=0) < 0 or max(seen, default=0) > _MOST_CLASSES:
            continue
        names = parts.train.like.names_of(target)
        titles = names or [str(label) for label in range(max(seen, default=-1) + 1)]
        rows = [tuple(counts.get(label, 0) for counts in three) for label in range(len(titles))]
        found[target] = [(title, (a, b, c)) for title, (a, b, c) in zip(titles, rows, strict=True)]
    return found


def write_sheet(source: Part, target: Path) -> bool:
    """Write images of the first input that holds some as one picture, class by class; False where none does."""
    from PIL import Image

    like = source.like
    name, kind = next(
        ((name, array) for name, array in like.arrays if array.ndim == 4 and array.shape[3] in (1, 3, 4)),
        (None, None),
    )
    if kind is None or not len(source):
        return False
    drawn = next(source.batches(_SHEET, shuffle=Shuffle(0, 0)))
    labels = next((labels for _, labels in drawn.targets if is_labels(labels)), np.zeros(len(drawn)))
    images: Array = dict(drawn.arrays)[name][np.argsort(labels, kind="stable")].astype(np.float64)
    low, high = np.nanmin(images), np.nanmax(images)
    if kind.dtype != np.uint8:
        images = np.nan_to_num((images - low) / (high - low or 1.0)) * 255
    side = int(np.ceil(np.sqrt(len(images))))
    scale = max(1, -(-_TILE // images.shape[1]))
    images = images.astype(np.uint8).repeat(scale, axis=1).repeat(scale, axis=2)
    height, width, channels = images.shape[1:]
    sheet = np.zeros((side * (height + 2), side * (width + 2), channels), dtype=np.uint8)
    for number, image in enumerate(images):
        top, left = (number // side) * (height + 2) + 1, (number % side) * (width + 2) + 1
        sheet[top : top + height, left : left + width] = image
    Image.fromarray(sheet[..., 0] if channels == 1 else sheet).save(target, format="PNG")
    return True
