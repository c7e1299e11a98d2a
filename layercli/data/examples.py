"""Examples in memory, and how they are divided."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from math import prod
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from layercli.config.data.section import DataFacts, Split, TargetFacts
from layercli.data.split import BLOCK, Division, label_blocks
from layercli.data.subset import Part, Shuffle, epoch_order
from layercli.graph.finding import Finding

if TYPE_CHECKING:
    from layercli.data.tables.plan import Plan

Array: TypeAlias = np.ndarray[Any, Any]
Inputs: TypeAlias = Array | Mapping[str, Array]
"""The one input, or each of several by its name; every array of shape (samples, ...)."""
Targets: TypeAlias = Array | Mapping[str, Array]
"""The one target, or that of each of several outputs by its name; every array of shape (samples, ...)."""


class RefusedDataError(Exception):
    """Data that cannot be trained on; ``findings`` say why."""

    def __init__(self, *findings: Finding) -> None:
        super().__init__("; ".join(found.message for found in findings))
        self.findings = findings


@dataclass(frozen=True, slots=True)
class Examples:
    """Inputs of shape (samples, ...) and targets of shape (samples, ...), row by row."""

    x: Inputs
    y: Targets
    class_names: tuple[str, ...] | Mapping[str, tuple[str, ...]] | None = None
    """What the labels 0, 1, ... stand for, where they were text; of several targets by the target's name."""
    columns: Mapping[str | None, tuple[str, ...]] = field(default_factory=dict)
    """Names of the numbers of each input, where it is made of columns."""
    weights: Array | None = None
    """How much each example counts, of shape (samples,); None: all the same."""

    def __len__(self) -> int:
        return len(next(array for _, array in self.targets))

    @property
    def arrays(self) -> Iterator[tuple[str | None, Array]]:
        """Each input by its name; None where there is one alone."""
        if isinstance(self.x, Mapping):
            yield from self.x.items()
        else:
            yield None, self.x

    @property
    def targets(self) -> Iterator[tuple[str | None, Array]]:
        """Each target by its output's name; None where there is one alone."""
        if isinstance(self.y, Mapping):
            yield from self.y.items()
        else:
            yield None, self.y

    def names_of(self, target: str | None) -> tuple[str, ...] | None:
        """What the labels of a target stand for, where they were text."""
        return (
            self.class_names.get(str(target)) if isinstance(self.class_names, Mapping) else self.class_names
        )

    def take(self, rows: Array | slice) -> Examples:
        """Those rows alone."""
        taken = self.mapped(lambda _, array: _taken(array, rows), self.targets_at(rows))
        return taken if self.weights is None else replace(taken, weights=_taken(self.weights, rows))

    def targets_at(self, rows: Array | slice) -> Targets:
        """The targets of those rows."""
        if isinstance(self.y, Mapping):
            return {name: _taken(array, rows) for name, array in self.y.items()}
        return _taken(self.y, rows)

    @property
    def like(self) -> Examples:
        """None of the examples, in the dtypes and shapes of all."""
        return self.take(np.arange(0))

    def batches(self, size: int, *, shuffle: Shuffle | None = None, start: int = 0) -> Iterator[Examples]:
        """One pass in batches of ``size`` examples, from batch ``start`` on: see ``Part``."""
        order = epoch_order(len(self), shuffle)
        for first in range(start * size, len(self), size):
            yield self.take(order[first : first + size])

    def mapped(self, change: Callable[[str | None, Array], Array], y: Targets | None = None) -> Examples:
        """The same with every input changed, and another target where one is given."""
        new = {name: change(name, array) for name, array in self.arrays}
        x: Inputs = new[None] if None in new else {str(name): array for name, array in new.items()}
        return replace(self, x=x, y=self.y if y is None else y)

    def facts(self) -> DataFacts:
        """What a model must fit."""
        shapes = {name: array.shape[1:] for name, array in self.arrays}
        one = shapes.pop(None, ())
        several = {str(name): shape for name, shape in shapes.items()} or None
        targets = {name: self._target_facts(name, array) for name, array in self.targets}
        target = targets.pop(None, TargetFacts())
        named = {str(name): found for name, found in targets.items()} or None
        return DataFacts(len(self), one, target.classes, several, target.shape, named)

    def _target_facts(self, name: str | None, array: Array) -> TargetFacts:
        names = self.names_of(name)
        if names is not None:
            return TargetFacts(len(names), array.shape[1:])
        labels = array.dtype.kind in "iub" and array.ndim == 1
        return TargetFacts(int(array.max(initial=0)) + 1 if labels else None, array.shape[1:])

    def target_batches(self) -> Iterator[Targets]:
        """The targets, all at once: see ``Part``."""
        yield self.y

    @property
    def surveyed(self) -> Examples:
        """What tells what the data is like: all of it."""
        return self

    def digest(self) -> str:
        """SHA-256 over every example, in order."""
        hasher = hashlib.sha256()
        weights = [] if self.weights is None else [self.weights]
        for array in (*(array for _, array in (*self.arrays, *self.targets)), *weights):
            hasher.update(f"{array.dtype}{array.shape}".encode())
            if array.dtype.kind == "O":  # text
                hasher.update("\0".join(map(str, array.ravel())).encode())
            else:
                hasher.update(np.ascontiguousarray(array).data)
        return hasher.hexdigest()

    def divide(self, split: Split, *, seed: int, shuffle: bool) -> Parts:
        """Divide the examples; with ``shuffle`` at random, the same way for the same seed."""
        rows = divided_rows(
            self.strata() if split.stratify else None, len(self), split, seed=seed, shuffle=shuffle
        )
        return Parts(*(self.take(part) for part in rows))

    def strata(self) -> Array:
        """A number for each example that is the same where all labels are; int64 of shape (samples,)."""
        strata = np.zeros(len(self), dtype=np.int64)
        for _, array in self.targets:
            if array.dtype.kind in "iub" and array.ndim == 1:
                _, numbers = np.unique(array, return_inverse=True)
                _, strata = np.unique(strata * (numbers.max(initial=0) + 1) + numbers, return_inverse=True)
        return strata


