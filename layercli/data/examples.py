"""Examples, subsets of examples, and the training, validation and test splits."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from layercli.activity import show_activity, track_items
from layercli.config.data.section import DataFacts, SplitConfig, TargetFacts
from layercli.data.labels import ConvertedForm, convert_target, is_labels, unwrap_single
from layercli.data.row_moves import move_rows, should_move_rows
from layercli.data.split import split_rows
from layercli.data.types import Array, Inputs, Targets, iterate_named

if TYPE_CHECKING:
    from layercli.data.tables.plan import TablePlan
    from layercli.graph.finding import Finding
    from layercli.graph.target_meaning import TargetMeaning

_BATCH_BYTES = 1 << 24
_MAX_BATCH = 1 << 16
ASSUMED_TEXT_BYTES = 1 << 10
"""Memory of a text whose size is unknown."""


class ShuffleSeed(NamedTuple):
    """Seed and epoch (from 0) that determine the order of the examples, on every machine."""

    seed: int
    epoch: int


def compute_epoch_order(samples: int, shuffle: ShuffleSeed | None) -> Array:
    """Return the order of the examples in an epoch: int32 of shape (samples,), or int64 if there are more examples."""
    order = np.arange(samples, dtype=np.int32 if samples <= np.iinfo(np.int32).max else np.int64)
    if shuffle is not None:  # the same order as that of `permutation`, in half of the memory
        np.random.default_rng([shuffle.seed, shuffle.epoch]).shuffle(order)
    return order


class Subset(ABC):
    """Some or all examples, in memory or read on demand."""

    __slots__ = ()

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of examples."""

    @property
    @abstractmethod
    def empty_batch(self) -> Examples:
        """An empty batch with the dtypes and shapes of this subset: arrays of shape (0, ...)."""

    @abstractmethod
    def batches(self, size: int, *, shuffle: ShuffleSeed | None = None, start: int = 0) -> Iterator[Examples]:
        """Yield batches of ``size`` examples from batch ``start`` (from 0); the last batch may be smaller.

        Without ``shuffle`` the examples keep their order. A pass with ``start`` yields the same batches as the end of a
        full pass.
        """

    @abstractmethod
    def target_batches(self) -> Iterator[Targets]:
        """Yield only the targets, in order, some at a time."""

    @abstractmethod
    def digest(self) -> str:
        """Return the SHA-256 over the examples and their order."""

    @property
    def text_bytes(self) -> int:
        """Memory that the texts of one example may take."""
        return ASSUMED_TEXT_BYTES

    @property
    def target_files(self) -> Sequence[Path]:
        """The file of each target; empty if targets are not files."""
        return ()

    def count_example_bytes(self) -> int:
        """Return the memory that one example may take."""
        empty = self.empty_batch
        arrays = [array for _, array in (*empty.inputs, *empty.targets)]
        has_text = any(array.dtype.kind == "O" for array in arrays)
        numbers: int = sum(array.itemsize * prod(array.shape[1:]) for array in arrays)
        return numbers + (self.text_bytes if has_text else 0)


class IndexedSubset(Subset):
    """A subset that can read examples by index."""

    __slots__ = ()

    @abstractmethod
    def take(self, rows: Array) -> Examples:
        """Return the examples at these indices, in memory."""

    @property
    def empty_batch(self) -> Examples:
        """An empty batch with the dtypes and shapes of this subset."""
        return self.take(np.arange(0))

    def batches(self, size: int, *, shuffle: ShuffleSeed | None = None, start: int = 0) -> Iterator[Examples]:
        """Yield batches; see ``Subset``."""
        order = compute_epoch_order(len(self), shuffle)
        for first in range(start * size, len(self), size):
            yield self.take(order[first : first + size])


