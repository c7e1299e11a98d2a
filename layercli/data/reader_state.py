"""What new files are read by, so that they become examples as those of training were: kept with a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from layercli.data.examples import Parts
from layercli.data.tables.plan import Plan


@dataclass(frozen=True, slots=True)
class Learned:
    """The names of classes, what each input is, and of tables how their rows become examples."""

    inputs: Mapping[str | None, tuple[tuple[int, ...], str]]
    """Of each input by its name, None of one alone: the shape of an example, and the dtype, "object" for text."""
    class_names: Any = None
    """As those of ``Examples``."""
    plan: Plan | None = None

    @classmethod
    def of(cls, parts: Parts) -> Self:
        """What was learned with the parts."""
        like = parts.train.like
        inputs = {name: (array.shape[1:], array.dtype.name) for name, array in like.arrays}
        return cls(inputs, like.class_names, parts.plan)

    def one(self) -> tuple[tuple[int, ...], np.dtype[Any]]:
        """The shape and dtype of the only input."""
        [(shape, dtype)] = self.inputs.values()
        return shape, np.dtype(dtype)

    def names(self) -> tuple[str, ...]:
        """The classes of the only target, where it is labels by name."""
        return self.class_names if isinstance(self.class_names, tuple) else ()

    def to_json(self) -> dict[str, Any]:
        """As JSON holds it."""
        several = isinstance(self.class_names, Mapping)
        return {
            "inputs": [
                {"name": name, "shape": list(shape), "dtype": dtype} for name, (shape, dtype) in self.inputs.items()
            ],
            "class_names": {name: list(names) for name, names in self.class_names.items()} if several else (
                None if self.class_names is None else list(self.class_names)
            ),
            "plan": None if self.plan is None else self.plan.to_json(),
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
            None if plan is None else Plan.from_json(plan),
        )
