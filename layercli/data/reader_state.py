"""What new files are read by, so that they become examples as those of training were: kept with a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from layercli.data.examples import Splits
from layercli.data.tables.plan import TablePlan


@dataclass(frozen=True, slots=True)
class ReaderState:
    """The names of classes, what each input is, and of tables how their rows become examples."""

    inputs: Mapping[str | None, tuple[tuple[int, ...], str]]
    """Of each input by its name, None of one alone: the shape of an example, and the dtype, "object" for text."""
    class_names: Any = None
    """As those of ``Examples``."""
    table_plan: TablePlan | None = None

    @classmethod
    def from_splits(cls, splits: Splits) -> Self:
        """What was learned with the parts."""
        like = splits.train.empty_batch
        inputs = {name: (array.shape[1:], array.dtype.name) for name, array in like.inputs}
        return cls(inputs, like.class_names, splits.table_plan)

    def single_input(self) -> tuple[tuple[int, ...], np.dtype[Any]]:
        """The shape and dtype of the only input."""
        [(shape, dtype)] = self.inputs.values()
        return shape, np.dtype(dtype)

    def single_target_classes(self) -> tuple[str, ...]:
        """The classes of the only target, where it is labels by name."""
        return self.class_names if isinstance(self.class_names, tuple) else ()

    def to_json(self) -> dict[str, Any]:
        """As JSON holds it."""
        has_several_targets = isinstance(self.class_names, Mapping)
        return {
            "inputs": [
                {"name": name, "shape": list(shape), "dtype": dtype} for name, (shape, dtype) in self.inputs.items()
            ],
            "class_names": {name: list(names) for name, names in self.class_names.items()} if has_several_targets else (
                None if self.class_names is None else list(self.class_names)
            ),
            "plan": None if self.table_plan is None else self.table_plan.to_json(),
        }  # fmt: skip

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """What ``to_json`` gave.

        Raises:
            KeyError | TypeError: it is something else.
        """
        names = document["class_names"]
        if isinstance(names, dict):
            names = {name: tuple(own) for name, own in names.items()}
        plan = document["plan"]
        return cls(
            {entry["name"]: (tuple(entry["shape"]), entry["dtype"]) for entry in document["inputs"]},
            tuple(names) if isinstance(names, list) else names,
            None if plan is None else TablePlan.from_json(plan),
        )
