"""Data sets whose split does not follow from sizes only: by keys of the examples, or with separate files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from layercli.config.data.section import DataFacts, HeldOutName, SplitConfig
from layercli.data.examples import Dataset, Examples, ShuffleSeed, Splits, Subset
from layercli.data.labels import ConvertedForm
from layercli.data.split_keys import SplitKeys
from layercli.data.types import Array, Targets
from layercli.graph.finding import Finding

if TYPE_CHECKING:
    from layercli.data.tables.plan import TablePlan


@dataclass(frozen=True)
class WrappedDataset(Dataset):
    """The examples of another data set."""

    dataset: Dataset

    def __len__(self) -> int:
        return len(self.dataset)

    @property
    def empty_batch(self) -> Examples:
        """An empty batch; see ``Subset``."""
        return self.dataset.empty_batch

    @property
    def text_bytes(self) -> int:
        """Memory that the texts of one example may take."""
        return self.dataset.text_bytes

    @property
    def table_plan(self) -> TablePlan | None:
        """The plan that converts table rows to these examples; None without a table."""
        return self.dataset.table_plan

    @property
    def findings(self) -> Sequence[Finding]:
        """Warnings about the data as it was read."""
        return self.dataset.findings

    @property
    def statistics_source(self) -> Subset:
        """The subset to compute statistics from."""
        return self.dataset.statistics_source

    @property
    def target_files(self) -> Sequence[Path]:
        """The file of each target; see ``Subset``."""
        return self.dataset.target_files

    def batches(self, size: int, *, shuffle: ShuffleSeed | None = None, start: int = 0) -> Iterator[Examples]:
        """Yield batches; see ``Subset``."""
        return self.dataset.batches(size, shuffle=shuffle, start=start)

    def target_batches(self) -> Iterator[Targets]:
        """Yield only the targets; see ``Subset``."""
        return self.dataset.target_batches()

    def digest(self) -> str:
        """Return the SHA-256 over the examples and their order."""
        return self.dataset.digest()

    def facts(self) -> DataFacts:
        """Return the properties that the model must match."""
        return self.dataset.facts()

    def locate_row(self, column: str, row: int) -> str:
        """Return where an example is in the data; see ``Dataset``."""
        return self.dataset.locate_row(column, row)

    def read_strata(self) -> Array | None:
        """Return the class of each example; see ``Dataset``."""
        return self.dataset.read_strata()

    def convert_targets(self, forms: Mapping[str | None, ConvertedForm]) -> Self:
        """Return the data set with each target in the form that its meaning requires."""
        return replace(self, dataset=self.dataset.convert_targets(forms))


@dataclass(frozen=True)
class KeyedDataset(WrappedDataset):
    """Examples that are split by the values of a column."""

    keys: SplitKeys

    def split(self, split: SplitConfig, *, seed: int, shuffle: bool, assigned: Array | None = None) -> Splits:
        """Split the examples by their keys; see ``Dataset``."""
        if assigned is None:
            strata = self.dataset.read_strata() if split.stratify else None
            assigned = self.keys.assign_rows(split, strata=strata, seed=seed if shuffle else None)
        return self.dataset.split(split, seed=seed, shuffle=shuffle, assigned=assigned)


def with_split_keys(dataset: Dataset, keys: SplitKeys | None) -> Dataset:
    """Return the data set with the keys that its split follows, if there are any."""
    return dataset if keys is None else KeyedDataset(dataset, keys)


@dataclass(frozen=True)
class HeldOutDataset(WrappedDataset):
    """Examples to train on, with validation or test examples from separate files."""

    held_out: Mapping[HeldOutName, Dataset]

    def convert_targets(self, forms: Mapping[str | None, ConvertedForm]) -> Self:
        """Return the data set with each target in the form that its meaning requires, in every set."""
        held_out = {name: dataset.convert_targets(forms) for name, dataset in self.held_out.items()}
        return replace(self, dataset=self.dataset.convert_targets(forms), held_out=held_out)

    def split(self, split: SplitConfig, *, seed: int, shuffle: bool, assigned: Array | None = None) -> Splits:
        """Split the examples to train on; the other sets are read with what the training examples taught."""
        splits = self.dataset.split(split.without_own_files(), seed=seed, shuffle=shuffle, assigned=assigned)
        own_sets: dict[str, Any] = {
            name: dataset.prepare(splits.table_plan) for name, dataset in self.held_out.items()
        }
        rows = splits.rows
        if rows is not None:
            held_out = [self.held_out.get("validation"), self.held_out.get("test")]
            own_rows = [None if each is None else np.arange(len(each)) for each in (None, *held_out)]
            rows = tuple(
                mine if mine is not None else other for mine, other in zip(own_rows, rows, strict=True)
            )
        return replace(splits, **own_sets, rows=rows)
