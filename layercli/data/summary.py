"""What examples are like: ranges, what is missing, the balance of classes, a sheet of images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from layercli.data.arrays import Array, Examples, Parts
from layercli.data.targets import is_labels

_SAMPLES = 3
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


def features(examples: Examples) -> list[Feature]:
    """A line for each column, and for each input that is not made of columns."""
    found = []
    for name, array in examples.arrays:
        columns = examples.columns.get(name, ())
        if columns and array.ndim == 2:
            found += [_feature(name, column, array[:, index]) for index, column in enumerate(columns)]
        else:
            found.append(_feature(name, None, array))
    return found


def targets(examples: Examples) -> list[Feature]:
    """A line for each target."""
    return [_feature(None, name or "target", array) for name, array in examples.targets]


def _feature(name: str | None, column: str | None, array: Array) -> Feature:
    flat = array.ravel()
    samples = tuple(value.item() if hasattr(value, "item") else value for value in flat[:_SAMPLES])
    single = array.ndim == 1 or array.shape[1:] == (1,)
    if array.dtype.kind == "O":
        missing = int((flat == "").sum())
        return Feature(
            name, column, array.shape[1:], "text", missing, len(set(flat.tolist())), None, None, None, samples
        )
    known = flat[np.isfinite(flat)] if array.dtype.kind == "f" else flat
    low, mean, high = (
        (float(known.min()), float(known.mean(dtype=np.float64)), float(known.max()))
        if len(known)
        else (None,) * 3
    )
    different = len(np.unique(known)) if single else None
    return Feature(
        name, column, array.shape[1:], array.dtype.name, len(flat) - len(known), different, low, mean, high,
        samples if single else (),
    )  # fmt: skip


Balance: TypeAlias = list[tuple[str, tuple[int, int, int]]]


def balances(parts: Parts) -> dict[str | None, Balance]:
    """Of each target that is labels: each class by its name, and how many examples of each part have it."""
    found: dict[str | None, Balance] = {}
    three = [dict(part.targets) for part in (parts.train, parts.validation, parts.test)]
    for target, labels in three[0].items():
        each = [part[target] for part in three]
        if not is_labels(labels) or min(int(part.min(initial=0)) for part in each) < 0:
            continue
        names = parts.train.names_of(target)
        classes = len(names) if names else max(int(part.max(initial=0)) for part in each) + 1
        counts = [np.bincount(part, minlength=classes).tolist() for part in each]
        titles = names or [str(label) for label in range(classes)]
        found[target] = [(name, (a, b, c)) for name, a, b, c in zip(titles, *counts, strict=True)]
    return found


def write_sheet(examples: Examples, target: Path) -> bool:
    """Write images of the first input that holds some as one picture, class by class; False where none does."""
    from PIL import Image

    array = next(
        (array for _, array in examples.arrays if array.ndim == 4 and array.shape[3] in (1, 3, 4)), None
    )
    if array is None or not len(array):
        return False
    labels = next((labels for _, labels in examples.targets if is_labels(labels)), np.zeros(len(array)))
    order = np.argsort(labels, kind="stable")
    chosen = order[np.linspace(0, len(order) - 1, min(_SHEET, len(order))).astype(int)]
    images = array[chosen].astype(np.float64)
    low, high = np.nanmin(images), np.nanmax(images)
    if array.dtype != np.uint8:
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