class Dataset(Subset):
    """All examples of a data section, before the split."""

    __slots__ = ()

    @property
    def statistics_source(self) -> Subset:
        """The subset to compute statistics from."""
        return self

    @abstractmethod
    def facts(self) -> DataFacts:
        """Return the properties that the model must match."""

    @abstractmethod
    def convert_targets(self, forms: Mapping[str | None, ConvertedForm]) -> Dataset:
        """Return the data set with each target in the form that its meaning requires; see ``convert_target``."""

    @property
    def table_plan(self) -> TablePlan | None:
        """The plan that converts table rows to these examples; None without a table."""
        return None

    @property
    def findings(self) -> Sequence[Finding]:
        """Warnings about the data as it was read."""
        return ()

    @property
    def dropped_rows(self) -> Sequence[int]:
        """The rows of a table, from 0, that are left out because a value is missing; empty if they are unknown."""
        return ()

    def locate_dropped(self, row: int) -> str:
        """Return where a row of ``dropped_rows`` is in the data."""
        return f"row {row + 1}"

    def locate_row(self, column: str, row: int) -> str:  # noqa: ARG002 - only tables have files and columns
        """Return where an example, from 0, is in the data, such as its file and line; ``column`` is one of a table."""
        return f"row {row + 1}"

    @abstractmethod
    def read_strata(self) -> Array | None:
        """Return one integer for each combination of labels, of shape (samples,); None if no target is labels."""

    @abstractmethod
    def split(self, split: SplitConfig, *, seed: int, shuffle: bool, assigned: Array | None = None) -> Splits:
        """Split the examples; with ``shuffle`` at random, with the same result for the same seed.

        ``assigned`` of shape (samples,) is the split (0, 1, 2) of each example, if it does not follow from the sizes.
        """

    def prepare(self, plan: TablePlan | None) -> Subset:  # noqa: ARG002 - only tables have a plan
        """Return all examples as a separate set, with what ``plan`` learned from the training examples."""
        return self


