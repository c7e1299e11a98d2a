"""Prepare examples for training: one-hot targets and class weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from layercli.data.examples import Examples, ShuffleSeed, Splits, Subset
from layercli.data.labels import ConvertedForm, is_labels, unwrap_single
from layercli.data.statistics import Statistics
from layercli.data.types import Array, DataError, Targets
from layercli.graph.finding import Finding
from layercli.graph.target_meaning import TargetMeaning
from layercli.schema.suggestions import did_you_mean, list_names
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


def choose_target_forms(
    meanings: Mapping[str | None, TargetMeaning], statistics: Statistics
) -> dict[str | None, ConvertedForm]:
    """Return the form in which each target is split and counted: labels if each example has one class."""
    forms: dict[str | None, ConvertedForm] = {}
    for name, meaning in meanings.items():
        values, column = statistics.target_values.get(name), statistics.targets[name]
        is_complete = not (column.missing_counts + column.infinite_counts).any()
        if meaning.is_one_class and values is not None and values.is_integral and is_complete:
            forms[name] = ConvertedForm("labels", int(values.high - min(values.low, 0)) + 1)
        elif meaning.kind == "numbers":
            forms[name] = ConvertedForm("numbers")
    return forms


def encode_one_hot(splits: Splits) -> Splits:
    """Return the splits with one-hot vectors for labels of targets that are one-hot: float32 of shape (samples, ..., units)."""
    one_hot = {name: meaning for name, meaning in splits.target_meanings.items() if _is_made_one_hot(meaning)}
    if not one_hot:
        return splits

    def encode_examples(examples: Examples) -> Examples:
        y = {name: _encode_labels(labels, one_hot.get(name)) for name, labels in examples.targets}
        return replace(examples, y=unwrap_single(y))

    train, validation, test = (map_subset(subset, encode_examples) for subset in splits.subsets)
    return replace(splits, train=train, validation=validation, test=test)


def _is_made_one_hot(meaning: TargetMeaning) -> bool:
    return meaning.kind == "one-hot" and (meaning.is_converted or meaning.is_one_class)


def _encode_labels(labels: Array, meaning: TargetMeaning | None) -> Array:
    if meaning is None or meaning.classes is None:
        return labels
    positions = labels.shape[: 1 + meaning.position_axes]
    indices: Array = labels.reshape(positions).astype(np.int64)
    return np.eye(meaning.classes, dtype=np.float32)[indices]


def apply_class_weights(
    splits: Splits, class_weight: Literal["balanced"] | Mapping[str, float] | None
) -> Splits:
    """Return the splits with each training example weighted by its class weight, multiplied by its example weight, if any.

    Raises:
        DataError: the target has no classes, or a weight is for an unknown class.
    """
    if class_weight is None:
        return splits
    labels, counts = _count_classes(splits.train)
    names = splits.train.empty_batch.class_names_of(None) or tuple(map(str, labels.tolist()))
    if class_weight == "balanced":
        weight_table = _compute_balanced_weights(np.pad(counts, (0, len(names) - len(counts))))
    else:
        weight_table = _tabulate_weights(class_weight, names)
    weight_table = weight_table.astype(np.float32)

    def add_weights(examples: Examples) -> Examples:
        assert isinstance(examples.y, np.ndarray)
        class_weights = weight_table[np.searchsorted(labels, examples.y)]
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
        raise DataError(*(_make_unknown_class_finding(name, names) for name in unknown))
    weight_table = np.ones(len(names))
    for name, weight in class_weight.items():
        weight_table[labels[name]] = weight
    return weight_table


def _count_classes(subset: Subset) -> tuple[Array, Array]:
    """Return the labels of all classes, and the number of examples of each: int64 of shape (classes,)."""
    y = subset.empty_batch.y
    if isinstance(y, Mapping):
        raise _class_weight_error(
            "there are several targets", "Give each example a weight in the data with `weights`."
        )
    if not is_labels(y):
        raise _class_weight_error(
            "the target is a number", "Remove it, or give each example a weight with `weights`."
        )
    counts: dict[int, int] = {}
    for targets in subset.target_batches():
        assert isinstance(targets, np.ndarray)
        for label, count in zip(*np.unique(targets, return_counts=True), strict=True):
            counts[int(label)] = counts.get(int(label), 0) + int(count)
    names = subset.empty_batch.class_names_of(None)
    classes = max(max(counts, default=-1) + 1, len(names or ()))
    labels = np.array(sorted(counts) if min(counts, default=0) < 0 else range(classes), dtype=np.int64)
    return labels, np.array([counts.get(label, 0) for label in labels.tolist()], dtype=np.int64)


def _compute_balanced_weights(counts: Array) -> Array:
    """Return weights that balance all classes with examples, with a mean example weight of 1."""
    present = np.count_nonzero(counts)
    return counts.sum() / (present * np.maximum(counts, 1)) if present else np.ones(len(counts))


def _parse_label(name: str, classes: int) -> int | None:
    return int(name) if name.isdecimal() and int(name) < classes else None


def _class_weight_error(reason: str, hint: str) -> DataError:
    message = f"`class_weight` requires one target with classes, but {reason}."
    return DataError(Finding(code="bad-argument", message=message, path=_CLASS_WEIGHT_PATH, hint=hint))


def _make_unknown_class_finding(name: str, names: tuple[str, ...]) -> Finding:
    return Finding(
        code="bad-argument",
        message=f'Unknown class "{sanitize_text(name, limit=60)}".',
        path=(*_CLASS_WEIGHT_PATH, name),
        hint=did_you_mean(name, names, otherwise=f"The classes are {list_names(names)}."),
        at_key=True,
    )
