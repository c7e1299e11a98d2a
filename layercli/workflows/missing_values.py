"""Find which columns of an example the files lack, whatever replaced them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from layercli.config.data.tables import MissingValues, TableConfig
from layercli.formats.registry import load_dataset
from layercli.workflows.dataset import find_input_dtypes
from layercli.workflows.evaluate import SPLIT_NAMES, SplitName
from layercli.workflows.finished_run import FinishedRun
from layercli.workflows.preflight import read_memory_limit, require_data

if TYPE_CHECKING:
    from layercli.data.examples import Splits
    from layercli.data.tables.plan import TablePlan
    from layercli.data.types import Array

MissingFinder = Callable[[int], frozenset[str]]
"""A function from the position of an example in its set to the columns that its row lacks."""
_MAX_BYTES: Final = 64 << 20
"""Largest size of a table that is read again without replacements."""
_UNCHANGED: Final = ("refuse", "drop")


def make_missing_finder(finished_run: FinishedRun, splits: Splits, split: SplitName) -> MissingFinder:
    """Return a function that reads the table again, without replacements, when it is called first.

    It finds nothing in other data, in windows, and in tables that are too large to read again.
    """
    data, plan = require_data(finished_run.valid), splits.table_plan
    subset = getattr(splits, split)
    rows = splits.rows[SPLIT_NAMES.index(split)] if splits.rows is not None else None
    if (
        plan is None
        or not isinstance(data, TableConfig)
        or data.windows is not None
        or not plan.fill_values
        or rows is None
        or len(rows) != len(subset)
        or sum(map(len, splits.subsets)) * subset.count_example_bytes() > _MAX_BYTES
    ):
        return lambda _: frozenset()
    return _MissingFinder(finished_run, data, plan, split, rows).find


class _MissingFinder:
    """Reads the table without replacements, once."""

    def __init__(
        self, finished_run: FinishedRun, data: TableConfig, plan: TablePlan, split: SplitName, rows: Array
    ) -> None:
        self._finished_run = finished_run
        self._data = data
        self._plan = plan
        self._split = split
        self._rows = rows
        self._has_own_files = split in data.split.own_files

    def find(self, position: int) -> frozenset[str]:
        """Return the columns that an example lacks."""
        import numpy as np

        table = self._table
        if table is None:
            return frozenset()
        row = int(self._rows[position])
        if table.row_numbers is not None and not self._has_own_files:
            found = np.flatnonzero(table.row_numbers == row)
            if not len(found):
                return frozenset()
            row = int(found[0])
        return frozenset(
            column
            for name, array in table.take(np.array([row])).inputs
            for column, value in zip(table.plan.inputs[name], array[0].ravel().tolist(), strict=False)
            if value == "" or value != value
        )

    @cached_property
    def _table(self) -> Any:
        """The rows in memory with NaN and empty texts for missing values; None if they cannot be read so."""
        from layercli.data.split_datasets import HeldOutDataset, WrappedDataset
        from layercli.data.tables.in_memory import TableExamples
        from layercli.data.types import DataError

        valid = self._finished_run.valid
        data = self._data.with_arguments(missing=_without_replacements(self._data.missing, self._plan))
        try:
            dataset = load_dataset(
                valid.resolve_data_paths(data), memory=read_memory_limit(), dtypes=find_input_dtypes(valid)
            )
        except DataError:  # such as an integer without a replacement
            return None
        if isinstance(dataset, HeldOutDataset) and self._split != "train" and self._has_own_files:
            dataset = dataset.held_out[self._split]
        while isinstance(dataset, WrappedDataset):
            dataset = dataset.dataset
        return dataset if isinstance(dataset, TableExamples) else None


def _without_replacements(missing: MissingValues, plan: TablePlan) -> MissingValues:
    """Return the policies with which missing values stay until they are learned, which does not happen here."""
    columns: Mapping[str, str | float] = {
        column: policy if policy in _UNCHANGED else "" if column in plan.text_columns else "median"
        for column, policy in missing.columns.items()
    }
    numbers = missing.numbers if missing.numbers in _UNCHANGED else "median"
    return missing.model_copy(update={"numbers": numbers, "texts": "", "columns": dict(columns)})
