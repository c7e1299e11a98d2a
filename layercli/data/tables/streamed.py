"""Rows that are read from Parquet as they are needed: a table of any size, in memory that stays the same."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np

from layercli.config.data.section import DataFacts, SplitConfig
from layercli.data.examples import Array, Examples, Splits, Targets
from layercli.data.labels import unwrap_single
from layercli.data.split import BLOCK_ROWS, SplitPlan
from layercli.data.subset import ShuffleSeed
from layercli.data.tables.cache import Cache
from layercli.data.tables.imputation import BATCH_ROWS, learn_fill_values
from layercli.data.tables.plan import TablePlan, decode_table
from layercli.data.tables.row_groups import RowGroups

_BUFFER_ROWS = 1 << 18
"""Rows that are shuffled together, of one or several row groups."""
_BUFFER_BYTES = 1 << 26


@dataclass(frozen=True)
class StreamedRows:
    """Some of the rows, or all of them: a ``Part`` that is not in memory."""

    row_groups: RowGroups
    plan: TablePlan
    membership: SplitMembership | None = None
    """Which part each row belongs to; None where all rows are here."""
    split_index: int = 0
    full_dataset: StreamedRows | None = None
    """All rows, as they were before they were divided; None where these are all."""

    def __len__(self) -> int:
        return int(self.row_counts.sum())

    @cached_property
    def row_counts(self) -> Array:
        """Rows of each chunk that belong here: int64 of shape (chunks,)."""
        if self.membership is None:
            return np.array([chunk.rows for chunk in self.row_groups.groups], dtype=np.int64)
        return self.membership.split_counts[:, self.split_index]

    @cached_property
    def empty_batch(self) -> Examples:
        """None of the examples, in the dtypes and shapes of all."""
        return decode_table(self.row_groups.empty_table(), self.plan)

    def target_batches(self) -> Iterator[Targets]:
        """The targets alone, in the order of the data; no other column is read."""
        return (batch.y for batch in replace(self, plan=self.plan.select_inputs(())).batches(BLOCK_ROWS))

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 over all rows as they were before they were divided; it stays in the cache."""
        if self.full_dataset is not None:
            return self.full_dataset.content_hash

        def read() -> dict[str, str]:
            hasher = hashlib.sha256()
            for batch in self.batches(BLOCK_ROWS):
                hasher.update(batch.digest().encode())
            return {"sha256": hasher.hexdigest()}

        document = Cache.default().get_json(["content", *self.row_groups.cache_key(self.plan)], read)
        return str(document["sha256"])

    @property
    def statistics_source(self) -> StreamedRows:
        """What tells what the data is like: all of it."""
        return self

    def facts(self) -> DataFacts:
        """What a model must fit."""
        return self.plan.data_facts(self.empty_batch.facts(), len(self))

    def batches(self, size: int, *, shuffle: ShuffleSeed | None = None, start: int = 0) -> Iterator[Examples]:
        """One pass in batches; see ``Part``. What comes before batch ``start`` is not read.

        With ``shuffle`` row groups come in an order that is drawn, and some of them at a time are shuffled together.
        """
        pending: list[Examples] = []
        rows = 0
        for examples in self._read_buffers(shuffle, start * size):
            position = 0
            if rows:
                position = min(size - rows, len(examples))
                pending.append(examples.take(slice(0, position)))
                rows += position
                if rows < size:
                    continue
                yield concatenate_examples(pending)
                pending, rows = [], 0
            batched_end = position + (len(examples) - position) // size * size
            for first in range(position, batched_end, size):
                yield examples.take(slice(first, first + size))
            if batched_end < len(examples):
                pending, rows = (
                    [examples.take(slice(batched_end, len(examples)))],
                    len(examples) - batched_end,
                )
        if rows:
            yield concatenate_examples(pending)

    def _read_buffers(self, shuffle: ShuffleSeed | None, skip: int) -> Iterator[Examples]:
        """The rows from row ``skip`` of the pass on, some at a time; the next are read while these are used."""
        with ThreadPoolExecutor(1, thread_name_prefix="read") as pool:
            current = None
            for number, chunks in enumerate(self._plan_buffers(shuffle)):
                rows = int(self.row_counts[chunks].sum())
                if skip >= rows:
                    skip -= rows
                    continue
                following = pool.submit(self._read_buffer, chunks, number, shuffle, skip)
                skip = 0
                if current is not None:
                    yield current.result()
                current = following
            if current is not None:
                yield current.result()

    def _plan_buffers(self, shuffle: ShuffleSeed | None) -> Iterator[list[int]]:
        """Chunks that are read together, in the order of the pass."""
        order = np.flatnonzero(self.row_counts)
        if shuffle is None:
            yield from ([int(number)] for number in order)
            return
        order = np.random.default_rng([shuffle.seed, shuffle.epoch]).permutation(order)
        max_rows = max(1, min(_BUFFER_ROWS, _BUFFER_BYTES // self._row_bytes))
        buffer: list[int] = []
        rows = 0
        for number in order.tolist():
            if buffer and rows + self.row_counts[number] > max_rows:
                yield buffer
                buffer, rows = [], 0
            buffer.append(number)
            rows += int(self.row_counts[number])
        if buffer:
            yield buffer

    @cached_property
    def _row_bytes(self) -> int:
        return sum(
            int(np.prod(array.shape[1:])) * (64 if array.dtype.kind == "O" else array.itemsize)
            for _, array in self.empty_batch.inputs
        )

    def _read_buffer(
        self, chunks: list[int], buffer_index: int, shuffle: ShuffleSeed | None, skip: int
    ) -> Examples:
        pieces = [self._read_group(chunk) for chunk in chunks]
        examples = concatenate_examples(pieces)
        if shuffle is None:
            return examples.take(slice(skip, len(examples))) if skip else examples
        # From 1 on: with 0 it would be the generator that the row groups were drawn with.
        generator = np.random.default_rng([shuffle.seed, shuffle.epoch, buffer_index + 1])
        return examples.take(generator.permutation(len(examples))[skip:])

    def _read_group(self, group_index: int) -> Examples:
        examples = self.row_groups.read_examples(group_index, self.plan)
        if self.membership is None:
            return examples
        return examples.take(np.flatnonzero(self.membership.row_splits(group_index) == self.split_index))

    def split(self, split: SplitConfig, *, seed: int, shuffle: bool) -> Splits:
        """The parts, missing numbers filled by what the training rows tell."""
        samples = len(self)
        labels = None
        if split.stratify:
            block_strata = [np.unique(block) for block in self._iterate_strata()]
            strata: Array = np.unique(np.concatenate(block_strata or [np.arange(1)]))
            blocks = [
                np.bincount(np.searchsorted(strata, block), minlength=len(strata))
                for block in self._iterate_strata()
            ]
            labels = np.stack(blocks) if blocks else None
        split_plan = SplitPlan(samples, split.counts(samples), seed if shuffle else None, labels)
        strata_blocks = (
            (np.searchsorted(strata, block) for block in self._iterate_strata()) if split.stratify else None
        )
        membership = SplitMembership.from_split_plan(split_plan, strata_blocks, self.row_groups.row_offsets)
        parts = [
            replace(self, membership=membership, split_index=number, full_dataset=self) for number in range(3)
        ]
        statistics_plan = self.plan.select_inputs(self.plan.fill_statistics)
        plan = self.plan.with_fill_values(
            learn_fill_values(
                partial(replace(parts[0], plan=statistics_plan).batches, BATCH_ROWS), statistics_plan
            )
        )
        return Splits(*(replace(part, plan=plan) for part in parts), table_plan=plan)

    def _iterate_strata(self) -> Iterator[Array]:
        """Numbers that are the same where all labels are, and in the order of the labels; int64 of shape (rows,) each."""
        for block in self.target_batches():
            named = block if isinstance(block, Mapping) else {None: block}
            codes = np.zeros(len(next(iter(named.values()))), dtype=np.int64)
            for name, target in self.plan.targets.items():
                if target.classes is not None:
                    codes = codes * target.classes + named[name]  # type: ignore[index]
            yield codes

    def digest(self) -> str:
        """SHA-256 that is another wherever an example or their order is another."""
        hasher = hashlib.sha256(self.content_hash.encode())
        hasher.update(repr(sorted(self.plan.fill_values.items())).encode())
        if self.membership is not None:
            hasher.update(f"{self.split_index}{self.row_counts.tolist()}".encode())
            hasher.update(self.membership.packed.tobytes())
        return hasher.hexdigest()


@dataclass(frozen=True)
class SplitMembership:
    """The part of each row, in two bits: of a hundred million rows 25 MB."""

    packed: Array
    """uint8 of shape (rows / 4,)."""
    row_offsets: Array
    split_counts: Array
    """Rows of each part in each chunk: int64 of shape (chunks, 3)."""

    @classmethod
    def from_split_plan(
        cls, split_plan: SplitPlan, labels: Iterator[Array] | None, starts: Array
    ) -> SplitMembership:
        """As a division says, block by block."""
        blocks = range(-(-split_plan.samples // BLOCK_ROWS))
        pieces = [
            _pack_splits(split_plan.assign_rows(block, next(labels) if labels is not None else None))
            for block in blocks
        ]
        membership = cls(
            np.concatenate(pieces or [np.zeros(0, np.uint8)]), starts, np.zeros((0, 3), np.int64)
        )
        counts = [
            np.bincount(membership.row_splits(number), minlength=3) for number in range(len(starts) - 1)
        ]
        return replace(membership, split_counts=np.array(counts, dtype=np.int64).reshape(-1, 3))

    def row_splits(self, group_index: int) -> Array:
        """The part of each row of a chunk: uint8 of shape (rows,)."""
        first, last = int(self.row_offsets[group_index]), int(self.row_offsets[group_index + 1])
        piece = self.packed[first // 4 : -(-last // 4)]
        parts = (piece[:, None] >> np.array([0, 2, 4, 6], dtype=np.uint8)) & 3
        return parts.ravel()[first % 4 : first % 4 + last - first]


def _pack_splits(parts: Array) -> Array:
    four = np.zeros((-(-len(parts) // 4), 4), dtype=np.uint8)
    four.ravel()[: len(parts)] = parts
    packed: Array = np.bitwise_or.reduce(four << np.array([0, 2, 4, 6], dtype=np.uint8), axis=1)
    return packed


def concatenate_examples(parts: Sequence[Examples]) -> Examples:
    """One after the other."""
    if len(parts) == 1:
        return parts[0]
    arrays = [dict(part.inputs) for part in parts]
    weights = [part.weights for part in parts if part.weights is not None]
    targets = [dict(part.targets) for part in parts]
    y = unwrap_single({name: np.concatenate([each[name] for each in targets]) for name in targets[0]})
    merged = parts[0].map_inputs(lambda name, _: np.concatenate([each[name] for each in arrays]), y)
    return replace(merged, weights=np.concatenate(weights) if weights else None)