@dataclass(frozen=True, slots=True)
class Examples(IndexedSubset, Dataset):
    """Examples in memory: inputs and targets of shape (samples, ...), row by row."""

    x: Inputs
    y: Targets
    class_names: tuple[str, ...] | Mapping[str, tuple[str, ...]] | None = None
    """Names of the labels 0, 1, ... if the targets were text; by target name if there are several targets."""
    columns: Mapping[str | None, tuple[str, ...]] = field(default_factory=dict)
    """Column names of each input that comes from table columns."""
    weights: Array | None = None
    """Weight of each example, of shape (samples,); None for equal weights."""
    target_columns: Mapping[str | None, tuple[str, ...]] = field(default_factory=dict, kw_only=True)
    """Column names of each target that comes from table columns."""
    last_targets: Targets | None = field(default=None, kw_only=True)
    """For windows of a series: the targets of the last row that is known before those of ``y``, of shape (samples, ...)."""
    warnings: tuple[Finding, ...] = field(default=(), kw_only=True)
    """What its reader left out or changed."""
    target_files: Sequence[Path] = field(default=(), kw_only=True)
    """The file of each target; empty if targets are not files."""
    is_movable: bool = field(default=False, kw_only=True)
    """Whether the arrays are used only here, so that a split may change the order of their rows to save memory."""

    @property
    def findings(self) -> Sequence[Finding]:
        """Warnings about the data as it was read."""
        return self.warnings

    def __len__(self) -> int:
        return len(next(array for _, array in self.targets))

    @property
    def inputs(self) -> Iterator[tuple[str | None, Array]]:
        """Each input with its name; the name of a single input is None."""
        return iterate_named(self.x)

    @property
    def targets(self) -> Iterator[tuple[str | None, Array]]:
        """Each target with the name of its output; the name of a single target is None."""
        return iterate_named(self.y)

    def class_names_of(self, target: str | None) -> tuple[str, ...] | None:
        """Return the class names of a target if its labels were text."""
        return (
            self.class_names.get(str(target)) if isinstance(self.class_names, Mapping) else self.class_names
        )

    def take(self, rows: Array | slice) -> Examples:
        """Return only these rows."""
        selected = self.map_inputs(lambda _, array: _take_rows(array, rows), self.take_targets(rows))
        if self.weights is None and self.last_targets is None and not self.target_files:
            return selected
        return replace(
            selected,
            target_files=(),
            weights=None if self.weights is None else _take_rows(self.weights, rows),
            last_targets=None if self.last_targets is None else _take_target_rows(self.last_targets, rows),
        )

    def batches(self, size: int, *, shuffle: ShuffleSeed | None = None, start: int = 0) -> Iterator[Examples]:
        """Yield batches; see ``Subset``. Without ``shuffle`` they share the memory of these examples."""
        if shuffle is not None:
            yield from IndexedSubset.batches(self, size, shuffle=shuffle, start=start)
            return
        for first in range(start * size, len(self), size):
            yield self.take(slice(first, first + size))

    def select_rows(self, rows: Array) -> Examples:
        """Return these rows as a subset."""
        return self.take(rows)

    def take_targets(self, rows: Array | slice) -> Targets:
        """Return the targets of these rows."""
        return _take_target_rows(self.y, rows)

    def map_inputs(
        self, transform: Callable[[str | None, Array], Array], new_targets: Targets | None = None
    ) -> Examples:
        """Return the examples with every input transformed, and with ``new_targets`` if given."""
        new = {name: transform(name, array) for name, array in self.inputs}
        x: Inputs = new[None] if None in new else {str(name): array for name, array in new.items()}
        return replace(self, x=x, y=self.y if new_targets is None else new_targets)

    def facts(self) -> DataFacts:
        """Return the properties that the model must match."""
        shapes = {name: array.shape[1:] for name, array in self.inputs}
        single_shape = shapes.pop(None, ())
        named_shapes = {str(name): shape for name, shape in shapes.items()} or None
        targets = {name: self._target_facts(name, array) for name, array in self.targets}
        return DataFacts(len(self), single_shape, inputs=named_shapes).with_targets(targets)

    def _target_facts(self, name: str | None, array: Array) -> TargetFacts:
        names = self.class_names_of(name)
        if names is not None:
            return TargetFacts(len(names), array.shape[1:], kind="labels", has_integers=True)
        return TargetFacts(shape=array.shape[1:], has_integers=array.dtype.kind in "iub")

    def convert_targets(self, forms: Mapping[str | None, ConvertedForm]) -> Examples:
        """Return the examples with each target in the form that its meaning requires; see ``convert_target``."""
        return replace(
            self,
            y=unwrap_single({name: convert_target(array, forms.get(name)) for name, array in self.targets}),
        )

    def target_batches(self) -> Iterator[Targets]:
        """Yield all targets at once."""
        yield self.y

    def digest(self) -> str:
        """Return the SHA-256 over the examples and their order."""
        hasher = hashlib.sha256()
        weights = [] if self.weights is None else [self.weights]
        for array in (*(array for _, array in (*self.inputs, *self.targets)), *weights):
            update_digest(hasher, array.dtype, array.shape, [array])
        return hasher.hexdigest()

    def split(self, split: SplitConfig, *, seed: int, shuffle: bool, assigned: Array | None = None) -> Splits:
        """Split the examples; see ``Dataset``.

        The rows of large arrays that are used only here are moved within them, and the sets share them; after that, this
        object has its rows in the order of the sets.
        """
        strata = self.read_strata() if split.stratify and assigned is None else None
        rows = split_rows(strata, len(self), split, seed=seed, shuffle=shuffle, assigned=assigned)
        arrays = [array for _, array in (*self.inputs, *self.targets)]
        arrays += [] if self.weights is None else [self.weights]
        is_moved = self.is_movable and self.last_targets is None and should_move_rows(arrays)
        if not is_moved:
            return Splits(*map(self.take, rows), rows=tuple(rows))
        order, ends = np.concatenate(rows), np.cumsum([0, *map(len, rows)])
        for array in arrays:
            move_rows(array, order)
        sets = (self.take(slice(start, end)) for start, end in pairwise(ends.tolist()))
        # Half of the memory; data in memory has fewer rows than int32 can count.
        return Splits(*sets, rows=tuple(each.astype(np.int32) for each in rows))

    def read_strata(self) -> Array | None:
        """Return one integer for each combination of labels: int64 of shape (samples,)."""
        return compute_strata([array for _, array in self.targets if is_labels(array)])


