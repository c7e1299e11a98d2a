"""Examples in memory, and how they are divided."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from layercli.config.data import Split

Array: TypeAlias = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Examples:
    """Inputs of shape (samples, ...) and targets of shape (samples,), row by row."""

    x: Array
    y: Array

    def __len__(self) -> int:
        return len(self.x)

    def take(self, rows: Array) -> Examples:
        """Those rows alone."""
        return Examples(self.x[rows], self.y[rows])


@dataclass(frozen=True, slots=True)
class Parts:
    """The examples to train on, to validate on and to test on; the last two may be empty."""

    train: Examples
    validation: Examples
    test: Examples

    def fingerprint(self) -> str:
        """SHA-256 over every example, in order."""
        hasher = hashlib.sha256()
        for part in (self.train, self.validation, self.test):
            for array in (part.x, part.y):
                hasher.update(f"{array.dtype}{array.shape}".encode())
                hasher.update(np.ascontiguousarray(array).data)
        return f"sha256:{hasher.hexdigest()}"


def divide(examples: Examples, split: Split, *, seed: int, shuffle: bool) -> Parts:
    """Divide the examples; with ``shuffle`` at random, the same way for the same seed."""
    samples = len(examples)
    order = np.random.default_rng(seed).permutation(samples) if shuffle else np.arange(samples)
    train, validation, _ = split.counts(samples)
    if split.stratify:
        order = _spread_classes(order, examples.y)
    rows = np.split(order, [train, train + validation])
    return Parts(*(examples.take(part) for part in rows))


def _spread_classes(order: Array, labels: Array) -> Array:
    """The order with every class spread evenly, so that each stretch of it has the classes in proportion."""
    sorted_labels = labels[order]
    place = np.empty(len(order))
    for label in np.unique(sorted_labels):
        where = np.flatnonzero(sorted_labels == label)
        place[where] = (np.arange(len(where)) + 0.5) / len(where)
    return np.asarray(order[np.argsort(place, kind="stable")])
