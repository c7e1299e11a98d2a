"""How rows of a table become examples: all that new files must be read by, too."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from layercli.config.data.section import DataFacts, TargetFacts
from layercli.data.examples import Array, DataError, Examples, Targets
from layercli.data.labels import unwrap_single
from layercli.data.tables.integers import decode_integers
from layercli.graph.finding import Finding
from layercli.source.nodes import KeyPath, sanitize_text

_SLICE_ROWS = 4096
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
class TablePlan:
    """Which columns make which input, what the labels stand for, and what is put in place of missing values."""

    inputs: Mapping[str | None, tuple[str, ...]]
    """Columns of each input; under None those of the one input."""
    text_columns: frozenset[str]
    """Columns of text; all others of inputs are of numbers."""
    targets: Mapping[str | None, TargetPlan]
    """Of each output by its name, None of the only one; empty where only inputs are read."""
    weight_column: str | None = None
    required_columns: tuple[str, ...] = ()
    """Columns without which a row is left out."""
    series_columns: tuple[str, ...] = ()
    """Columns that tell series apart."""
    fill_values: Mapping[str, float | str] = field(default_factory=dict)
    """Column -> what is put in place of a missing value."""
    fill_statistics: Mapping[str, str] = field(default_factory=dict)
    """Column -> median or mean, which the training rows have yet to tell."""
    integer_dtypes: Mapping[str | None, str] = field(default_factory=dict)
    """Inputs of whole numbers -> their dtype, int32 or int64."""

    @property
    def columns(self) -> list[str]:
        """Every column that is read, each once."""
        input_columns = [column for columns in self.inputs.values() for column in columns]
        target_columns = [target.column for target in self.targets.values()]
        weight_columns = [] if self.weight_column is None else [self.weight_column]
        extra = [*target_columns, *weight_columns, *self.required_columns, *self.series_columns]
        return list(dict.fromkeys([*input_columns, *extra]))

    def is_text(self, name: str | None) -> bool:
        """Whether an input is of text."""
        return any(column in self.text_columns for column in self.inputs[name])

    def select_inputs(self, columns: Collection[str]) -> TablePlan:
        """The same with these columns of the inputs alone."""
        inputs = {name: tuple(c for c in own if c in columns) for name, own in self.inputs.items()}
        return replace(
            self,
            inputs={name: own for name, own in inputs.items() if own} or {None: ()},
            integer_dtypes={},
            weight_column=None,
            series_columns=(),
        )

    def without_target(self) -> TablePlan:
        """The same for files that have no targets, all of whose rows are kept."""
        return replace(self, targets={}, weight_column=None, required_columns=())

    @property
    def class_names(self) -> Any:
        """As those of ``Examples``."""
        named = {name: t.class_names for name, t in self.targets.items() if t.class_names is not None}
        return named.get(None, named or None)

    def data_facts(self, base: DataFacts, samples: int) -> DataFacts:
        """What a model must fit, of examples like these."""
        if None in self.targets or not self.targets:
            target = self.targets.get(None)
            return replace(base, samples=samples, classes=None if target is None else target.classes)
        targets = {str(name): TargetFacts(target.classes) for name, target in self.targets.items()}
        return replace(base, samples=samples, targets=targets)

    def with_fill_values(self, fill_values: Mapping[str, float | str]) -> TablePlan:
        """The same with what was learned in place of missing values."""
        return replace(self, fill_values={**self.fill_values, **fill_values}, fill_statistics={})

    def to_json(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "input": list(self.inputs[None]) if None in self.inputs else None,
            "inputs": {name: list(columns) for name, columns in self.inputs.items() if name is not None},
            "texts": sorted(self.text_columns),
            "targets": [
                [
                    name,
                    target.column,
                    target.classes,
                    None if target.class_names is None else list(target.class_names),
                ]
                for name, target in self.targets.items()
            ],
            "weights": self.weight_column,
            "drop": list(self.required_columns),
            "keys": list(self.series_columns),
            "fill": dict(self.fill_values),
            "integers": [[name, dtype] for name, dtype in self.integer_dtypes.items()],
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """What ``to_json`` gave.

        Raises:
            KeyError | TypeError: it is something else.
        """
        single = document["input"]
        several = {name: tuple(columns) for name, columns in document["inputs"].items()}
        return cls(
            inputs={None: tuple(single)} if single is not None else several,
            text_columns=frozenset(document["texts"]),
            targets={
                name: TargetPlan(column, classes, None if names is None else tuple(names))
                for name, column, classes, names in document["targets"]
            },
            weight_column=document["weights"],
            required_columns=tuple(document["drop"]),
            series_columns=tuple(document["keys"]),
            fill_values=dict(document["fill"]),
            integer_dtypes=dict(document["integers"]),
        )


def fill_missing(array: Array, plan: TablePlan, fill_values: Mapping[str, float], name: str | None) -> Array:
    """An input of shape (..., columns) with these values in place of the missing numbers of its columns."""
    if array.dtype.kind != "f" or not fill_values:
        return array
    values = np.array([fill_values.get(column, np.nan) for column in plan.inputs[name]], dtype=np.float32)
    return np.where(np.isnan(array), values, array)


def decode_table(table: Any, plan: TablePlan) -> Examples:
    """The rows of an Arrow table, none of which is to be left out: numbers as float32 of shape (rows, columns), or as whole
    numbers where the input is of such, text as objects of that shape, labels as int32, other targets and weights as
    float32; a missing number is NaN.

    Raises:
        RefusedDataError: a label is that of no class.
    """
    x: Any = {name: _decode_input(table, name, plan) for name in plan.inputs}
    return Examples(
        x.get(None, x),
        _decode_targets(table, plan),
        plan.class_names,
        dict(plan.inputs),
        None
        if plan.weight_column is None
        else _to_numeric(table.column(plan.weight_column)).astype(np.float32),
    )


def _decode_input(table: Any, name: str | None, plan: TablePlan) -> Array:
    columns = plan.inputs[name]
    if plan.is_text(name):
        return decode_texts(table, columns, plan.fill_values)
    if name in plan.integer_dtypes:
        return decode_integers(table, columns, plan.fill_values, plan.integer_dtypes[name])
    return decode_numbers(table, columns, plan.fill_values)


def find_complete_rows(table: Any, plan: TablePlan) -> Array | None:
    """Which rows have a value in each column of ``drop``: booleans of shape (rows,); None where that is all of them."""
    mask: Array | None = None
    for name in plan.required_columns:
        column = table.column(name)
        if column.null_count:
            is_valid = np.asarray(column.is_valid().to_numpy())
            mask = is_valid if mask is None else mask & is_valid
    return mask


def drop_incomplete_rows(table: Any, plan: TablePlan) -> Any:
    """The table without the rows that lack a value of a column of ``drop``."""
    mask = find_complete_rows(table, plan)
    return table if mask is None else table.filter(mask)


def decode_numbers(table: Any, columns: tuple[str, ...], fill_values: Mapping[str, float | str]) -> Array:
    """Columns of numbers side by side: float32 of shape (rows, columns)."""
    arrays = [_to_numeric(table.column(name)) for name in columns]
    for index, name in enumerate(columns):
        if name in fill_values and arrays[index].dtype.kind == "f":
            missing = np.isnan(arrays[index])
            if missing.any():
                arrays[index] = np.where(missing, np.float32(fill_values[name]), arrays[index])
    out = np.empty((table.num_rows, len(columns)), dtype=np.float32)
    for start in range(0, len(out), _SLICE_ROWS):
        for index, array in enumerate(arrays):
            out[start : start + _SLICE_ROWS, index] = array[start : start + _SLICE_ROWS]
    return out


def decode_texts(table: Any, columns: tuple[str, ...], fill_values: Mapping[str, float | str]) -> Array:
    """Columns of text side by side: objects of shape (rows, columns)."""
    import pyarrow as pa

    out = np.empty((table.num_rows, len(columns)), dtype=object)
    for index, name in enumerate(columns):
        column = table.column(name).cast(pa.string())  # where all are missing they have no type
        if column.null_count:
            column = column.fill_null(str(fill_values.get(name, "")))
        out[:, index] = column.to_numpy()
    return out


def _to_numeric(column: Any) -> Array:
    """The numbers of a column in whatever dtype; as floating-point where one is missing."""
    import pyarrow as pa

    kind = column.type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        column = column.cast(pa.float64())
    return np.asarray(column.to_numpy())


def _decode_targets(table: Any, plan: TablePlan) -> Targets:
    if not plan.targets:
        return np.zeros(table.num_rows, dtype=np.int32)
    decoded: Targets = unwrap_single(
        {name: _decode_target(table, name, target) for name, target in plan.targets.items()}
    )
    return decoded


def _decode_target(table: Any, name: str | None, target: TargetPlan) -> Array:
    column = table.column(target.column)
    if target.classes is None:
        return _to_numeric(column).astype(np.float32)
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
        description = (
            "is missing"
            if value is None
            else f'is "{sanitize_text(value, limit=40)}", a class that training did not have'
        )
        message = f"The target `{sanitize_text(target.column, limit=60)}` {description}."
        path: KeyPath = ("data", "target") if name is None else ("data", "target", name)
        raise DataError(Finding(code="bad-label", message=message, path=path, hint="Remove those rows."))
    return labels
