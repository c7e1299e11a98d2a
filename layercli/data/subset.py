"""What training, validation and test draw their examples from, whether those are in memory or read as they are needed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

if TYPE_CHECKING:
    from layercli.config.data.section import DataFacts, SplitConfig
    from layercli.data.examples import Array, Examples, Splits, Targets


class ShuffleSeed(NamedTuple):
    """Which order the examples come in: the same for the same seed and epoch (from 0), on every machine."""

    seed: int
    epoch: int


class Subset(Protocol):
    """Some of the examples; ``Examples`` are a part that is in memory."""

    def __len__(self) -> int:
        """How many examples there are."""

    @property
    def empty_batch(self) -> Examples:
        """None of the examples, in the dtypes and shapes of all: arrays of shape (0, ...)."""

    def batches(self, size: int, *, shuffle: ShuffleSeed | None = None, start: int = 0) -> Iterator[Examples]:
        """One pass in batches of ``size`` examples, from batch ``start`` (from 0) on; the last may be smaller.

        Without ``shuffle`` they come in the order of the data. A pass that starts later gives the same batches as one
        that came there from the beginning.
        """

    def target_batches(self) -> Iterator[Targets]:
        """The targets alone, in the order of the data, some at a time."""

    def digest(self) -> str:
        """SHA-256 that is another wherever an example or their order is another."""


class Dataset(Subset, Protocol):
    """All examples that a reader gives, before they are divided."""

    @property
    def statistics_source(self) -> Subset:
        """What tells what the data is like: the examples, or the rows of which they are sequences."""

    def facts(self) -> DataFacts:
        """What a model must fit."""

    def split(self, split: SplitConfig, *, seed: int, shuffle: bool) -> Splits:
        """Divide the examples; with ``shuffle`` at random, the same way for the same seed."""


def compute_epoch_order(samples: int, shuffle: ShuffleSeed | None) -> Array:
    """The order of an epoch's examples in memory: int64 of shape (samples,)."""
    if shuffle is None:
        return np.arange(samples)
    return np.random.default_rng([shuffle.seed, shuffle.epoch]).permutation(samples)
