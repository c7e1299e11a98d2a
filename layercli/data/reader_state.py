"""The state that a run keeps so that new files are read as those of training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from layercli.data.examples import Dataset, Examples, Splits
from layercli.data.reader_state_schema import ReaderStateDocument
from layercli.data.tables.plan import TablePlan
from layercli.graph.target_meaning import TargetKind


@dataclass(frozen=True, slots=True)
class ReaderState:
    """The inputs, the class names and, for tables, the plan by which rows become examples."""

    inputs: Mapping[str | None, tuple[tuple[int, ...], str]]
    """Input by its name, None for the only one -> the shape of an example, and the dtype, which is "object" for text."""
    class_names: Any = None
    """As in ``Examples``."""
    table_plan: TablePlan | None = None
    target_kinds: Mapping[str | None, TargetKind] = field(default_factory=dict)
    """What each target is; empty in runs of versions that did not keep it."""
    target_columns: Mapping[str | None, tuple[str, ...]] = field(default_factory=dict)
    """The columns of targets with several columns in a table of labels; those of other tables are in the plan."""

    @classmethod
    def from_splits(cls, splits: Splits) -> Self:
        """Return the state of splits that were read for training."""
        kinds = {name: meaning.kind for name, meaning in splits.target_meanings.items()}
        return cls._from_batch(splits.train.empty_batch, splits.table_plan, kinds)

    @classmethod
    def from_dataset(cls, dataset: Dataset) -> Self:
        """Return the state of all examples, before values are learned from the training examples."""
        return cls._from_batch(dataset.empty_batch, dataset.table_plan, {})

    @classmethod
    def _from_batch(
        cls, batch: Examples, plan: TablePlan | None, kinds: Mapping[str | None, TargetKind]
    ) -> Self:
        inputs = {name: (array.shape[1:], array.dtype.name) for name, array in batch.inputs}
        columns = {} if plan is not None else batch.target_columns
        return cls(inputs, batch.class_names, plan, kinds, columns)

    def class_names_of(self, target: str | None) -> tuple[str, ...] | None:
        """Return the class names of a target: those of its labels, or its columns if it is one-hot.

        A target that lists labels and has only one has two classes: examples without and with it.
        """
        names = self.class_names.get(target) if isinstance(self.class_names, Mapping) else self.class_names
        if names is not None:
            return tuple(names)
        columns = self.target_columns_of(target)
        if columns is not None and len(columns) == 1:
            return f"not {columns[0]}", columns[0]
        return columns if self.target_kinds.get(target) == "one-hot" else None

    def target_columns_of(self, target: str | None) -> tuple[str, ...] | None:
        """Return the columns of a target that has a value for each of several columns."""
        if self.table_plan is None:
            return self.target_columns.get(target)
        plan = self.table_plan.targets.get(target)
        return plan.value_names if plan is not None and plan.has_several_values else None

    def single_input(self) -> tuple[tuple[int, ...], np.dtype[Any]]:
        """Return the shape and dtype of the only input."""
        [(shape, dtype)] = self.inputs.values()
        return shape, np.dtype(dtype)

    def single_target_classes(self) -> tuple[str, ...]:
        """Return the class names of the only target; empty if it has none."""
        return self.class_names if isinstance(self.class_names, tuple) else ()

    def to_json(self) -> dict[str, Any]:
        """Return the state as JSON values."""
        has_several_targets = isinstance(self.class_names, Mapping)
        return {
            "inputs": [
                {"name": name, "shape": list(shape), "dtype": dtype}
                for name, (shape, dtype) in self.inputs.items()
            ],
            "class_names": {name: list(names) for name, names in self.class_names.items()}
            if has_several_targets
            else (None if self.class_names is None else list(self.class_names)),
            "plan": None if self.table_plan is None else self.table_plan.to_json(),
            "targets": [
                {"name": name, "kind": kind, "columns": list(self.target_columns.get(name, ()))}
                for name, kind in self.target_kinds.items()
            ],
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Return the state of a document that ``to_json`` returned.

        Raises:
            ValueError | KeyError | TypeError: the document is invalid.
        """
        ReaderStateDocument.model_validate(document)
        names = document["class_names"]
        if isinstance(names, dict):
            names = {name: tuple(texts) for name, texts in names.items()}
        plan = document["plan"]
        return cls(
            {entry["name"]: (tuple(entry["shape"]), entry["dtype"]) for entry in document["inputs"]},
            tuple(names) if isinstance(names, list) else names,
            None if plan is None else TablePlan.from_json(plan),
            {entry["name"]: entry["kind"] for entry in document.get("targets", [])},
            {
                entry["name"]: tuple(entry["columns"])
                for entry in document.get("targets", [])
                if entry.get("columns")
            },
        )