def update_digest(hasher: Any, dtype: Any, shape: tuple[int, ...], parts: Iterable[Array]) -> None:
    """Add an array of this dtype and shape to a hash, given its consecutive parts."""
    hasher.update(f"{dtype}{shape}".encode())
    for number, part in enumerate(parts):
        if dtype.kind == "O":  # text, some at a time, because it is copied
            values = part.ravel()
            for first in range(0, len(values), _MAX_BATCH):
                separator = "\0" if number or first else ""
                hasher.update((separator + "\0".join(map(str, values[first : first + _MAX_BATCH]))).encode())
        else:
            hasher.update(np.ascontiguousarray(part).data)


def compute_strata(labels: Sequence[Array]) -> Array | None:
    """Return one integer for each combination of labels: int64 of shape (samples,); None without labels."""
    strata: Array | None = None
    for array in labels:
        _, numbers = np.unique(array, return_inverse=True)
        if strata is not None:
            _, numbers = np.unique(strata * (numbers.max(initial=0) + 1) + numbers, return_inverse=True)
        strata = numbers
    return strata


def _take_target_rows(targets: Targets, rows: Array | slice) -> Targets:
    if isinstance(targets, Mapping):
        return {name: _take_rows(array, rows) for name, array in targets.items()}
    return _take_rows(targets, rows)


def _take_rows(array: Array, rows: Array | slice) -> Array:
    # numpy.take is several times faster than indexing, but it copies a non-contiguous array completely.
    if isinstance(rows, slice) or not array.flags.c_contiguous:
        return array[rows]
    return np.take(array, rows, axis=0)


@dataclass(frozen=True, slots=True)
class Splits:
    """Training, validation and test examples; the last two may be empty."""

    train: Subset
    validation: Subset
    test: Subset
    table_plan: TablePlan | None = field(default=None, kw_only=True)
    """The plan that converts table rows to these examples, with values learned from the training rows; None without a table."""
    target_meanings: Mapping[str | None, TargetMeaning] = field(default_factory=dict, kw_only=True)
    """The meaning of each target by its output; None is the name of the only target."""

    rows: tuple[Array | None, ...] | None = field(default=None, kw_only=True)
    """The rows of the data, from 0, that are the examples of each set; None if they are unknown."""

    @property
    def subsets(self) -> tuple[Subset, Subset, Subset]:
        """The three subsets."""
        return self.train, self.validation, self.test

    @show_activity("Hashing the data")
    def fingerprint(self) -> str:
        """Return the SHA-256 over the three subsets, with the prefix ``sha256:``."""
        digests = " ".join(subset.digest() for subset in self.subsets)
        return f"sha256:{hashlib.sha256(digests.encode()).hexdigest()}"


def load_examples(subset: Subset) -> Examples:
    """Return all examples of a subset, in memory."""
    if isinstance(subset, Examples):
        return subset
    return next(subset.batches(max(len(subset), 1)), subset.empty_batch)


def take_first(subset: Subset, count: int) -> Examples:
    """Return the first ``count`` examples of a subset, in memory."""
    return next(subset.batches(count), subset.empty_batch)


def iterate_batches(subset: Subset, *, start: int = 0) -> Iterator[Examples]:
    """Yield the examples in order, from batch ``start``, in constant memory."""
    size = min(_MAX_BATCH, _BATCH_BYTES // max(subset.count_example_bytes(), 1))
    size = max(1, size)
    return track_items(subset.batches(size, start=start), len(subset), count=len, done=start * size)


def concatenate_examples(pieces: Sequence[Examples]) -> Examples:
    """Return the examples of all pieces, in order."""
    if len(pieces) == 1:
        return pieces[0]
    inputs = [dict(piece.inputs) for piece in pieces]
    targets = [dict(piece.targets) for piece in pieces]
    weights = [piece.weights for piece in pieces if piece.weights is not None]
    y = unwrap_single({name: np.concatenate([each[name] for each in targets]) for name in targets[0]})
    merged = pieces[0].map_inputs(lambda name, _: np.concatenate([each[name] for each in inputs]), y)
    return replace(merged, weights=np.concatenate(weights) if weights else None, last_targets=None)
