"""Sequences of rows that follow one another, for time series: none of them crosses from one part, series or file to another."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from layercli.config.data.section import DataFacts, Split
from layercli.config.data.tables import Windows
from layercli.data.examples import Array, Examples, Parts, Targets
from layercli.data.subset import Part, Shuffle, epoch_order
from layercli.data.tables.imputation import ROWS, learned
from layercli.data.tables.plan import Plan, fill_in

_MOST_BYTES = 1 << 28
"""Sequences that take no more are laid out in memory; others are put together batch by batch."""
_BATCH = 1 << 12


@dataclass(frozen=True)
class Line:
    """The rows in the order of their series and, within each, of time."""

    order: Array | None
    """int64 of shape (rows,): row of the table at each place; None where they are the same."""
    series: Array
    """Places at which a series begins; int64, from 0, ascending, as the next."""
    runs: Array
    """Places before which a series, a file or a row that was left out ends."""


def line_of(keys: Array | None, files: Sequence[int], kept: Array | None) -> Line:
    """How rows follow one another.

    ``keys`` of shape (rows,) tell the series of each row, ``files`` how many rows each file has, and ``kept`` of shape
    (rows,) which rows are not left out; the result counts those alone.
    """
    rows = sum(files)
    order = None if keys is None else np.argsort(keys, kind="stable")
    breaks = np.zeros(rows, dtype=bool)
    firsts = np.cumsum([0, *files])[:-1]
    if order is None or keys is None:
        breaks[firsts[firsts < rows]] = True
        series = np.zeros(1, dtype=np.int64)
    else:
        file_of = np.repeat(np.arange(len(files), dtype=np.int32), files)[order]
        own = keys[order]
        changes = np.flatnonzero(np.diff(own)) + 1
        breaks[changes] = True
        breaks[1:] |= np.diff(file_of) != 0
        series = np.concatenate([[0], changes])
    if rows:
        breaks[0] = True
    if kept is None:
        return Line(order, series, np.flatnonzero(breaks))
    there = kept if order is None else kept[order]
    places = np.cumsum(there) - there  # where each row is, or the next that is kept
    breaks[1:] |= ~there[:-1]
    runs = np.unique(places[breaks])
    numbers = np.cumsum(kept) - 1
    left = int(there.sum())
    return Line(
        None if order is None else numbers[order[there]],
        np.unique(np.minimum(places[series], left)) if rows else series,
        runs[runs < left],
    )


def ranges(line: Line, rows: int, split: Split) -> tuple[Array, Array, Array]:
    """Of each part the stretches of places that follow one another: int64 of shape (stretches, 2) each.

    Of every series the first rows are trained on, the next validated on and the last tested on.
    """
    found: list[list[tuple[int, int]]] = [[], [], []]
    starts = line.series[line.series < rows]
    if not len(starts):
        return (np.zeros((0, 2), dtype=np.int64),) * 3
    cuts = [line.runs]
    for first, last in zip(starts, [*starts[1:], rows], strict=True):
        train, validation, _ = split.counts(int(last - first))
        bounds = [int(first), int(first) + train, int(first) + train + validation, int(last)]
        for part in range(3):
            found[part].append((bounds[part], bounds[part + 1]))
        cuts.append(np.array(bounds))
    edges = np.unique(np.concatenate([*cuts, [rows]]))
    stretches = np.stack([edges[:-1], edges[1:]], axis=1)
    parts = []
    for own in found:
        begin, end = np.array(own, dtype=np.int64).reshape(-1, 2).T
        nearest = np.searchsorted(begin, stretches[:, 0], side="right") - 1
        inside = np.flatnonzero(nearest >= 0)
        inside = inside[stretches[inside, 0] < end[nearest[inside]]]
        parts.append(stretches[inside])
    return parts[0], parts[1], parts[2]


def starts_in(stretches: Array, span: int, stride: int) -> Array:
    """The places at which sequences begin whose ``span`` rows are all in one stretch: int64 of shape (sequences,)."""
    lengths = stretches[:, 1] - stretches[:, 0]
    counts = np.maximum((lengths - span) // stride + 1, 0)
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.asarray(np.repeat(stretches[:, 0], counts) + within * stride)


@dataclass(frozen=True)
class Sequences:
    """Sequences of rows of shape (samples, length, columns), each with the target of a later row: a ``Part``."""

    rows: Examples
    """All rows; a missing number is NaN."""
    line: Line
    windows: Windows
    plan: Plan
    starts: Array
    """Places at which the sequences begin."""
    fill: Mapping[str, float] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.starts)

    @cached_property
    def like(self) -> Examples:
        """None of the examples, in the dtypes and shapes of all."""
        return self._gathered(np.zeros(0, dtype=np.int64))

    def batches(self, size: int, *, shuffle: Shuffle | None = None, start: int = 0) -> Iterator[Examples]:
        """One pass in batches; see ``Part``."""
        order = epoch_order(len(self), shuffle)
        for first in range(start * size, len(self), size):
            yield self._gathered(self.starts[order[first : first + size]])

    def target_batches(self) -> Iterator[Targets]:
        """The targets alone, in order."""
        yield self.rows.targets_at(self._rows(self.starts + self.ahead))

    @property
    def ahead(self) -> int:
        """Rows from the first of a sequence to that of its target."""
        return self.windows.length - 1 + self.windows.horizon

    def _rows(self, places: Array) -> Array:
        return places if self.line.order is None else self.line.order[places]

    def _gathered(self, starts: Array) -> Examples:
        """The sequences that begin at these places."""
        taken = self._rows(starts[:, None] + np.arange(self.windows.length))
        last = self._rows(starts + (self.ahead if self.plan.targets else 0))
        rows = self.rows
        found = rows.mapped(
            lambda name, array: fill_in(array[taken], self.plan, self.fill, name), rows.targets_at(last)
        )
        return found if rows.weights is None else replace(found, weights=rows.weights[last])

    def laid_out(self) -> Part:
        """The same in memory where that takes little."""
        example = sum(array.itemsize * int(np.prod(array.shape[1:])) for _, array in self.like.arrays)
        return self._gathered(self.starts) if len(self) * example <= _MOST_BYTES else self

    def digest(self) -> str:
        """SHA-256 that is another wherever an example or their order is another."""
        hasher = hashlib.sha256()
        for batch in self.batches(_BATCH):
            hasher.update(batch.digest().encode())
        return hasher.hexdigest()


@dataclass(frozen=True)
class WindowSource(Sequences):
    """All sequences of a table, before they are divided."""

    @property
    def surveyed(self) -> Part:
        """What tells what the data is like: the rows, of which each is in many sequences."""
        return self.rows

    def facts(self) -> DataFacts:
        """What a model must fit."""
        return self.plan.facts(self.like.facts(), len(self))

    def divide(self, split: Split, *, seed: int, shuffle: bool) -> Parts:  # noqa: ARG002 - time is not shuffled
        """The parts, each a stretch of every series, missing numbers filled by what the rows to train on tell."""
        stretches = ranges(self.line, len(self.rows), split)
        trained = np.concatenate([np.arange(*stretch) for stretch in stretches[0]] or [np.arange(0)])
        rows = self._rows(trained)
        fill = learned(
            lambda: (self.rows.take(rows[first : first + ROWS]) for first in range(0, len(rows), ROWS)),
            self.plan,
        )
        span = self.ahead + 1
        starts = [starts_in(own, span, self.windows.stride) for own in stretches]
        parts = [Sequences(self.rows, self.line, self.windows, self.plan, own, fill) for own in starts]
        return Parts(*(part.laid_out() for part in parts), plan=self.plan.filled(fill))


def window_source(rows: Examples, line: Line, windows: Windows, plan: Plan) -> WindowSource:
    """All sequences of rows in one run; without targets each row may be the last of one."""
    span = windows.length + (windows.horizon if plan.targets else 0)
    edges = np.append(line.runs, len(rows))
    stretches = np.stack([edges[:-1], edges[1:]], axis=1).reshape(-1, 2)
    return WindowSource(rows, line, windows, plan, starts_in(stretches, span, windows.stride))


class Keys:
    """Numbers for the series that columns tell apart, the same in every stretch of the table."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = columns
        self._numbers: dict[tuple[Any, ...], int] = {}

    def of(self, table: Any) -> Array | None:
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
            numbers[index] = self._numbers.setdefault(key, len(self._numbers))
        return numbers[inverse.ravel()]
