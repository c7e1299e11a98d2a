"""Examples that stay where they are until a batch needs them, each got at by its number."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from layercli.config.data.section import DataFacts, Split
from layercli.data.examples import Array, Examples, Parts, Targets, divided_rows, in_batches
from layercli.data.labels import alone, is_labels
from layercli.data.subset import Shuffle, epoch_order


class Rows(Protocol):
    """An array of shape (samples, ...) whose rows are read when they are asked for."""

    def __len__(self) -> int:
        """How many there are."""

    def __getitem__(self, rows: Array) -> Array:
        """Those rows, in the dtype of training.

        Raises:
            RefusedDataError: some cannot be read; every one of them is told.
        """


@dataclass(frozen=True, slots=True)
class Indexed:
    """All examples, or some of them: a ``Source`` and each of its parts."""

    x: Mapping[str | None, Rows]
    """Each input by its name; None is the name of one alone."""
    y: Mapping[str | None, Rows]
    """Each target, likewise; labels are in memory."""
    origin: str
    """What tells this data from other, as text."""
    rows: Array
    """Numbers of the examples: int64 of shape (samples,)."""
    class_names: Any = None
    """As those of ``Examples``."""
    weights: Array | None = None
    """How much each of all examples counts."""

    def __len__(self) -> int:
        return len(self.rows)

    def _read(self, rows: Array) -> Examples:
        """Those of all examples."""
        x: Any = {name: array[rows] for name, array in self.x.items()}
        y = {name: array[rows] for name, array in self.y.items()}
        weights = None if self.weights is None else self.weights[rows]
        return Examples(x.get(None, x), alone(y), self.class_names, weights=weights)

    @property
    def like(self) -> Examples:
        """None of the examples, in the dtypes and shapes of all."""
        return self._read(self.rows[:0])

    @property
    def surveyed(self) -> Indexed:
        """What tells what the data is like: all of it."""
        return self

    def batches(self, size: int, *, shuffle: Shuffle | None = None, start: int = 0) -> Iterator[Examples]:
        """One pass in batches: see ``Part``. Of what is shuffled every batch comes from all over the data."""
        order = self.rows[epoch_order(len(self), shuffle)]
        for first in range(start * size, len(self), size):
            yield self._read(order[first : first + size])

    def target_batches(self) -> Iterator[Targets]:
        """The targets alone, in the order of the data, some at a time."""
        lean = replace(self, x={}, weights=None)
        return (batch.y for batch in in_batches(lean))

    def _labels(self) -> dict[str | None, Array]:
        """The targets that are labels, of all examples here."""
        arrays = {name: array for name, array in self.y.items() if isinstance(array, np.ndarray)}
        return {name: array[self.rows] for name, array in arrays.items() if is_labels(array)}

    def facts(self) -> DataFacts:
        """What a model must fit."""
        like = self.like
        found = replace(like, y=alone(dict(like.targets) | self._labels())).facts()
        return replace(found, samples=len(self))

    def divide(self, split: Split, *, seed: int, shuffle: bool) -> Parts:
        """Divide the examples: see ``Source``."""
        labels = self._labels()
        strata = Examples(self.rows, alone(labels)).strata() if split.stratify and labels else None
        parts = divided_rows(strata, len(self), split, seed=seed, shuffle=shuffle)
        return Parts(*(replace(self, rows=self.rows[part]) for part in parts))

    def digest(self) -> str:
        """SHA-256 that is another wherever the data, an example or their order is another."""
        hasher = hashlib.sha256(self.origin.encode())
        for array in (self.rows, *([] if self.weights is None else [self.weights]), *self._labels().values()):
            hasher.update(np.ascontiguousarray(array).data)
        return hasher.hexdigest()
