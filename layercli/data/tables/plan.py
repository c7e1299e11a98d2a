"""How rows of a table become examples: all that new files must be read by, too."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from layercli.config.data.section import DataFacts, TargetFacts
from layercli.data.examples import Array, Examples, RefusedDataError, Targets
from layercli.data.labels import alone
from layercli.data.tables.integers import integers
from layercli.graph.finding import Finding
from layercli.source.nodes import KeyPath, printable

_SLICE = 4096
"""Rows that are laid out together, so that they stay in the processor's cache."""


@dataclass(frozen=True, slots=True)
class TargetPlan:
    """Which column a target is, and what it holds."""

    column: str
    classes: int | None = None
    """How many classes there are, where it is a label from 0; None where it is a number."""
    class_names: tuple[str, ...] | None = None
    """What the labels stand for, where they were text."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Which columns make which input, what the labels stand for, and what is put in place of missing values."""

    inputs: Mapping[str | None, tuple[str, ...]]
    """Columns of each input; under None those of the one input."""
    texts: frozenset[str]
    """Columns of text; all others of inputs are of numbers."""
    targets: Mapping[str | None, TargetPlan]
    """Of each output by its name, None of the only one; empty where only inputs are read."""
    weights: str | None = None
    drop: tuple[str, ...] = ()
    """Columns without which a row is left out."""
    keys: tuple[str, ...] = ()
    """Columns that tell series apart."""
    fill: Mapping[str, float | str] = field(default_factory=dict)
    """Column -> what is put in place of a missing value."""
    learn: Mapping[str, str] = field(default_factory=dict)
    """Column -> median or mean, which the training rows have yet to tell."""
    integers: Mapping[str | None, str] = field(default_factory=dict)
    """Inputs of whole numbers -> their dtype, int32 or int64."""

    @property
    def columns(self) -> list[str]:
        """Every column that is read, each once."""
        named = [column for columns in self.inputs.values() for column in columns]
        targets = [target.column for target in self.targets.values()]
        weights = [] if self.weights is None else [self.weights]
        extra = [*targets, *weights, *self.drop, *self.keys]
        return list(dict.fromkeys([*named, *extra]))

    def is_text(self, name: str | None) -> bool:
        """Whether an input is of text."""
        return any(column in self.texts for column in self.inputs[name])

    def only(self, columns: Collection[str]) -> Plan:
        """The same with these columns of the inputs alone."""
        inputs = {name: tuple(c for c in own if c in columns) for name, own in self.inputs.items()}
        return replace(
            self,
            inputs={name: own for name, own in inputs.items() if own} or {None: ()},
            integers={},
            weights=None,
            keys=(),
        )

    def without_target(self) -> Plan:
        """The same for files that have no targets, all of whose rows are kept."""
        return replace(self, targets={}, weights=None, drop=())

    @property
    def class_names(self) -> Any:
        """As those of ``Examples``."""
        named = {name: t.class_names for name, t in self.targets.items() if t.class_names is not None}
        return named.get(None, named or None)

    def facts(self, like: DataFacts, samples: int) -> DataFacts:
        """What a model must fit, of examples like these."""
        if None in self.targets or not self.targets:
            only = self.targets.get(None)
            return replace(like, samples=samples, classes=None if only is None else only.classes)
        targets = {str(name): TargetFacts(target.classes) for name, target in self.targets.items()}
        return replace(like, samples=samples, targets=targets)

    def filled(self, fill: Mapping[str, float | str]) -> Plan:
        """The same with what was learned in place of missing values."""
        return replace(self, fill={**self.fill, **fill}, learn={})

    def to_json(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "input": list(self.inputs[None]) if None in self.inputs else None,
            "inputs": {name: list(columns) for name, columns in self.inputs.items() if name is not None},
            "texts": sorted(self.texts),
            "targets": [
                [
                    name,
                    target.column,
                    target.classes,
                    None if target.class_names is None else list(target.class_names),
                ]
                for name, target in self.targets.items()
            ],
            "weights": self.weights,
            "drop": list(self.drop),
            "keys": list(self.keys),
            "fill": dict(self.fill),
            "integers": [[name, dtype] for name, dtype in self.integers.items()],
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """What ``to_json`` gave.

        Raises:
            KeyError | TypeError: it is something else.
        """
        one = document["input"]
        several = {name: tuple(columns) for name, columns in document["inputs"].items()}
        return cls(
            inputs={None: tuple(one)} if one is not None else several,
            texts=frozenset(document["texts"]),
            targets={
                name: TargetPlan(column, classes, None if names is None else tuple(names))
                for name, column, classes, names in document["targets"]
            },
            weights=document["weights"],
            drop=tuple(document["drop"]),
            keys=tuple(document["keys"]),
            fill=dict(document["fill"]),
            integers=dict(document["integers"]),
        )


def fill_in(array: Array, plan: Plan, fill: Mapping[str, float], name: str | None) -> Array:
    """An input of shape (..., columns) with these values in place of the missing numbers of its columns."""
    if array.dtype.kind != "f" or not fill:
        return array
    values = np.array([fill.get(column, np.nan) for column in plan.inputs[name]], dtype=np.float32)
    return np.where(np.isnan(array), values, array)


def decode(table: Any, plan: Plan) -> Examples:
    """The rows of an Arrow table, none of which is to be left out: numbers as float32 of shape (rows, columns), or as whole
    numbers where the input is of such, text as objects of that shape, labels as int32, other targets and weights as
    float32; a missing number is NaN.

    Raises:
        RefusedDataError: a label is that of no class.
    """
    x: Any = {name: _input(table, name, plan) for name in plan.inputs}
    return Examples(
        x.get(None, x),
        _targets(table, plan),
        plan.class_names,
        dict(plan.inputs),
        None if plan.weights is None else _number(table.column(plan.weights)).astype(np.float32),
    )


def _input(table: Any, name: str | None, plan: Plan) -> Array:
    columns = plan.inputs[name]
    if plan.is_text(name):
        return texts(table, columns, plan.fill)
    if name in plan.integers:
        return integers(table, columns, plan.fill, plan.integers[name])
    return numbers(table, columns, plan.fill)


def known(table: Any, plan: Plan) -> Array | None:
    """Which rows have a value in each column of ``drop``: booleans of shape (rows,); None where that is all of them."""
    found: Array | None = None
    for name in plan.drop:
        column = table.column(name)
        if column.null_count:
            valid = np.asarray(column.is_valid().to_numpy())
            found = valid if found is None else found & valid
    return found


def kept(table: Any, plan: Plan) -> Any:
    """The table without the rows that lack a value of a column of ``drop``."""
    mask = known(table, plan)
    return table if mask is None else table.filter(mask)


def numbers(table: Any, columns: tuple[str, ...], fill: Mapping[str, float | str]) -> Array:
    """Columns of numbers side by side: float32 of shape (rows, columns)."""
    arrays = [_number(table.column(name)) for name in columns]
    for index, name in enumerate(columns):
        if name in fill and arrays[index].dtype.kind == "f":
            missing = np.isnan(arrays[index])
            if missing.any():
                arrays[index] = np.where(missing, np.float32(fill[name]), arrays[index])
    out = np.empty((table.num_rows, len(columns)), dtype=np.float32)
    for start in range(0, len(out), _SLICE):
        for index, array in enumerate(arrays):
            out[start : start + _SLICE, index] = array[start : start + _SLICE]
    return out


def texts(table: Any, columns: tuple[str, ...], fill: Mapping[str, float | str]) -> Array:
    """Columns of text side by side: objects of shape (rows, columns)."""
    import pyarrow as pa

    out = np.empty((table.num_rows, len(columns)), dtype=object)
    for index, name in enumerate(columns):
        column = table.column(name).cast(pa.string())  # where all are missing they have no type
        if column.null_count:
            column = column.fill_null(str(fill.get(name, "")))
        out[:, index] = column.to_numpy()
    return out


def _number(column: Any) -> Array:
    """The numbers of a column in whatever dtype; as floating-point where one is missing."""
    import pyarrow as pa

    kind = column.type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        column = column.cast(pa.float64())
    return np.asarray(column.to_numpy())


def _targets(table: Any, plan: Plan) -> Targets:
    if not plan.targets:
        return np.zeros(table.num_rows, dtype=np.int32)
    found: Targets = alone({name: _target(table, name, target) for name, target in plan.targets.items()})
    return found


def _target(table: Any, name: str | None, target: TargetPlan) -> Array:
    column = table.column(target.column)
    if target.classes is None:
        return _number(column).astype(np.float32)
    import pyarrow as pa
    from pyarrow import compute

    if target.class_names is None:
        return np.asarray(column.cast(pa.int64()).fill_null(-1).to_numpy()).astype(np.int32)

    texts = column.cast(pa.string())
    labels = np.asarray(
        compute.index_in(texts, pa.array(target.class_names, pa.string())).fill_null(-1).to_numpy()
    ).astype(np.int32)
    unknown = np.flatnonzero(labels < 0)
    if len(unknown):
        value = texts[int(unknown[0])].as_py()
        what = (
            "is missing"
            if value is None
            else f'is "{printable(value, limit=40)}", a class that training did not have'
        )
        message = f"The target `{printable(target.column, limit=60)}` {what}."
        path: KeyPath = ("data", "target") if name is None else ("data", "target", name)
        raise RefusedDataError(
            Finding(code="bad-label", message=message, path=path, hint="Remove those rows.")
        )
    return labels
