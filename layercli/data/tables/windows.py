"""Sequences of rows that follow one another, for time series: none of them crosses from one part, series or file to another."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from layercli.config.data.section import DataFacts, SplitConfig
from layercli.config.data.tables import WindowsConfig
from layercli.data.examples import Array, Examples, Splits, Targets
from layercli.data.subset import ShuffleSeed, Subset, compute_epoch_order
from layercli.data.tables.imputation import BATCH_ROWS, learn_fill_values
from layercli.data.tables.plan import TablePlan, fill_missing

_MAX_MEMORY_BYTES = 1 << 28
"""Sequences that take no more are laid out in memory; others are put together batch by batch."""
_DIGEST_BATCH = 1 << 12


@dataclass(frozen=True)
class RowOrder:
    """The rows in the order of their series and, within each, of time."""

    permutation: Array | None
    """int64 of shape (rows,): row of the table at each place; None where they are the same."""
    series_starts: Array
    """Places at which a series begins; int64, from 0, ascending, as the next."""
    segment_starts: Array
    """Places before which a series, a file or a row that was left out ends."""


def order_rows(series_ids: Array | None, file_rows: Sequence[int], kept_mask: Array | None) -> RowOrder:
    """How rows follow one another.

    ``keys`` of shape (rows,) tell the series of each row, ``files`` how many rows each file has, and ``kept`` of shape
    (rows,) which rows are not left out; the result counts those alone.
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
    positions = np.cumsum(is_kept) - is_kept  # where each row is, or the next that is kept
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
    """Of each part the stretches of places that follow one another: int64 of shape (stretches, 2) each.

    Of every series the first rows are trained on, the next validated on and the last tested on.
    """
    series_ranges: list[list[tuple[int, int]]] = [[], [], []]
    starts = row_order.series_starts[row_order.series_starts < rows]
    if not len(starts):
        return (np.zeros((0, 2), dtype=np.int64),) * 3
    cuts = [row_order.segment_starts]
    for first, last in zip(starts, [*starts[1:], rows], strict=True):
        train, validation, _ = split.counts(int(last - first))
        bounds = [int(first), int(first) + train, int(first) + train + validation, int(last)]
        for part in range(3):
            series_ranges[part].append((bounds[part], bounds[part + 1]))
        cuts.append(np.array(bounds))
    edges = np.unique(np.concatenate([*cuts, [rows]]))
    segments = np.stack([edges[:-1], edges[1:]], axis=1)
    split_parts = []
    for part_ranges in series_ranges:
        begin, end = np.array(part_ranges, dtype=np.int64).reshape(-1, 2).T
        nearest = np.searchsorted(begin, segments[:, 0], side="right") - 1
        inside = np.flatnonzero(nearest >= 0)
        inside = inside[segments[inside, 0] < end[nearest[inside]]]
        split_parts.append(segments[inside])
    return split_parts[0], split_parts[1], split_parts[2]


def find_window_starts(segments: Array, span: int, stride: int) -> Array:
    """The places at which sequences begin whose ``span`` rows are all in one stretch: int64 of shape (sequences,)."""
    lengths = segments[:, 1] - segments[:, 0]
    counts = np.maximum((lengths - span) // stride + 1, 0)
    offsets = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.asarray(np.repeat(segments[:, 0], counts) + offsets * stride)


@dataclass(frozen=True)
class WindowedExamples:
    """Sequences of rows of shape (samples, length, columns), each with the target of a later row: a ``Part``."""

    rows: Examples
    """All rows; a missing number is NaN."""
    row_order: RowOrder
    windows: WindowsConfig
    plan: TablePlan
    window_starts: Array
    """Places at which the sequences begin."""
    fill_values: Mapping[str, float] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.window_starts)

    @cached_property
    def empty_batch(self) -> Examples:
        """None of the examples, in the dtypes and shapes of all."""
        return self._gather(np.zeros(0, dtype=np.int64))

    def batches(self, size: int, *, shuffle: ShuffleSeed | None = None, start: int = 0) -> Iterator[Examples]:
        """One pass in batches; see ``Part``."""
        order = compute_epoch_order(len(self), shuffle)
        for first in range(start * size, len(self), size):
            yield self._gather(self.window_starts[order[first : first + size]])

    def target_batches(self) -> Iterator[Targets]:
        """The targets alone, in order."""
        yield self.rows.take_targets(self._map_to_rows(self.window_starts + self.target_offset))

    @property
    def target_offset(self) -> int:
        """Rows from the first of a sequence to that of its target."""
        return self.windows.length - 1 + self.windows.horizon

    def _map_to_rows(self, positions: Array) -> Array:
        return positions if self.row_order.permutation is None else self.row_order.permutation[positions]

    def _gather(self, starts: Array) -> Examples:
        """The sequences that begin at these places."""
        input_rows = self._map_to_rows(starts[:, None] + np.arange(self.windows.length))
        target_rows = self._map_to_rows(starts + (self.target_offset if self.plan.targets else 0))
        rows = self.rows
        gathered = rows.map_inputs(
            lambda name, array: fill_missing(array[input_rows], self.plan, self.fill_values, name),
            rows.take_targets(target_rows),
        )
        return gathered if rows.weights is None else replace(gathered, weights=rows.weights[target_rows])

    def load_if_small(self) -> Subset:
        """The same in memory where that takes little."""
        example = sum(array.itemsize * int(np.prod(array.shape[1:])) for _, array in self.empty_batch.inputs)
        return self._gather(self.window_starts) if len(self) * example <= _MAX_MEMORY_BYTES else self

    def digest(self) -> str:
        """SHA-256 that is another wherever an example or their order is another."""
        hasher = hashlib.sha256()
        for batch in self.batches(_DIGEST_BATCH):
            hasher.update(batch.digest().encode())
        return hasher.hexdigest()


