"""What one pass over examples tells of them: ranges, what is missing or infinite and where, labels and their counts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import numpy as np

from layercli.data.examples import Array, Examples, RefusedDataError, Targets, in_batches
from layercli.data.labels import is_labels
from layercli.data.subset import Part
from layercli.graph.finding import Finding

MOST_DIFFERENT: Final = 10_000
"""Different values of a column that are told apart; of more nobody asks how many."""
_MOST_COLUMNS = 10_000
_MOST_LABELS = 100_000
_SAMPLES = 3
_MOST_WRONG = 100

Place: TypeAlias = tuple[int, ...]
"""The row of a number, from 0, and its indices behind that."""


@dataclass(slots=True)
class Values:
    """Of an array of shape (samples, ..., columns), each column; of one not made of columns, all numbers together."""

    columns: tuple[str, ...]
    """Names of the columns, where they have some."""
    shape: tuple[int, ...]
    """Of one example."""
    dtype: str
    """"text" for texts."""
    missing: Array
    """int64 of shape (columns,), as the others: how many are missing, or are empty texts."""
    infinite: Array
    low: Array
    high: Array
    total: Array
    rows: int = 0
    first_missing: dict[int, Place] = field(default_factory=dict)
    """Of each column, the first place at which a number is missing."""
    first_infinite: dict[int, Place] = field(default_factory=dict)
    different: dict[int, set[Any]] = field(default_factory=dict)
    """Of each column that has one value an example, the different ones, as long as they are few."""
    samples: list[list[Any]] = field(default_factory=list)
    """Of the same columns, the first values."""

    @classmethod
    def like(cls, array: Array, columns: tuple[str, ...]) -> Values:
        """Of no examples yet, for arrays in the shape and dtype of ``array``."""
        named = array.ndim > 1 and len(columns) == array.shape[-1]
        count = array.shape[-1] if named or (array.ndim == 2 and array.shape[1] <= _MOST_COLUMNS) else 1
        new = cls(
            columns if named else (),
            array.shape[1:],
            "text" if array.dtype.kind == "O" else array.dtype.name,
            missing=np.zeros(count, np.int64),
            infinite=np.zeros(count, np.int64),
            low=np.full(count, np.inf),
            high=np.full(count, -np.inf),
            total=np.zeros(count),
        )
        if array.ndim <= 2 and (named or count == 1):
            new.different = {index: set() for index in range(count)}
            new.samples = [[] for _ in range(count)]
        return new

    @property
    def known(self) -> Array:
        """How many numbers of each column are neither missing nor infinite."""
        each = self.rows * int(np.prod(self.shape)) // len(self.missing)
        return each - self.missing - self.infinite

    def add(self, array: Array) -> None:
        """Take more examples into account: an array of shape (samples, ...)."""
        flat = array.reshape(-1, len(self.missing))
        if self.dtype == "text":
            self.missing += (flat == "").sum(axis=0)
        elif flat.size:
            below = above = summed = flat
            if array.dtype.kind == "f" and not (finite := np.isfinite(flat)).all():
                self._add_wrong(np.isnan(flat), self.missing, self.first_missing, array.shape)
                self._add_wrong(np.isinf(flat), self.infinite, self.first_infinite, array.shape)
                below, above, summed = (np.where(finite, flat, other) for other in (np.inf, -np.inf, 0))
            self.low = np.minimum(self.low, below.min(axis=0))
            self.high = np.maximum(self.high, above.max(axis=0))
            self.total += summed.sum(axis=0, dtype=np.float64)
        for index, values in enumerate(self.samples):
            values += flat[: _SAMPLES - len(values), index].tolist()
        for index, seen in list(self.different.items()):
            seen.update(flat[:, index].tolist() if self.dtype == "text" else _unique(flat[:, index]))
            if len(seen) > MOST_DIFFERENT:
                del self.different[index]
        self.rows += len(array)

    def _add_wrong(self, wrong: Array, count: Array, first: dict[int, Place], shape: tuple[int, ...]) -> None:
        count += wrong.sum(axis=0)
        for index in np.flatnonzero(wrong.any(axis=0)).tolist():
            if index not in first:
                number = int(wrong[:, index].argmax()) * len(count) + index
                row, *rest = (int(step) for step in np.unravel_index(number, shape))
                first[index] = (self.rows + row, *rest)


@dataclass(slots=True)
class Labels:
    """How often each label comes, and the first row, from 0, in which it does."""

    counts: dict[int, int] = field(default_factory=dict)
    first: dict[int, int] = field(default_factory=dict)
    rows: int = 0

    def add(self, labels: Array) -> None:
        """Take more labels into account: whole numbers of shape (samples,)."""
        found, places, counts = np.unique(labels, return_index=True, return_counts=True)
        for label, place, count in zip(found.tolist(), places.tolist(), counts.tolist(), strict=True):
            if label in self.counts or len(self.counts) < _MOST_LABELS:
                self.counts[label] = self.counts.get(label, 0) + count
                self.first.setdefault(label, self.rows + place)
        self.rows += len(labels)


@dataclass(slots=True)
class Statistics:
    """Of each input and of each target by its name; None is the name of one alone."""

    inputs: dict[str | None, Values]
    targets: dict[str | None, Values]
    labels: dict[str | None, Labels]
    """Of the targets that are labels."""


def survey(part: Part) -> Statistics:
    """One pass over a part, in memory that does not grow with it."""
    like = part.like
    inputs = {name: Values.like(array, tuple(like.columns.get(name, ()))) for name, array in like.arrays}
    targets = {name: Values.like(array, ()) for name, array in like.targets}
    labels = {name: Labels() for name, array in like.targets if is_labels(array)}
    for batch in _readable(part):
        for name, array in batch.arrays:
            inputs[name].add(array)
        for name, array in batch.targets:
            targets[name].add(array)
            if name in labels:
                labels[name].add(array)
    return Statistics(inputs, targets, labels)


def _readable(part: Part) -> Iterator[Examples]:
    """One pass that goes on behind a batch that cannot be read.

    Raises:
        RefusedDataError: with all that cannot be read, at the end.
    """
    wrong: list[Finding] = []
    start = 0
    while True:
        try:
            for batch in in_batches(part, start=start):
                yield batch
                start += 1
            break
        except RefusedDataError as error:
            wrong += error.findings
            start += 1
            if len(wrong) >= _MOST_WRONG:
                break
    if wrong:
        raise RefusedDataError(*wrong)


def labels_of(part: Part) -> dict[str | None, Labels]:
    """The labels of each target of a part that has some."""
    found = {name: Labels() for name, array in part.like.targets if is_labels(array)}
    for batch in part.target_batches() if found else ():
        for name, array in _each(batch):
            if name in found:
                found[name].add(array)
    return found


def _each(targets: Targets) -> Iterator[tuple[str | None, Array]]:
    if isinstance(targets, Mapping):
        yield from targets.items()
    else:
        yield None, targets


def _unique(column: Array) -> list[Any]:
    found: list[Any] = np.unique(column[np.isfinite(column)] if column.dtype.kind == "f" else column).tolist()
    return found
