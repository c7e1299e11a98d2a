"""Examples that are read by index when a batch needs them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from layercli.config.data.section import DataFacts, SplitConfig
from layercli.data.examples import (
    ASSUMED_TEXT_BYTES,
    Dataset,
    Examples,
    IndexedSubset,
    Splits,
    compute_strata,
    iterate_batches,
)
from layercli.data.labels import ConvertedForm, convert_target, is_labels, unwrap_single
from layercli.data.split import split_rows
from layercli.data.types import Array, Targets

if TYPE_CHECKING:
    from layercli.graph.finding import Finding

_LABEL_ROWS = 1 << 12
"""Rows of labels that are read together."""


class LazyArray(Protocol):
    """An array of shape (samples, ...) whose rows are read on demand."""

    def __len__(self) -> int:
        """Return the number of rows."""

    def __getitem__(self, rows: Array) -> Array:
        """Return these rows, in the dtype of training.

        Raises:
            DataError: some rows cannot be read; it reports every one of them.
        """


@dataclass(frozen=True, slots=True)
class LazyDataset(IndexedSubset, Dataset):
    """All examples, or a subset of them, read on demand."""

    x: Mapping[str | None, LazyArray]
    """Inputs by name; the name of a single input is None."""
    y: Mapping[str | None, LazyArray]
    """Targets by name, likewise; labels are in memory."""
    content_id: str
    """Text that identifies the content of this data."""
    row_indices: Array
    """Indices of the examples in the arrays: int64 of shape (samples,)."""
    class_names: Any = None
    """As in ``Examples``."""
    weights: Array | None = None
    """Weights of all rows of the arrays."""
    warnings: tuple[Finding, ...] = ()
    """What its reader left out."""
    target_columns: Mapping[str | None, tuple[str, ...]] = field(default_factory=dict)
    """As in ``Examples``."""

    @property
    def findings(self) -> Sequence[Finding]:
        """Warnings about the data as it was read."""
        return self.warnings

    def __len__(self) -> int:
        return len(self.row_indices)

    @property
    def text_bytes(self) -> int:
        """Memory that the texts of one example may take."""
        known = sum(getattr(array, "row_bytes", 0) for array in (*self.x.values(), *self.y.values()))
        return max(known, ASSUMED_TEXT_BYTES)

    @property
    def target_files(self) -> Sequence[Path]:
        """The file of each target; empty if targets are not files."""
        files: Sequence[Path] = getattr(self.y.get(None), "files", ())
        return [files[row] for row in self.row_indices.tolist()] if files else ()

    def take(self, rows: Array) -> Examples:
        """Return the examples at these indices, in memory."""
        indices = self.row_indices[rows]
        x: Any = {name: array[indices] for name, array in self.x.items()}
        y = {name: array[indices] for name, array in self.y.items()}
        weights = None if self.weights is None else self.weights[indices]
        return Examples(
            x.get(None, x),
            unwrap_single(y),
            self.class_names,
            weights=weights,
            target_columns=self.target_columns,
        )

    def select_rows(self, rows: Array) -> LazyDataset:
        """Return the examples at these indices, which are still read on demand."""
        return replace(self, row_indices=self.row_indices[rows])

    def target_batches(self) -> Iterator[Targets]:
        """Yield only the targets, in order, some at a time."""
        targets_only = replace(self, x={}, weights=None)
        return (batch.y for batch in iterate_batches(targets_only))

    def _select_labels(self) -> dict[str | None, Array]:
        """Return the targets that are labels, for all examples here."""
        arrays = {name: array for name, array in self.y.items() if isinstance(array, np.ndarray)}
        return {name: array[self.row_indices] for name, array in arrays.items() if is_labels(array)}

    def convert_targets(self, forms: Mapping[str | None, ConvertedForm]) -> LazyDataset:
        """Return the examples with labels in memory; numbers stay as they are saved."""
        y = dict(self.y)
        for name, array in self.y.items():
            form = forms.get(name)
            if isinstance(array, np.ndarray):
                y[name] = convert_target(array, form)
            elif form is not None and form.kind == "labels":
                starts = range(0, len(array), _LABEL_ROWS)
                rows = (np.arange(start, min(start + _LABEL_ROWS, len(array))) for start in starts)
                y[name] = np.concatenate([convert_target(array[each], form) for each in rows])
        return replace(self, y=y)

    def facts(self) -> DataFacts:
        """Return the properties that the model must match."""
        return replace(self.empty_batch.facts(), samples=len(self))

    def read_strata(self) -> Array | None:
        """Return one integer for each combination of labels; see ``Dataset``."""
        return compute_strata(list(self._select_labels().values()))

    def split(self, split: SplitConfig, *, seed: int, shuffle: bool, assigned: Array | None = None) -> Splits:
        """Split the examples; see ``Dataset``."""
        strata = self.read_strata() if split.stratify and assigned is None else None
        rows = split_rows(strata, len(self), split, seed=seed, shuffle=shuffle, assigned=assigned)
        selected = [self.row_indices[each] for each in rows]
        return Splits(*map(self.select_rows, rows), rows=tuple(selected))

    def digest(self) -> str:
        """Return the SHA-256 over the content id, the row indices, the weights and the labels."""
        hasher = hashlib.sha256(self.content_id.encode())
        weights = [] if self.weights is None else [self.weights]
        for array in (self.row_indices, *weights, *self._select_labels().values()):
            hasher.update(np.ascontiguousarray(array).data)
        return hasher.hexdigest()
