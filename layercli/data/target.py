"""What a column of targets holds: labels and their names, or numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from layercli.config.tables import Table
from layercli.data.arrays import Array
from layercli.data.plan import Plan
from layercli.data.tables import MOST_LABELS, Locate, is_number, is_text, refuse
from layercli.source.nodes import printable

_KEY = ("data", "target")


class TargetSurvey:
    """Looks at all targets, some rows at a time, and then tells what they are."""

    def __init__(self, data: Table) -> None:
        self._data = data
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
            pa.types.is_floating(column.type) and self._data.target_type != "labels"
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

        name, wanted = self._data.target, self._data.target_type
        shown = printable(name, limit=60)
        if self._missing:
            rows = "" if self._missing == 1 else f", and in {self._missing:,} rows in all"
            refuse(f"The target `{shown}` is missing in {locate(name, self._first_missing)}{rows}.", _KEY,
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
                refuse(f"The target `{shown}` is {what} ({locate(name, -1)}), with {count} different values.", _KEY,
                       f"Labels are of at most {MOST_LABELS} classes; numbers are written as such.")  # fmt: skip
            names = sorted(self._values, key=None if whole else str)
            return replace(plan, classes=len(names), class_names=tuple(map(str, names)))
        if wanted is None and whole and not too_many and self._values == set(range(len(self._values))):
            return replace(plan, classes=len(self._values))
        return plan
