"""What a column of targets holds: labels and their names, or numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from layercli.config.data.tables import TableConfig
from layercli.data.examples import Array, DataError
from layercli.data.tables.columns import (
    MAX_CLASSES,
    LocateRow,
    is_number_type,
    is_text_type,
    raise_data_error,
)
from layercli.data.tables.plan import TablePlan, TargetPlan
from layercli.graph.finding import Finding
from layercli.source.nodes import KeyPath, sanitize_text


class TargetInference:
    """Looks at all targets of one output, some rows at a time, and then tells what they are."""

    def __init__(self, data: TableConfig, output: str | None) -> None:
        self.column = data.target_columns[output]
        self._output = output
        self._declared_kind = data.target_type_of(output)
        self._values: set[Any] = set()
        self._arrow_types: set[Any] = set()
        self._missing_count = 0
        self._first_missing_row = -1

    def add(self, column: Any, rows: Array) -> None:
        """The targets of these rows: an Arrow column."""
        import pyarrow as pa
        from pyarrow import compute

        self._arrow_types.add(column.type)
        if column.null_count:
            if not self._missing_count:
                self._first_missing_row = int(rows[compute.index(compute.is_null(column), True).as_py()])
            self._missing_count += column.null_count
        if len(self._values) > MAX_CLASSES or (
            pa.types.is_floating(column.type) and self._declared_kind != "labels"
        ):
            return
        if not pa.types.is_integer(column.type):
            column = column.cast(pa.string())
        self._values |= set(compute.unique(column).to_pylist()) - {None}

    def infer(self, plan: TablePlan, locate_row: LocateRow) -> TablePlan:
        """The plan with what the targets are: labels, and what these stand for where they are not numbers from 0.

        Raises:
            RefusedDataError: a target is missing, or there are too many different texts.
        """
        import pyarrow as pa

        name, declared_kind = self.column, self._declared_kind
        key: KeyPath = ("data", "target") if self._output is None else ("data", "target", self._output)
        shown = sanitize_text(name, limit=60)
        if self._missing_count:
            rows = "" if self._missing_count == 1 else f", and in {self._missing_count:,} rows in all"
            raise_data_error(f"The target `{shown}` is missing in {locate_row(name, self._first_missing_row)}{rows}.", key,
                   f"Nothing can be learned from them; `missing: {{columns: {{{name}: drop}}}}` leaves them out.")  # fmt: skip
        is_integer = all(pa.types.is_integer(kind) for kind in self._arrow_types)
        is_float = any(pa.types.is_floating(kind) for kind in self._arrow_types)
        has_too_many = len(self._values) > MAX_CLASSES
        if declared_kind == "labels" or not (is_integer or is_float):
            if declared_kind == "numbers" and all(is_number_type(kind) for kind in self._arrow_types):
                return plan
            if declared_kind == "numbers" or has_too_many:
                what = "text" if any(is_text_type(kind) for kind in self._arrow_types) else "no number"
                count = f"more than {MAX_CLASSES}" if has_too_many else f"{len(self._values)}"
                raise_data_error(f"The target `{shown}` is {what} ({locate_row(name, -1)}), with {count} different values.", key,
                       f"Labels are of at most {MAX_CLASSES} classes; numbers are written as such.")  # fmt: skip
            names = sorted(self._values, key=None if is_integer else str)
            return self._with_target(plan, len(names), tuple(map(str, names)))
        if (
            declared_kind is None
            and is_integer
            and not has_too_many
            and self._values == set(range(len(self._values)))
        ):
            return self._with_target(plan, len(self._values), None)
        return plan

    def _with_target(self, plan: TablePlan, classes: int, names: tuple[str, ...] | None) -> TablePlan:
        target = TargetPlan(self.column, classes, names)
        return replace(plan, targets={**plan.targets, self._output: target})


def infer_targets(inferences: Sequence[TargetInference], plan: TablePlan, locate: LocateRow) -> TablePlan:
    """The plan with what all targets are.

    Raises:
        RefusedDataError: what is wrong with any of them.
    """
    findings: list[Finding] = []
    for inference in inferences:
        try:
            plan = inference.infer(plan, locate)
        except DataError as error:
            findings += error.findings
    if findings:
        raise DataError(*findings)
    return plan
