"""Prepare examples for training: one-hot targets and class weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from layercli.data.examples import Examples, ShuffleSeed, Splits, Subset
from layercli.data.labels import is_labels, unwrap_single
from layercli.data.types import Array, DataError, Targets
from layercli.graph.finding import Finding
from layercli.schema.suggestions import did_you_mean
from layercli.source.nodes import KeyPath, sanitize_text

_CLASS_WEIGHT_PATH: KeyPath = ("train", "class_weight")


@dataclass(frozen=True, slots=True)
class MappedSubset(Subset):
    """A subset whose examples are transformed batch by batch."""

    subset: Subset
    transform: Callable[[Examples], Examples]

    def __len__(self) -> int:
        return len(self.subset)

    @property
    def empty_batch(self) -> Examples:
        """An empty batch with the dtypes and shapes of the transformed examples."""
        return self.transform(self.subset.empty_batch)

    def batches(self, size: int, *, shuffle: ShuffleSeed | None = None, start: int = 0) -> Iterator[Examples]:
        """Yield transformed batches; see ``Subset``."""
        return map(self.transform, self.subset.batches(size, shuffle=shuffle, start=start))

    def target_batches(self) -> Iterator[Targets]:
        """Yield the original targets; see ``Subset``."""
        return self.subset.target_batches()

    def digest(self) -> str:
        """Return the digest of the original examples."""
        return self.subset.digest()


def map_subset(subset: Subset, transform: Callable[[Examples], Examples]) -> Subset:
    """Return the subset with its examples transformed; examples in memory are transformed at once."""
    return transform(subset) if isinstance(subset, Examples) else MappedSubset(subset, transform)


def encode_one_hot(splits: Splits, units: Mapping[str | None, int]) -> Splits:
    """Return the splits with one-hot targets for the outputs in ``units``: float32 of shape (samples, units)."""
    if not units:
        return splits

    def encode_examples(examples: Examples) -> Examples:
        y = {name: _encode_labels(labels, units.get(name)) for name, labels in examples.targets}
        return replace(examples, y=unwrap_single(y))

    train, validation, test = (map_subset(subset, encode_examples) for subset in splits.subsets)
    return replace(splits, train=train, validation=validation, test=test)


def _encode_labels(labels: Array, units: int | None) -> Array:
    return labels if units is None or not is_labels(labels) else np.eye(units, dtype=np.float32)[labels]


def apply_class_weights(
    splits: Splits, class_weight: Literal["balanced"] | Mapping[str, float] | None
) -> Splits:
    """Return the splits with each training example weighted by its class weight, multiplied by its example weight, if any.

    Raises:
        DataError: the target has no classes, or a weight is for an unknown class.
    """
    if class_weight is None:
        return splits
    counts = _count_classes(splits.train)
    names = splits.train.empty_batch.class_names_of(None) or tuple(str(label) for label in range(len(counts)))
    if class_weight == "balanced":
        weight_table = _compute_balanced_weights(np.pad(counts, (0, len(names) - len(counts))))
    else:
        weight_table = _tabulate_weights(class_weight, names)
    weight_table = weight_table.astype(np.float32)

    def add_weights(examples: Examples) -> Examples:
        assert isinstance(examples.y, np.ndarray)
        class_weights = weight_table[_get_class_indices(examples.y)]
        return replace(
            examples, weights=class_weights if examples.weights is None else class_weights * examples.weights
        )

    return replace(splits, train=map_subset(splits.train, add_weights))


def _tabulate_weights(class_weight: Mapping[str, float], names: tuple[str, ...]) -> Array:
    """Return the weight of each class, 1 by default: of shape (classes,)."""
    labels = {
        name: names.index(name) if name in names else _parse_label(name, len(names)) for name in class_weight
    }
    unknown = [name for name, label in labels.items() if label is None]
    if unknown:
        raise DataError(*(_unknown_class_finding(name, names) for name in unknown))
    weight_table = np.ones(len(names))
    for name, weight in class_weight.items():
        weight_table[labels[name]] = weight
    return weight_table


def _get_class_indices(y: Array) -> Array:
    """Return the class of each example, from labels or one-hot targets: of shape (samples,)."""
    return y if is_labels(y) else y.argmax(axis=1)


def _count_classes(subset: Subset) -> Array:
    """Return the number of examples of each class: int64 of shape (classes,)."""
    y = subset.empty_batch.y
    if isinstance(y, Mapping):
        raise _class_weight_error(
            "there are several targets", "Give each example a weight in the data with `weights`."
        )
    if not is_labels(y) and (y.ndim != 2 or y.shape[1] < 2):
        raise _class_weight_error(
            "the target is a number", "Remove it, or give each example a weight with `weights`."
        )
    counts = np.zeros(0 if is_labels(y) else y.shape[1], dtype=np.int64)
    for targets in subset.target_batches():
        assert isinstance(targets, np.ndarray)
        batch_counts = np.bincount(_get_class_indices(targets), minlength=len(counts))
        batch_counts[: len(counts)] += counts
        counts = batch_counts
    return counts


def _compute_balanced_weights(counts: Array) -> Array:
    """Return weights that balance all classes with examples, with a mean example weight of 1."""
    present = np.count_nonzero(counts)
    return counts.sum() / (present * np.maximum(counts, 1)) if present else np.ones(len(counts))


def _parse_label(name: str, classes: int) -> int | None:
    return int(name) if name.isdecimal() and int(name) < classes else None


def _class_weight_error(reason: str, hint: str) -> DataError:
    message = f"`class_weight` requires one target with classes, but {reason}."
    return DataError(Finding(code="bad-argument", message=message, path=_CLASS_WEIGHT_PATH, hint=hint))


def _unknown_class_finding(name: str, names: tuple[str, ...]) -> Finding:
    listed = ", ".join(f"`{sanitize_text(known, limit=40)}`" for known in names[:12])
    return Finding(
        code="bad-argument",
        message=f'Unknown class "{sanitize_text(name, limit=60)}".',
        path=(*_CLASS_WEIGHT_PATH, name),
        hint=did_you_mean(name, names, otherwise=f"The classes are {listed}."),
        at_key=True,
    )
