"""What training is fed beyond what was read: one-hot targets where the loss takes them, and weights of classes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from layercli.data.examples import Array, Examples, Parts, RefusedDataError, Targets
from layercli.data.labels import alone, is_labels
from layercli.data.subset import Part, Shuffle
from layercli.graph.finding import Finding
from layercli.schema.suggestions import did_you_mean
from layercli.source.nodes import KeyPath, printable

_CLASS_WEIGHT: KeyPath = ("train", "class_weight")


@dataclass(frozen=True, slots=True)
class Changed:
    """A part whose examples are changed as they are drawn."""

    part: Part
    change: Callable[[Examples], Examples]

    def __len__(self) -> int:
        return len(self.part)

    @property
    def like(self) -> Examples:
        """None of the examples, in the dtypes and shapes of all."""
        return self.change(self.part.like)

    def batches(self, size: int, *, shuffle: Shuffle | None = None, start: int = 0) -> Iterator[Examples]:
        """One pass in batches: see ``Part``."""
        return map(self.change, self.part.batches(size, shuffle=shuffle, start=start))

    def target_batches(self) -> Iterator[Targets]:
        """The targets as they were read."""
        return self.part.target_batches()

    def digest(self) -> str:
        """That of the examples as they were read."""
        return self.part.digest()


def changed(part: Part, change: Callable[[Examples], Examples]) -> Part:
    """The part with its examples changed; of examples in memory all at once."""
    return change(part) if isinstance(part, Examples) else Changed(part, change)


def one_hot(parts: Parts, units: Mapping[str | None, int]) -> Parts:
    """The parts with labels as one-hot targets, float32 of shape (samples, units), where an output has ``units``."""
    if not units:
        return parts

    def change(examples: Examples) -> Examples:
        y = {name: _one_hot(labels, units.get(name)) for name, labels in examples.targets}
        return replace(examples, y=alone(y))

    train, validation, test = (changed(part, change) for part in parts.all)
    return replace(parts, train=train, validation=validation, test=test)


def _one_hot(labels: Array, units: int | None) -> Array:
    return labels if units is None or not is_labels(labels) else np.eye(units, dtype=np.float32)[labels]


def weighted(parts: Parts, weight: Literal["balanced"] | Mapping[str, float] | None) -> Parts:
    """The parts with each training example weighing as much as its class, times its own weight where it has one.

    Raises:
        RefusedDataError: the target is no class, or a weight is for none of the classes.
    """
    if weight is None:
        return parts
    counts = _class_counts(parts.train)
    names = parts.train.like.names_of(None) or tuple(str(label) for label in range(len(counts)))
    if weight == "balanced":
        table = _balanced(np.pad(counts, (0, len(names) - len(counts))))
    else:
        table = np.ones(len(names))
        unknown = [name for name in weight if name not in names and _label(name, len(names)) is None]
        if unknown:
            raise RefusedDataError(*(_unknown(name, names) for name in unknown))
        for name, value in weight.items():
            table[names.index(name) if name in names else _label(name, len(names))] = value
    table = table.astype(np.float32)

    def change(examples: Examples) -> Examples:
        assert isinstance(examples.y, np.ndarray)
        own = table[_classes(examples.y)]
        return replace(examples, weights=own if examples.weights is None else own * examples.weights)

    return replace(parts, train=changed(parts.train, change))


def _classes(y: Array) -> Array:
    """The class of each example, of labels or one-hot targets."""
    return y if is_labels(y) else y.argmax(axis=1)


def _class_counts(part: Part) -> Array:
    """How many training examples have each class."""
    y = part.like.y
    if isinstance(y, Mapping):
        raise _no_classes("there are several targets", "Give each example a weight in the data: `weights`.")
    if not is_labels(y) and (y.ndim != 2 or y.shape[1] < 2):
        raise _no_classes("the target is a number", "Remove it, or give each example a weight: `weights`.")
    counts = np.zeros(0 if is_labels(y) else y.shape[1], dtype=np.int64)
    for targets in part.target_batches():
        assert isinstance(targets, np.ndarray)
        found = np.bincount(_classes(targets), minlength=len(counts))
        found[: len(counts)] += counts
        counts = found
    return counts


def _balanced(counts: Array) -> Array:
    """Weights with which all classes that are there count the same, and the mean weight is 1."""
    present = np.count_nonzero(counts)
    return counts.sum() / (present * np.maximum(counts, 1)) if present else np.ones(len(counts))


def _label(name: str, classes: int) -> int | None:
    return int(name) if name.isdecimal() and int(name) < classes else None


def _no_classes(why: str, hint: str) -> RefusedDataError:
    message = f"`class_weight` is for the classes of one target, but {why}."
    return RefusedDataError(Finding(code="bad-argument", message=message, path=_CLASS_WEIGHT, hint=hint))


def _unknown(name: str, names: tuple[str, ...]) -> Finding:
    listed = ", ".join(f"`{printable(known, limit=40)}`" for known in names[:12])
    return Finding(
        code="bad-argument",
        message=f'There is no class "{printable(name, limit=60)}".',
        path=(*_CLASS_WEIGHT, name),
        hint=did_you_mean(name, names, otherwise=f"The classes are {listed}."),
        at_key=True,
    )
