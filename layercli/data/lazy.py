"""Examples that stay where they are until a batch needs them, each got at by its number."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from layercli.config.data.section import DataFacts, SplitConfig
from layercli.data.examples import Array, Examples, Splits, Targets, iterate_batches, split_rows
from layercli.data.labels import is_labels, unwrap_single
from layercli.data.subset import ShuffleSeed, compute_epoch_order


class LazyArray(Protocol):
    """An array of shape (samples, ...) whose rows are read when they are asked for."""

    def __len__(self) -> int:
        """How many there are."""

    def __getitem__(self, rows: Array) -> Array:
        """Those rows, in the dtype of training.

        Raises:
            RefusedDataError: some cannot be read; every one of them is told.
        """


@dataclass(frozen=True, slots=True)
class LazyDataset:
    """All examples, or some of them: a ``Source`` and each of its parts."""

    x: Mapping[str | None, LazyArray]
    """Each input by its name; None is the name of one alone."""
    y: Mapping[str | None, LazyArray]
    """Each target, likewise; labels are in memory."""
    content_id: str
    """What tells this data from other, as text."""
    row_indices: Array
    """Numbers of the examples: int64 of shape (samples,)."""
    class_names: Any = None
    """As those of ``Examples``."""
    weights: Array | None = None
    """How much each of all examples counts."""

    def __len__(self) -> int:
        return len(self.row_indices)

    def _read_rows(self, rows: Array) -> Examples:
        """Those of all examples."""
        x: Any = {name: array[rows] for name, array in self.x.items()}
        y = {name: array[rows] for name, array in self.y.items()}
        weights = None if self.weights is None else self.weights[rows]
        return Examples(x.get(None, x), unwrap_single(y), self.class_names, weights=weights)

    @property
    def empty_batch(self) -> Examples:
        """None of the examples, in the dtypes and shapes of all."""
        return self._read_rows(self.row_indices[:0])

    @property
    def statistics_source(self) -> LazyDataset:
        """What tells what the data is like: all of it."""
        return self

    def batches(self, size: int, *, shuffle: ShuffleSeed | None = None, start: int = 0) -> Iterator[Examples]:
        """One pass in batches: see ``Part``. Of what is shuffled every batch comes from all over the data."""
        order = self.row_indices[compute_epoch_order(len(self), shuffle)]
        for first in range(start * size, len(self), size):
            yield self._read_rows(order[first : first + size])

    def target_batches(self) -> Iterator[Targets]:
        """The targets alone, in the order of the data, some at a time."""
        targets_only = replace(self, x={}, weights=None)
        return (batch.y for batch in iterate_batches(targets_only))

    def _select_labels(self) -> dict[str | None, Array]:
        """The targets that are labels, of all examples here."""
        arrays = {name: array for name, array in self.y.items() if isinstance(array, np.ndarray)}
        return {name: array[self.row_indices] for name, array in arrays.items() if is_labels(array)}

    def facts(self) -> DataFacts:
        """What a model must fit."""
        like = self.empty_batch
        found = replace(like, y=unwrap_single(dict(like.targets) | self._select_labels())).facts()
        return replace(found, samples=len(self))

    def split(self, split: SplitConfig, *, seed: int, shuffle: bool) -> Splits:
        """Divide the examples: see ``Source``."""
        labels = self._select_labels()
        strata = (
            Examples(self.row_indices, unwrap_single(labels)).compute_strata()
            if split.stratify and labels
            else None
        )
        parts = split_rows(strata, len(self), split, seed=seed, shuffle=shuffle)
        return Splits(*(replace(self, row_indices=self.row_indices[part]) for part in parts))

    def digest(self) -> str:
        """SHA-256 that is another wherever the data, an example or their order is another."""
        hasher = hashlib.sha256(self.content_id.encode())
        for array in (
            self.row_indices,
            *([] if self.weights is None else [self.weights]),
            *self._select_labels().values(),
        ):
            hasher.update(np.ascontiguousarray(array).data)
        return hasher.hexdigest()