def _taken(array: Array, rows: Array | slice) -> Array:
    # numpy.take is several times faster than indexing, but copies the whole of an array that is not contiguous.
    if isinstance(rows, slice) or not array.flags.c_contiguous:
        return array[rows]
    return np.take(array, rows, axis=0)


@dataclass(frozen=True, slots=True)
class Parts:
    """The examples to train on, to validate on and to test on; the last two may be empty."""

    train: Part
    validation: Part
    test: Part
    plan: Plan | None = field(default=None, kw_only=True)
    """How tables become such examples, with all that was learned from the training rows; None where there is no table."""

    @property
    def all(self) -> tuple[Part, Part, Part]:
        """The three of them."""
        return self.train, self.validation, self.test

    def fingerprint(self) -> str:
        """SHA-256 over every example, in order."""
        digests = " ".join(part.digest() for part in self.all)
        return f"sha256:{hashlib.sha256(digests.encode()).hexdigest()}"


def whole(part: Part) -> Examples:
    """All examples of a part, in memory."""
    return part if isinstance(part, Examples) else next(part.batches(max(len(part), 1)), part.like)


_BATCH_BYTES = 1 << 24
_TEXT_BYTES = 1 << 10


def in_batches(part: Part, *, start: int = 0) -> Iterator[Examples]:
    """One pass over a part in the order of the data, from batch ``start`` on, in memory that does not grow with it."""
    like = part.like
    example = sum(
        (_TEXT_BYTES if array.dtype.kind == "O" else array.itemsize) * prod(array.shape[1:])
        for _, array in (*like.arrays, *like.targets)
    )
    return part.batches(max(1, min(1 << 16, _BATCH_BYTES // max(example, 1))), start=start)


def divided_rows(
    strata: Array | None, samples: int, split: Split, *, seed: int, shuffle: bool
) -> list[Array]:
    """The rows to train on, to validate on and to test on; each stratum in proportion, where they are given."""
    counts = split.counts(samples)
    labels = None if strata is None else label_blocks(strata, int(strata.max(initial=0)) + 1)
    division = Division(samples, counts, seed if shuffle else None, labels)
    blocks = range(0, samples, BLOCK)
    order = np.concatenate([start + division.order(start // BLOCK) for start in blocks] or [np.arange(0)])
    parts = [
        division.parts(start // BLOCK, None if strata is None else strata[start : start + BLOCK])
        for start in blocks
    ]
    part_of = np.concatenate(parts or [np.arange(0)])[order]
    return [order[part_of == part] for part in range(3)]
