"""What a column of targets holds: labels and their names, or numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from layercli.config.data.tables import Table
from layercli.data.examples import Array, RefusedDataError
from layercli.data.tables.columns import MOST_LABELS, Locate, is_number, is_text, refuse
from layercli.data.tables.plan import Plan, TargetPlan
from layercli.graph.finding import Finding
from layercli.source.nodes import KeyPath, printable


class TargetSurvey:
    """Looks at all targets of one output, some rows at a time, and then tells what they are."""

    def __init__(self, data: Table, output: str | None) -> None:
        self.column = data.target_columns[output]
        self._output = output
        self._wanted = data.kind_of_target(output)
        self._values: set[Any] = set()
        self._kinds: set[Any] = set()
        self._missing = 0
        self._first_missing = -1

    def add(self, column: Any, rows: Array) -> None:
        """The targets of these rows: an Arrow column."""
        import pyarrow as pa
        from pyarrow import compute

        self._kinds.add(column.type)
        if column.null_count:
            if not self._missing:
                self._first_missing = int(rows[compute.index(compute.is_null(column), True).as_py()])
            self._missing += column.null_count
        if len(self._values) > MOST_LABELS or (
            pa.types.is_floating(column.type) and self._wanted != "labels"
        ):
            return
        if not pa.types.is_integer(column.type):
            column = column.cast(pa.string())
        self._values |= set(compute.unique(column).to_pylist()) - {None}

    def conclude(self, plan: Plan, locate: Locate) -> Plan:
        """The plan with what the targets are: labels, and what these stand for where they are not numbers from 0.

        Raises:
            RefusedDataError: a target is missing, or there are too many different texts.
        """
        import pyarrow as pa

        name, wanted = self.column, self._wanted
        key: KeyPath = ("data", "target") if self._output is None else ("data", "target", self._output)
        shown = printable(name, limit=60)
        if self._missing:
            rows = "" if self._missing == 1 else f", and in {self._missing:,} rows in all"
            refuse(f"The target `{shown}` is missing in {locate(name, self._first_missing)}{rows}.", key,
                   f"Nothing can be learned from them; `missing: {{columns: {{{name}: drop}}}}` leaves them out.")  # fmt: skip
        whole = all(pa.types.is_integer(kind) for kind in self._kinds)
        floating = any(pa.types.is_floating(kind) for kind in self._kinds)
        too_many = len(self._values) > MOST_LABELS
        if wanted == "labels" or not (whole or floating):
            if wanted == "numbers" and all(is_number(kind) for kind in self._kinds):
                return plan
            if wanted == "numbers" or too_many:
                what = "text" if any(is_text(kind) for kind in self._kinds) else "no number"
                count = f"more than {MOST_LABELS}" if too_many else f"{len(self._values)}"
                refuse(f"The target `{shown}` is {what} ({locate(name, -1)}), with {count} different values.", key,
                       f"Labels are of at most {MOST_LABELS} classes; numbers are written as such.")  # fmt: skip
            names = sorted(self._values, key=None if whole else str)
            return self._with(plan, len(names), tuple(map(str, names)))
        if wanted is None and whole and not too_many and self._values == set(range(len(self._values))):
            return self._with(plan, len(self._values), None)
        return plan

    def _with(self, plan: Plan, classes: int, names: tuple[str, ...] | None) -> Plan:
        target = TargetPlan(self.column, classes, names)
        return replace(plan, targets={**plan.targets, self._output: target})


def conclude(surveys: Sequence[TargetSurvey], plan: Plan, locate: Locate) -> Plan:
    """The plan with what all targets are.

    Raises:
        RefusedDataError: what is wrong with any of them.
    """
    wrong: list[Finding] = []
    for survey in surveys:
        try:
            plan = survey.conclude(plan, locate)
        except RefusedDataError as error:
            wrong += error.findings
    if wrong:
        raise RefusedDataError(*wrong)
    return plan
