"""Windows of consecutive rows for time series; a window never spans several splits, series or files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from layercli.config.data.section import DataFacts, SplitConfig
from layercli.config.data.tables import WindowsConfig
from layercli.data.examples import Dataset, Examples, IndexedSubset, Splits, Subset
from layercli.data.labels import TargetForm
from layercli.data.tables.imputation import BATCH_ROWS, fill_missing, learn_fill_values
from layercli.data.tables.plan import TablePlan
from layercli.data.types import Array, Targets

_MAX_MEMORY_BYTES = 1 << 28
"""Windows that need at most this much are copied into memory; others are gathered batch by batch."""
_DIGEST_BATCH = 1 << 12


@dataclass(frozen=True)
class RowOrder:
    """Rows in the order of their series and, within a series, in their original order."""

    permutation: Array | None
    """Table row at each position: int64 of shape (rows,); None if the order is unchanged."""
    series_starts: Array
    """First position of each series: int64 of shape (series,), ascending, from 0."""
    segment_starts: Array
    """First position of each segment, which has one series, one file and no dropped row: int64 of shape (segments,)."""


def order_rows(series_ids: Array | None, file_rows: Sequence[int], kept_mask: Array | None) -> RowOrder:
    """Return the order of the kept rows.

    ``series_ids`` of shape (rows,) is the series of each row, ``file_rows`` the number of rows of each file, and
    ``kept_mask`` of shape (rows,) marks the rows that are not dropped.
    """
    rows = sum(file_rows)
    order = None if series_ids is None else np.argsort(series_ids, kind="stable")
    breaks = np.zeros(rows, dtype=bool)
    file_starts = np.cumsum([0, *file_rows])[:-1]
    if order is None or series_ids is None:
        breaks[file_starts[file_starts < rows]] = True
        series = np.zeros(1, dtype=np.int64)
    else:
        file_of = np.repeat(np.arange(len(file_rows), dtype=np.int32), file_rows)[order]
        ordered_ids = series_ids[order]
        changes = np.flatnonzero(np.diff(ordered_ids)) + 1
        breaks[changes] = True
        breaks[1:] |= np.diff(file_of) != 0
        series = np.concatenate([[0], changes])
    if rows:
        breaks[0] = True
    if kept_mask is None:
        return RowOrder(order, series, np.flatnonzero(breaks))
    is_kept = kept_mask if order is None else kept_mask[order]
    positions = np.cumsum(is_kept) - is_kept  # position of each row, or of the next kept row
    breaks[1:] |= ~is_kept[:-1]
    segment_starts = np.unique(positions[breaks])
    numbers = np.cumsum(kept_mask) - 1
    kept_count = int(is_kept.sum())
    return RowOrder(
        None if order is None else numbers[order[is_kept]],
        np.unique(np.minimum(positions[series], kept_count)) if rows else series,
        segment_starts[segment_starts < kept_count],
    )


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
    fill_values: Mapping[str, float] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.window_starts)

    def take(self, rows: Array) -> Examples:
        """Return the windows at these indices, in memory."""
        return self._gather(self.window_starts[rows])

    def target_batches(self) -> Iterator[Targets]:
        """Yield all targets at once."""
        yield self.rows.take_targets(self._map_to_rows(self.window_starts + self.target_offset))

    @property
    def target_offset(self) -> int:
        """Number of rows from the first row of a window to its target row."""
        return self.windows.length - 1 + self.windows.horizon

    def _map_to_rows(self, positions: Array) -> Array:
        return positions if self.row_order.permutation is None else self.row_order.permutation[positions]

    def _gather(self, starts: Array) -> Examples:
        """Return the windows that start at these positions."""
        input_rows = self._map_to_rows(starts[:, None] + np.arange(self.windows.length))
        target_rows = self._map_to_rows(starts + (self.target_offset if self.plan.targets else 0))
        rows = self.rows
        gathered = rows.map_inputs(
            lambda name, array: fill_missing(array[input_rows], self.plan, self.fill_values, name),
            rows.take_targets(target_rows),
        )
        return gathered if rows.weights is None else replace(gathered, weights=rows.weights[target_rows])

    def load_if_small(self) -> Subset:
        """Return the windows in memory if they are small, otherwise this subset."""
        example_bytes = sum(
            array.itemsize * int(np.prod(array.shape[1:])) for _, array in self.empty_batch.inputs
        )
        return self._gather(self.window_starts) if len(self) * example_bytes <= _MAX_MEMORY_BYTES else self

    def digest(self) -> str:
        """Return the SHA-256 over the examples and their order."""
        hasher = hashlib.sha256()
        for batch in self.batches(_DIGEST_BATCH):
            hasher.update(batch.digest().encode())
        return hasher.hexdigest()


@dataclass(frozen=True)
class WindowedDataset(WindowedExamples, Dataset):
    """All windows of a table, before the split."""

    @property
    def statistics_source(self) -> Subset:
        """The rows, because each row is in many windows."""
        return self.rows

    def convert_targets(self, forms: Mapping[str | None, TargetForm]) -> WindowedDataset:
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
            else divide_segments(self.row_order, self._map_to_rows(np.arange(len(self.rows))), assigned)
        )
        training_positions = np.concatenate(
            [np.arange(*segment) for segment in segments_by_split[0]] or [np.arange(0)]
        )
        rows = self._map_to_rows(training_positions)
        fill_values = learn_fill_values(
            lambda: (
                self.rows.take(rows[first : first + BATCH_ROWS]) for first in range(0, len(rows), BATCH_ROWS)
            ),
            self.plan,
        )
        span = self.target_offset + 1
        starts = (find_window_starts(segments, span, self.windows.stride) for segments in segments_by_split)
        return Splits(
            *(self._select_windows(each, fill_values) for each in starts),
            table_plan=self.plan.with_fill_values(fill_values),
        )

    def prepare(self, plan: TablePlan | None) -> Subset:
        """Return all windows, with missing numbers replaced by the values that ``plan`` learned; see ``Dataset``."""
        return self._select_windows(
            self.window_starts, {} if plan is None else plan.learned_fill_values(self.plan)
        )

    def _select_windows(self, starts: Array, fill_values: Mapping[str, float]) -> Subset:
        return WindowedExamples(
            self.rows, self.row_order, self.windows, self.plan, starts, fill_values
        ).load_if_small()


def make_windowed_dataset(
    rows: Examples, row_order: RowOrder, windows: WindowsConfig, plan: TablePlan
) -> WindowedDataset:
    """Return all windows of rows; without targets each row can be the last row of a window."""
    span = windows.length + (windows.horizon if plan.targets else 0)
    edges = np.append(row_order.segment_starts, len(rows))
    segments = np.stack([edges[:-1], edges[1:]], axis=1).reshape(-1, 2)
    return WindowedDataset(rows, row_order, windows, plan, find_window_starts(segments, span, windows.stride))


class SeriesIds:
    """Integer ids of the series that columns identify, consistent over all pieces of a table."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = columns
        self._ids: dict[tuple[Any, ...], int] = {}

    def assign(self, table: Any) -> Array | None:
        """Return the series id of each row: int32 of shape (rows,); None if there is only one series."""
        if not self._columns:
            return None
        encoded = [table.column(name).combine_chunks().dictionary_encode("encode") for name in self._columns]
        codes = np.zeros(len(table), dtype=np.int64)
        for column in encoded:
            codes = codes * len(column.dictionary) + column.indices.to_numpy()
        distinct, first_rows, inverse = np.unique(codes, return_index=True, return_inverse=True)
        ids = np.empty(len(distinct), dtype=np.int32)
        for index in np.argsort(first_rows):
            key = tuple(column[int(first_rows[index])].as_py() for column in encoded)
            ids[index] = self._ids.setdefault(key, len(self._ids))
        return ids[inverse.ravel()]