@dataclass(frozen=True)
class WindowedDataset(WindowedExamples):
    """All sequences of a table, before they are divided."""

    @property
    def statistics_source(self) -> Subset:
        """What tells what the data is like: the rows, of which each is in many sequences."""
        return self.rows

    def facts(self) -> DataFacts:
        """What a model must fit."""
        return self.plan.data_facts(self.empty_batch.facts(), len(self))

    def split(self, split: SplitConfig, *, seed: int, shuffle: bool) -> Splits:  # noqa: ARG002 - time is not shuffled
        """The parts, each a stretch of every series, missing numbers filled by what the rows to train on tell."""
        split_parts = split_segments(self.row_order, len(self.rows), split)
        training_positions = np.concatenate(
            [np.arange(*stretch) for stretch in split_parts[0]] or [np.arange(0)]
        )
        rows = self._map_to_rows(training_positions)
        fill_values = learn_fill_values(
            lambda: (
                self.rows.take(rows[first : first + BATCH_ROWS]) for first in range(0, len(rows), BATCH_ROWS)
            ),
            self.plan,
        )
        span = self.target_offset + 1
        starts = [find_window_starts(own, span, self.windows.stride) for own in split_parts]
        parts = [
            WindowedExamples(self.rows, self.row_order, self.windows, self.plan, own, fill_values)
            for own in starts
        ]
        return Splits(
            *(part.load_if_small() for part in parts), table_plan=self.plan.with_fill_values(fill_values)
        )


def make_windowed_dataset(
    rows: Examples, row_order: RowOrder, windows: WindowsConfig, plan: TablePlan
) -> WindowedDataset:
    """All sequences of rows in one run; without targets each row may be the last of one."""
    span = windows.length + (windows.horizon if plan.targets else 0)
    edges = np.append(row_order.segment_starts, len(rows))
    segments = np.stack([edges[:-1], edges[1:]], axis=1).reshape(-1, 2)
    return WindowedDataset(rows, row_order, windows, plan, find_window_starts(segments, span, windows.stride))


class SeriesIds:
    """Numbers for the series that columns tell apart, the same in every stretch of the table."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = columns
        self._ids: dict[tuple[Any, ...], int] = {}

    def assign(self, table: Any) -> Array | None:
        """The series of each row: int32 of shape (rows,); None where all are one."""
        if not self._columns:
            return None
        encoded = [table.column(name).combine_chunks().dictionary_encode("encode") for name in self._columns]
        codes = np.zeros(len(table), dtype=np.int64)
        for column in encoded:
            codes = codes * len(column.dictionary) + column.indices.to_numpy()
        different, places, inverse = np.unique(codes, return_index=True, return_inverse=True)
        numbers = np.empty(len(different), dtype=np.int32)
        for index in np.argsort(places):
            key = tuple(column[int(places[index])].as_py() for column in encoded)
            numbers[index] = self._ids.setdefault(key, len(self._ids))
        return numbers[inverse.ravel()]
