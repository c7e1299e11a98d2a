"""Windows of consecutive rows for time series; a window never spans several splits, series or files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod

import numpy as np

from layercli.config.data.section import DataFacts, SplitConfig
from layercli.config.data.tables import WindowsConfig
from layercli.data.examples import Dataset, Examples, IndexedSubset, Splits, Subset, update_digest
from layercli.data.labels import ConvertedForm
from layercli.data.tables.imputation import (
    BATCH_ROWS,
    LearnedValues,
    apply_learned,
    compare_plans,
    learn_inputs,
)
from layercli.data.tables.plan import TablePlan
from layercli.data.tables.row_order import RowOrder
from layercli.data.types import Array, Targets, iterate_named
from layercli.graph.finding import Finding

_MAX_MEMORY_BYTES = 1 << 28
"""Windows that need at most this much are copied into memory; others are gathered batch by batch."""
_DIGEST_BATCH = 1 << 12


def split_segments(row_order: RowOrder, rows: int, split: SplitConfig) -> tuple[Array, Array, Array]:
    """Return the segments of positions of each split: int64 of shape (segments, 2), start and end.

    The first rows of every series are for training, the next for validation and the last for test.
    """
    series_ranges: list[list[tuple[int, int]]] = [[], [], []]
    starts = row_order.series_starts[row_order.series_starts < rows]
    if not len(starts):
        return (np.zeros((0, 2), dtype=np.int64),) * 3
    cuts = [row_order.segment_starts]
    for first, last in zip(starts, [*starts[1:], rows], strict=True):
        train, validation, _ = split.counts(int(last - first))
        bounds = [int(first), int(first) + train, int(first) + train + validation, int(last)]
        for index in range(3):
            series_ranges[index].append((bounds[index], bounds[index + 1]))
        cuts.append(np.array(bounds))
    edges = np.unique(np.concatenate([*cuts, [rows]]))
    segments = np.stack([edges[:-1], edges[1:]], axis=1)
    segments_by_split = []
    for split_ranges in series_ranges:
        start, end = np.array(split_ranges, dtype=np.int64).reshape(-1, 2).T
        nearest = np.searchsorted(start, segments[:, 0], side="right") - 1
        inside = np.flatnonzero(nearest >= 0)
        inside = inside[segments[inside, 0] < end[nearest[inside]]]
        segments_by_split.append(segments[inside])
    return segments_by_split[0], segments_by_split[1], segments_by_split[2]


def divide_segments(row_order: RowOrder, rows: Array, assigned: Array) -> tuple[Array, Array, Array]:
    """Return the segments of positions of each split, as ``split_segments``, if the split of each row is known.

    ``rows`` is the row at each position: int64 of shape (rows,).
    """
    splits = assigned[rows]
    changes = np.flatnonzero(np.diff(splits)) + 1
    edges = np.unique(np.concatenate([row_order.segment_starts, changes, [len(rows)]]))
    segments = np.stack([edges[:-1], edges[1:]], axis=1).reshape(-1, 2)
    split_of = splits[segments[:, 0]] if len(segments) else np.zeros(0, np.uint8)
    return segments[split_of == 0], segments[split_of == 1], segments[split_of == 2]


def find_window_starts(segments: Array, span: int, stride: int) -> Array:
    """Return the first positions of windows whose ``span`` rows are all in one segment: int64 of shape (windows,)."""
    lengths = segments[:, 1] - segments[:, 0]
    counts = np.maximum((lengths - span) // stride + 1, 0)
    offsets = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.asarray(np.repeat(segments[:, 0], counts) + offsets * stride)


@dataclass(frozen=True)
class WindowedExamples(IndexedSubset):
    """Windows of rows, of shape (samples, length, columns), each with the target of its last or a later row."""

    rows: Examples
    """All rows; missing numbers are NaN."""
    row_order: RowOrder
    windows: WindowsConfig
    plan: TablePlan
    window_starts: Array
    """First position of each window: int64 of shape (samples,)."""
    learned: LearnedValues = field(default_factory=LearnedValues)
    """What the training rows determined; nothing before the split."""

    def __len__(self) -> int:
        return len(self.window_starts)

    def take(self, rows: Array) -> Examples:
        """Return the windows at these indices, in memory."""
        return self._gather_rows(self.window_starts[rows])

    def target_batches(self) -> Iterator[Targets]:
        """Yield all targets at once."""
        yield self.rows.take_targets(self._find_target_rows(self.window_starts))

    def _find_target_rows(self, starts: Array) -> Array:
        """Return the target row of each window, of shape (windows,); or rows, of shape (windows, steps)."""
        if not self.plan.targets:
            return self.row_order.map_to_rows(starts)
        first = starts + self.windows.first_target_offset
        steps = self.windows.steps
        return self.row_order.map_to_rows(first if steps is None else first[:, None] + np.arange(steps))

    def _find_last_rows(self, starts: Array) -> Array:
        """Return the last input row of each window: int64 of shape (windows,)."""
        return self.row_order.map_to_rows(starts + self.windows.length - 1)

    def _find_last_target_rows(self, starts: Array) -> Array | None:
        """Return the last row of each window that is before its targets: int64 of shape (windows,); None if there is none."""
        offset = self.windows.first_target_offset - max(1, self.windows.horizon)
        return self.row_order.map_to_rows(starts + offset) if self.plan.targets and offset >= 0 else None

    def _gather_rows(self, starts: Array) -> Examples:
        """Return the windows that start at these positions."""
        input_rows = self.row_order.map_to_rows(starts[:, None] + np.arange(self.windows.length))
        target_rows = self._find_target_rows(starts)
        rows = self.rows
        gathered = rows.map_inputs(
            lambda name, array: apply_learned(array[input_rows], self.plan, self.learned, name),
            rows.take_targets(target_rows),
        )
        last_rows = self._find_last_target_rows(starts)
        return replace(
            gathered,
            weights=None if rows.weights is None else rows.weights[target_rows],
            last_targets=None if last_rows is None else rows.take_targets(last_rows),
        )

    @property
    def is_small(self) -> bool:
        """Whether the windows may be copied into memory."""
        arrays = [array for _, array in self.empty_batch.inputs]
        window_bytes: int = sum(array.itemsize * prod(array.shape[1:]) for array in arrays)
        return len(self) * window_bytes <= _MAX_MEMORY_BYTES

    def load(self) -> Examples:
        """Return the windows in memory."""
        return self._gather_rows(self.window_starts)

    def digest(self) -> str:
        """Return the SHA-256 over the examples and their order: the same in memory, if the windows are small."""
        hasher = hashlib.sha256()
        if not self.is_small:
            for batch in self.batches(_DIGEST_BATCH):
                hasher.update(batch.digest().encode())
            return hasher.hexdigest()
        for name, array in self.empty_batch.inputs:
            parts = (dict(batch.inputs)[name] for batch in self.batches(_DIGEST_BATCH))
            update_digest(hasher, array.dtype, (len(self), *array.shape[1:]), parts)
        target_rows = self._find_target_rows(self.window_starts)
        arrays = [array for _, array in iterate_named(self.rows.take_targets(target_rows))]
        arrays += [] if self.rows.weights is None else [self.rows.weights[target_rows]]
        for array in arrays:
            update_digest(hasher, array.dtype, array.shape, [array])
        return hasher.hexdigest()


@dataclass(frozen=True)
class WindowedDataset(WindowedExamples, Dataset):
    """All windows of a table, before the split."""

    order_findings: tuple[Finding, ...] = ()
    """Warnings about the times of the rows."""
    row_columns: Mapping[str, Array] = field(default_factory=dict)
    """Columns that identify each row: objects of shape (rows,)."""

    @property
    def findings(self) -> Sequence[Finding]:
        """Warnings about the columns of the table, and about the times of the rows."""
        return (*self.plan.findings, *self.order_findings)

    @property
    def last_row_columns(self) -> dict[str, Array]:
        """Columns that identify the last row of each window: its number from 1, its series and its time."""
        rows = self._find_last_rows(self.window_starts)
        return {"row": rows + 1} | {name: column[rows] for name, column in self.row_columns.items()}

    @property
    def statistics_source(self) -> Subset:
        """The rows, because each row is in many windows."""
        return self.rows

    @property
    def dropped_rows(self) -> Sequence[int]:
        """The rows that are left out because a value is missing."""
        return self.rows.dropped_rows

    def locate_dropped(self, row: int) -> str:
        """Return where a row of ``dropped_rows`` is in the data."""
        return self.rows.locate_dropped(row)

    def convert_targets(self, forms: Mapping[str | None, ConvertedForm]) -> WindowedDataset:
        """Return the windows with each target in the form that its meaning requires; see ``convert_target``."""
        return replace(self, rows=self.rows.convert_targets(forms), plan=self.plan.with_target_forms(forms))

    @property
    def table_plan(self) -> TablePlan:
        """The plan that converts table rows to these examples."""
        return self.plan

    def facts(self) -> DataFacts:
        """Return the properties that the model must match."""
        return self.plan.data_facts(self.empty_batch.facts(), len(self))

    def read_strata(self) -> None:
        """Windows are not stratified; see ``Dataset``."""
        return

    def split(
        self,
        split: SplitConfig,
        *,
        seed: int,  # noqa: ARG002 - time is not shuffled
        shuffle: bool,  # noqa: ARG002
        assigned: Array | None = None,
    ) -> Splits:
        """Split every series in time order; replace missing numbers by values learned from the training rows.

        ``assigned`` is the split of each row.
        """
        segments_by_split = (
            split_segments(self.row_order, len(self.rows), split)
            if assigned is None
            else divide_segments(
                self.row_order, self.row_order.map_to_rows(np.arange(len(self.rows))), assigned
            )
        )
        training_positions = np.concatenate(
            [np.arange(*segment) for segment in segments_by_split[0]] or [np.arange(0)]
        )
        rows = self.row_order.map_to_rows(training_positions)
        learned = learn_inputs(
            lambda: (
                self.rows.take(rows[first : first + BATCH_ROWS]) for first in range(0, len(rows), BATCH_ROWS)
            ),
            self.plan,
        )
        span, stride = self.windows.span, self.windows.stride
        starts = [find_window_starts(segments, span, stride) for segments in segments_by_split]
        subsets = [self._select_windows(each, learned) for each in starts]
        # Small sets of large data save no time, but a window takes as much memory as all of its rows.
        should_load = all(subset.is_small for subset in subsets)
        return Splits(
            *(subset.load() if should_load else subset for subset in subsets),
            table_plan=self.plan.with_learned(*learned),
            rows=self._list_last_rows(starts),
        )

    def _list_last_rows(self, starts: Sequence[Array]) -> tuple[Array, ...] | None:
        """Return the rows in the files of the last rows of windows; None if rows were dropped and they are unknown."""
        rows = tuple(map(self._find_last_rows, starts))
        if not self.plan.required_columns:
            return rows
        row_numbers = getattr(self.rows, "row_numbers", None)
        return None if row_numbers is None else tuple(row_numbers[each] for each in rows)

    def prepare(self, plan: TablePlan | None) -> Subset:
        """Return all windows with what ``plan`` learned from the training rows; see ``Dataset``."""
        learned = LearnedValues() if plan is None else compare_plans(self.plan, plan)
        subset = self._select_windows(self.window_starts, learned)
        return subset.load() if subset.is_small else subset

    def _select_windows(self, starts: Array, learned: LearnedValues) -> WindowedExamples:
        return WindowedExamples(self.rows, self.row_order, self.windows, self.plan, starts, learned)


def make_windowed_dataset(
    rows: Examples,
    row_order: RowOrder,
    windows: WindowsConfig,
    plan: TablePlan,
    findings: Sequence[Finding] = (),
    row_columns: Mapping[str, Array] | None = None,
) -> WindowedDataset:
    """Return all windows of rows; without targets each row can be the last row of a window, and they are in its order."""
    span = windows.span if plan.targets else windows.length
    edges = np.append(row_order.segment_starts, len(rows))
    segments = np.stack([edges[:-1], edges[1:]], axis=1).reshape(-1, 2)
    starts = find_window_starts(segments, span, windows.stride)
    if not plan.targets and row_order.permutation is not None:
        starts = starts[np.argsort(row_order.permutation[starts + windows.length - 1])]
    return WindowedDataset(
        rows,
        row_order,
        windows,
        plan,
        starts,
        order_findings=tuple(findings),
        row_columns=row_columns or {},
    )
