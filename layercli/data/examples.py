"""Examples in memory, and how they are divided."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from math import prod
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from layercli.config.data.section import DataFacts, SplitConfig, TargetFacts
from layercli.data.split import BLOCK_ROWS, SplitPlan, count_labels_by_block
from layercli.data.subset import ShuffleSeed, Subset, compute_epoch_order
from layercli.graph.finding import Finding

if TYPE_CHECKING:
    from layercli.data.tables.plan import TablePlan

Array: TypeAlias = np.ndarray[Any, Any]
Inputs: TypeAlias = Array | Mapping[str, Array]
"""The one input, or each of several by its name; every array of shape (samples, ...)."""
Targets: TypeAlias = Array | Mapping[str, Array]
"""The one target, or that of each of several outputs by its name; every array of shape (samples, ...)."""


class DataError(Exception):
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
    def inputs(self) -> Iterator[tuple[str | None, Array]]:
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

    def class_names_of(self, target: str | None) -> tuple[str, ...] | None:
        """What the labels of a target stand for, where they were text."""
        return (
            self.class_names.get(str(target)) if isinstance(self.class_names, Mapping) else self.class_names
        )

    def take(self, rows: Array | slice) -> Examples:
        """Those rows alone."""
        selected = self.map_inputs(lambda _, array: _take_rows(array, rows), self.take_targets(rows))
        return selected if self.weights is None else replace(selected, weights=_take_rows(self.weights, rows))

    def take_targets(self, rows: Array | slice) -> Targets:
        """The targets of those rows."""
        if isinstance(self.y, Mapping):
            return {name: _take_rows(array, rows) for name, array in self.y.items()}
        return _take_rows(self.y, rows)

    @property
    def empty_batch(self) -> Examples:
        """None of the examples, in the dtypes and shapes of all."""
        return self.take(np.arange(0))

    def batches(self, size: int, *, shuffle: ShuffleSeed | None = None, start: int = 0) -> Iterator[Examples]:
        """One pass in batches of ``size`` examples, from batch ``start`` on: see ``Part``."""
        order = compute_epoch_order(len(self), shuffle)
        for first in range(start * size, len(self), size):
            yield self.take(order[first : first + size])

    def map_inputs(
        self, transform: Callable[[str | None, Array], Array], new_targets: Targets | None = None
    ) -> Examples:
        """The same with every input changed, and another target where one is given."""
        new = {name: transform(name, array) for name, array in self.inputs}
        x: Inputs = new[None] if None in new else {str(name): array for name, array in new.items()}
        return replace(self, x=x, y=self.y if new_targets is None else new_targets)

    def facts(self) -> DataFacts:
        """What a model must fit."""
        shapes = {name: array.shape[1:] for name, array in self.inputs}
        single_shape = shapes.pop(None, ())
        named_shapes = {str(name): shape for name, shape in shapes.items()} or None
        targets = {name: self._target_facts(name, array) for name, array in self.targets}
        target = targets.pop(None, TargetFacts())
        named_facts = {str(name): found for name, found in targets.items()} or None
        return DataFacts(len(self), single_shape, target.classes, named_shapes, target.shape, named_facts)

    def _target_facts(self, name: str | None, array: Array) -> TargetFacts:
        names = self.class_names_of(name)
        if names is not None:
            return TargetFacts(len(names), array.shape[1:])
        labels = array.dtype.kind in "iub" and array.ndim == 1
        return TargetFacts(int(array.max(initial=0)) + 1 if labels else None, array.shape[1:])

    def target_batches(self) -> Iterator[Targets]:
        """The targets, all at once: see ``Part``."""
        yield self.y

    @property
    def statistics_source(self) -> Examples:
        """What tells what the data is like: all of it."""
        return self

    def digest(self) -> str:
        """SHA-256 over every example, in order."""
        hasher = hashlib.sha256()
        weights = [] if self.weights is None else [self.weights]
        for array in (*(array for _, array in (*self.inputs, *self.targets)), *weights):
            hasher.update(f"{array.dtype}{array.shape}".encode())
            if array.dtype.kind == "O":  # text
                hasher.update("\0".join(map(str, array.ravel())).encode())
            else:
                hasher.update(np.ascontiguousarray(array).data)
        return hasher.hexdigest()

    def split(self, split: SplitConfig, *, seed: int, shuffle: bool) -> Splits:
        """Divide the examples; with ``shuffle`` at random, the same way for the same seed."""
        rows = split_rows(
            self.compute_strata() if split.stratify else None, len(self), split, seed=seed, shuffle=shuffle
        )
        return Splits(*(self.take(part) for part in rows))

    def compute_strata(self) -> Array:
        """A number for each example that is the same where all labels are; int64 of shape (samples,)."""
        strata = np.zeros(len(self), dtype=np.int64)
        for _, array in self.targets:
            if array.dtype.kind in "iub" and array.ndim == 1:
                _, numbers = np.unique(array, return_inverse=True)
                _, strata = np.unique(strata * (numbers.max(initial=0) + 1) + numbers, return_inverse=True)
        return strata


def _take_rows(array: Array, rows: Array | slice) -> Array:
    # numpy.take is several times faster than indexing, but copies the whole of an array that is not contiguous.
    if isinstance(rows, slice) or not array.flags.c_contiguous:
        return array[rows]
    return np.take(array, rows, axis=0)


@dataclass(frozen=True, slots=True)
class Splits:
    """The examples to train on, to validate on and to test on; the last two may be empty."""

    train: Subset
    validation: Subset
    test: Subset
    table_plan: TablePlan | None = field(default=None, kw_only=True)
    """How tables become such examples, with all that was learned from the training rows; None where there is no table."""

    @property
    def subsets(self) -> tuple[Subset, Subset, Subset]:
        """The three of them."""
        return self.train, self.validation, self.test

    def fingerprint(self) -> str:
        """SHA-256 over every example, in order."""
        digests = " ".join(part.digest() for part in self.subsets)
        return f"sha256:{hashlib.sha256(digests.encode()).hexdigest()}"


def load_examples(subset: Subset) -> Examples:
    """All examples of a part, in memory."""
    return (
        subset
        if isinstance(subset, Examples)
        else next(subset.batches(max(len(subset), 1)), subset.empty_batch)
    )


_BATCH_BYTES = 1 << 24
_ASSUMED_TEXT_BYTES = 1 << 10


def iterate_batches(subset: Subset, *, start: int = 0) -> Iterator[Examples]:
    """One pass over a part in the order of the data, from batch ``start`` on, in memory that does not grow with it."""
    empty = subset.empty_batch
    example_bytes = sum(
        (_ASSUMED_TEXT_BYTES if array.dtype.kind == "O" else array.itemsize) * prod(array.shape[1:])
        for _, array in (*empty.inputs, *empty.targets)
    )
    return subset.batches(max(1, min(1 << 16, _BATCH_BYTES // max(example_bytes, 1))), start=start)


def split_rows(
    strata: Array | None, samples: int, split: SplitConfig, *, seed: int, shuffle: bool
) -> list[Array]:
    """The rows to train on, to validate on and to test on; each stratum in proportion, where they are given."""
    counts = split.counts(samples)
    labels = None if strata is None else count_labels_by_block(strata, int(strata.max(initial=0)) + 1)
    split_plan = SplitPlan(samples, counts, seed if shuffle else None, labels)
    blocks = range(0, samples, BLOCK_ROWS)
    order = np.concatenate(
        [start + split_plan.order_rows(start // BLOCK_ROWS) for start in blocks] or [np.arange(0)]
    )
    assigned = [
        split_plan.assign_rows(
            start // BLOCK_ROWS, None if strata is None else strata[start : start + BLOCK_ROWS]
        )
        for start in blocks
    ]
    split_of = np.concatenate(assigned or [np.arange(0)])[order]
    return [order[split_of == part] for part in range(3)]
