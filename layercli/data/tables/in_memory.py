"""Table rows in memory, or the windows of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from layercli.config.data.section import DataFacts, SplitConfig
from layercli.config.data.tables import TableConfig
from layercli.data.examples import Dataset, Examples, Splits, load_examples
from layercli.data.labels import ConvertedForm
from layercli.data.new_examples import to_object_array
from layercli.data.tables.arrow import list_values
from layercli.data.tables.decode import decode_and_free, find_complete_rows
from layercli.data.tables.files import LocateRow
from layercli.data.tables.imputation import (
    BATCH_ROWS,
    LearnedValues,
    apply_learned,
    compare_plans,
    learn_inputs,
)
from layercli.data.tables.plan import TablePlan
from layercli.data.tables.row_order import SeriesIds, order_rows
from layercli.data.tables.times import Times, check_steps, read_times
from layercli.data.tables.windows import make_windowed_dataset
from layercli.data.types import Array
from layercli.graph.finding import Finding


@dataclass(frozen=True, slots=True)
class TableExamples(Examples):
    """Table rows in memory; each row is an example."""

    plan: TablePlan = field(kw_only=True)
    """How the rows were decoded, before values are learned from the training rows."""
    row_numbers: Array | None = field(default=None, kw_only=True)
    """The row in the files of each row, from 0; None if no row was dropped."""
    file_rows: int = field(default=0, kw_only=True)
    """The number of rows in the files."""
    locate: LocateRow | None = field(default=None, kw_only=True)
    """The location of each row of the files."""

    @property
    def table_plan(self) -> TablePlan:
        """The plan that converts table rows to these examples."""
        return self.plan

    @property
    def findings(self) -> Sequence[Finding]:
        """Warnings about the columns of the table."""
        return self.plan.findings

    @property
    def dropped_rows(self) -> Sequence[int]:
        """The rows of the files that are left out because a value is missing, from 0."""
        if self.row_numbers is None:
            return ()
        dropped: list[int] = np.setdiff1d(np.arange(self.file_rows), self.row_numbers).tolist()
        return dropped

    def locate_dropped(self, row: int) -> str:
        """Return the file and line of a row of the files."""
        column = self.plan.required_columns[0]
        return Examples.locate_dropped(self, row) if self.locate is None else self.locate(column, row)

    def facts(self) -> DataFacts:
        """Return the properties that the model must match."""
        return self.plan.data_facts(Examples.facts(self), len(self))

    def locate_row(self, column: str, row: int) -> str:
        """Return the file and line of a row; see ``Dataset``."""
        if self.locate is None:
            return Examples.locate_row(self, column, row)
        return self.locate(column, row if self.row_numbers is None else int(self.row_numbers[row]))

    def convert_targets(self, forms: Mapping[str | None, ConvertedForm]) -> TableExamples:
        """Return the rows with each target in the form that its meaning requires; see ``convert_target``."""
        plan = self.plan.with_target_forms(forms)
        return replace(self, y=Examples.convert_targets(self, forms).y, plan=plan)

    def split(self, split: SplitConfig, *, seed: int, shuffle: bool, assigned: Array | None = None) -> Splits:
        """Split the rows, and replace missing numbers by values learned from the training rows."""
        splits = Examples.split(self, split, seed=seed, shuffle=shuffle, assigned=assigned)
        learned = learn_inputs(partial(splits.train.batches, BATCH_ROWS), self.plan)
        filled = [_apply_to_all(load_examples(subset), self.plan, learned) for subset in splits.subsets]
        rows = splits.rows
        if self.row_numbers is not None and rows is not None:
            rows = tuple(None if each is None else self.row_numbers[each] for each in rows)
        return Splits(*filled, table_plan=self.plan.with_learned(*learned), rows=rows)

    def prepare(self, plan: TablePlan | None) -> Examples:
        """Return the rows with what ``plan`` learned from the training rows; see ``Dataset``."""
        return self if plan is None else _apply_to_all(self, self.plan, compare_plans(self.plan, plan))


def _apply_to_all(rows: Examples, plan: TablePlan, learned: LearnedValues) -> Examples:
    return rows.map_inputs(lambda name, array: apply_learned(array, plan, learned, name))


def decode_dataset(
    data: TableConfig, held: list[Any], file_rows: Sequence[int], plan: TablePlan, locate: LocateRow
) -> Dataset:
    """Return the rows of an Arrow table, or their windows; ``file_rows`` is the number of rows of each file.

    ``held`` contains the table, and the only reference to it; see ``decode_and_free``.

    Raises:
        DataError: a label is unknown, or the time of a row is missing.
    """
    mask = find_complete_rows(held[0], plan)
    series_ids = SeriesIds(plan.series_columns).assign(held[0])
    times: Times | None = None
    if plan.time_column is not None:
        times = read_times([held[0].column(plan.time_column)], plan.time_column, locate)
    names = () if plan.targets else plan.row_columns
    row_columns = {name: to_object_array(list_values(held[0].column(name))) for name in names}
    decoded = decode_and_free(held, plan, mask)
    rows = TableExamples(
        decoded.x,
        decoded.y,
        decoded.class_names,
        decoded.columns,
        decoded.weights,
        target_columns=decoded.target_columns,
        is_movable=True,
        plan=plan,
        row_numbers=None if mask is None else np.flatnonzero(mask),
        file_rows=sum(file_rows),
        locate=locate,
    )
    if data.windows is None:
        return rows
    findings: list[Finding] = []
    if times is not None:
        all_rows = order_rows(series_ids, file_rows, None, times.values)
        findings += check_steps(times, all_rows, locate)
    row_order = order_rows(series_ids, file_rows, mask, None if times is None else times.values)
    return make_windowed_dataset(rows, row_order, data.windows, plan, findings, row_columns)
