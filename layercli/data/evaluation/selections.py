"""Examples that a report shows: those with the highest scores, and a random sample, in bounded memory."""

from __future__ import annotations

from typing import Final

import numpy as np

from layercli.data.examples import Examples, concatenate_examples
from layercli.data.types import Array

_SAMPLE_BYTES: Final = 64 << 20
"""Memory of a random sample of examples."""


class TopExamples:
    """The examples with the highest scores, each with its position in the set and its values."""

    def __init__(self, size: int) -> None:
        self._size = size
        self.scores: Array = np.empty(0)
        self.positions: Array = np.empty(0, np.int64)
        self.examples: Examples | None = None
        self.targets: Array = np.empty(0)
        """Targets of shape (examples, ...)."""
        self.outputs: Array = np.empty(0)
        """Outputs of the model of shape (examples, ...)."""

    def add(self, scores: Array, start: int, batch: Examples, target: Array, output: Array) -> None:
        """Add a batch whose first example has the position ``start``; an example with a score of NaN is left out."""
        rows = np.argsort(-scores, kind="stable")[: self._size]
        rows = rows[np.isfinite(scores[rows])]
        if len(self.scores) == self._size:
            rows = rows[scores[rows] > self.scores[-1]]
        if not len(rows):
            return
        new = batch.take(rows)
        if self.examples is None:
            self.scores, self.positions, self.examples = scores[rows], start + rows, new
            self.targets, self.outputs = target[rows], output[rows]
            return
        scores = np.concatenate([self.scores, scores[rows]])
        best = np.argsort(-scores, kind="stable")[: self._size]
        self.scores = scores[best]
        self.positions = np.concatenate([self.positions, start + rows])[best]
        self.examples = concatenate_examples([self.examples, new]).take(best)
        self.targets = np.concatenate([self.targets, target[rows]])[best]
        self.outputs = np.concatenate([self.outputs, output[rows]])[best]

    def select(self, is_kept: Array) -> TopExamples:
        """Return only the examples for which ``is_kept``, of shape (examples,), is true."""
        rows = np.flatnonzero(is_kept)
        selected = TopExamples(self._size)
        selected.scores, selected.positions = self.scores[rows], self.positions[rows]
        selected.targets, selected.outputs = self.targets[rows], self.outputs[rows]
        selected.examples = None if self.examples is None else self.examples.take(rows)
        return selected


class RandomSample:
    """A random sample of all examples, each with the same probability."""

    def __init__(self, size: int, seed: int = 0) -> None:
        self._size = size
        self._generator = np.random.default_rng(seed)
        self._keys: Array = np.empty(0)
        self.examples: Examples | None = None

    def add(self, batch: Examples) -> None:
        """Add a batch: each example gets a random key, and those with the smallest keys are kept."""
        if self.examples is None:
            bytes_of_one = max(1, batch.count_example_bytes())
            self._size = max(1, min(self._size, _SAMPLE_BYTES // bytes_of_one))
        keys = self._generator.random(len(batch))
        rows = np.flatnonzero(keys < (self._keys[-1] if len(self._keys) == self._size else np.inf))
        if not len(rows):
            return
        new = batch.take(rows)
        examples = new if self.examples is None else concatenate_examples([self.examples, new])
        keys = np.concatenate([self._keys, keys[rows]])
        kept = np.argsort(keys)[: self._size]
        self._keys, self.examples = keys[kept], examples.take(kept)


class RandomPairs:
    """A random sample of pairs of numbers, such as predictions and targets."""

    def __init__(self, size: int, seed: int = 0) -> None:
        self._size = size
        self._generator = np.random.default_rng(seed)
        self._rows: Array = np.empty((0, 3))

    def add(self, first: Array, second: Array) -> None:
        """Add two arrays of the same shape."""
        pairs = np.stack([first.ravel(), second.ravel()], axis=1).astype(np.float64)
        keys = self._generator.random(len(pairs))
        rows = np.concatenate([self._rows, np.column_stack([keys, pairs])])
        self._rows = rows[np.argsort(rows[:, 0])[: self._size]]

    @property
    def pairs(self) -> Array:
        """The sample: of shape (pairs, 2)."""
        return self._rows[:, 1:]
