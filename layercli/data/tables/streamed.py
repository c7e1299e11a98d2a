"""Table rows that are read from Parquet on demand, in constant memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np

from layercli.activity import track_items
from layercli.config.data.section import DataFacts, SplitConfig
from layercli.data.cache import Cache
from layercli.data.examples import (
    ASSUMED_TEXT_BYTES,
    Dataset,
    Examples,
    ShuffleSeed,
    Splits,
    concatenate_examples,
)
from layercli.data.labels import ConvertedForm
from layercli.data.split import BLOCK_ROWS, SplitPlan
from layercli.data.tables.decode import decode_table
from layercli.data.tables.files import LocateRow
from layercli.data.tables.imputation import BATCH_ROWS, learn_inputs
from layercli.data.tables.plan import TablePlan
from layercli.data.tables.row_groups import RowGroups
from layercli.data.types import Array, Targets, iterate_named
from layercli.graph.finding import Finding

_BUFFER_ROWS = 1 << 18
"""Rows that are shuffled together, from one or several row groups."""
_BUFFER_BYTES = 1 << 26
_MAX_GROUP_BYTES = 1 << 28
"""Limit of the size of row groups that are shuffled together, before they are decoded."""


@dataclass(frozen=True)
class StreamedRows(Dataset):
    """All rows of a table, or those of one split, read on demand."""

    row_groups: RowGroups
    plan: TablePlan
    membership: SplitMembership | None = None
    """Split of each row; None if this is the full dataset."""
    split_index: int = 0
    full_dataset: StreamedRows | None = None
    """The dataset before the split; None if this is the full dataset."""
    locate: LocateRow | None = None
    """The location of each row of the files."""

    def __len__(self) -> int:
        return int(self.row_counts.sum())

    @cached_property
    def row_counts(self) -> Array:
        """Number of rows of this subset in each row group: int64 of shape (groups,)."""
        if self.membership is None:
            return np.array([group.rows for group in self.row_groups.groups], dtype=np.int64)
        return self.membership.split_counts[:, self.split_index]

    @cached_property
    def empty_batch(self) -> Examples:
        """An empty batch with the dtypes and shapes of this subset."""
        return decode_table(self.row_groups.empty_table(), self.plan)

    def target_batches(self) -> Iterator[Targets]:
        """Yield only the targets, in order; read no other columns."""
        return (batch.y for batch in replace(self, plan=self.plan.select_inputs(())).batches(BLOCK_ROWS))

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 over all rows before the split; it is cached."""
        if self.full_dataset is not None:
            return self.full_dataset.content_hash

        def read() -> dict[str, str]:
            hasher = hashlib.sha256()
            for batch in self.batches(self._limit_rows(BLOCK_ROWS)):
                hasher.update(batch.digest().encode())
            return {"sha256": hasher.hexdigest()}

        document = Cache.default().get_texts(
            ["content", *self.row_groups.cache_key(self.plan)], read, ["sha256"]
        )
        return document["sha256"]

    @cached_property
    def _group_bytes(self) -> list[int]:
        return self.row_groups.group_bytes(self.plan.columns)

    @property
    def text_bytes(self) -> int:
        """Memory that the texts of one example may take: the largest mean of a row group, whose size is limited."""
        groups = zip(self._group_bytes, self.row_groups.groups, strict=True)
        return max((size // max(1, group.rows) for size, group in groups), default=0) or ASSUMED_TEXT_BYTES

    def _limit_rows(self, rows: int) -> int:
        """Return the number of rows that are read together: at most ``rows``, or as many as fit into a buffer."""
        return max(1, min(rows, _BUFFER_BYTES // max(1, self.count_example_bytes())))

    def convert_targets(self, forms: Mapping[str | None, ConvertedForm]) -> StreamedRows:
        """Return the rows with each target in the form that its meaning requires; see ``convert_target``."""
        return replace(self, plan=self.plan.with_target_forms(forms))

    @property
    def table_plan(self) -> TablePlan:
        """The plan that converts table rows to these examples."""
        return self.plan

    @property
    def findings(self) -> Sequence[Finding]:
        """Warnings about the columns of the table."""
        return self.plan.findings

    def locate_row(self, column: str, row: int) -> str:
        """Return the file and line of a row; see ``Dataset``."""
        if self.locate is None or self.membership is not None:
            return Dataset.locate_row(self, column, row)
        return self.locate(column, self.row_groups.find_file_row(row, self.plan))

    def facts(self) -> DataFacts:
        """Return the properties that the model must match."""
        return self.plan.data_facts(self.empty_batch.facts(), len(self))

    def batches(self, size: int, *, shuffle: ShuffleSeed | None = None, start: int = 0) -> Iterator[Examples]:
        """Yield batches; see ``Subset``. Rows before batch ``start`` are not read.

        With ``shuffle`` the row groups come in random order, and several of them at a time are shuffled together.
        """
        pending: list[Examples] = []
        rows = 0
        first_row = start * size
        buffers = self._read_buffers(shuffle, first_row)
        for examples in track_items(buffers, len(self), count=len, done=first_row):
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
        """Yield the rows from row ``skip`` of the pass, some at a time; read ahead while they are used."""
        with ThreadPoolExecutor(1, thread_name_prefix="read") as pool:
            current = None
            for number, groups in enumerate(self._plan_buffers(shuffle)):
                rows = int(self.row_counts[groups].sum())
                if skip >= rows:
                    skip -= rows
                    continue
                following = pool.submit(self._read_buffer, groups, number, shuffle, skip)
                skip = 0
                if current is not None:
                    yield current.result()
                current = following
            if current is not None:
                yield current.result()

    def _plan_buffers(self, shuffle: ShuffleSeed | None) -> Iterator[list[int]]:
        """Yield the row groups that are read together, in the order of the pass."""
        order = np.flatnonzero(self.row_counts)
        if shuffle is None:
            yield from ([int(number)] for number in order)
            return
        order = np.random.default_rng([shuffle.seed, shuffle.epoch]).permutation(order)
        max_rows = max(1, min(_BUFFER_ROWS, _BUFFER_BYTES // self._row_bytes))
        buffer: list[int] = []
        rows = size = 0
        for number in order.tolist():
            group_bytes = self._group_bytes[number]
            if buffer and (
                rows + self.row_counts[number] > max_rows or size + group_bytes > _MAX_GROUP_BYTES
            ):
                yield buffer
                buffer, rows, size = [], 0, 0
            buffer.append(number)
            rows += int(self.row_counts[number])
            size += group_bytes
        if buffer:
            yield buffer

    @cached_property
    def _row_bytes(self) -> int:
        return sum(
            int(np.prod(array.shape[1:])) * (64 if array.dtype.kind == "O" else array.itemsize)
            for _, array in self.empty_batch.inputs
        )

    def _read_buffer(
        self, groups: list[int], buffer_index: int, shuffle: ShuffleSeed | None, skip: int
    ) -> Examples:
        examples = concatenate_examples([self._read_group(group) for group in groups])
        if shuffle is None:
            return examples.take(slice(skip, len(examples))) if skip else examples
        # From 1: index 0 would repeat the generator that shuffles the row groups.
        generator = np.random.default_rng([shuffle.seed, shuffle.epoch, buffer_index + 1])
        return examples.take(generator.permutation(len(examples))[skip:])

    def _read_group(self, group_index: int) -> Examples:
        examples = self.row_groups.read_examples(group_index, self.plan)
        if self.membership is None:
            return examples
        return examples.take(np.flatnonzero(self.membership.row_splits(group_index) == self.split_index))

    def read_strata(self) -> Array | None:
        """Return one integer for each combination of labels; see ``Dataset``."""
        strata = np.concatenate(list(self._iterate_strata()) or [np.zeros(0, np.int64)])
        return np.asarray(np.unique(strata, return_inverse=True)[1])

    def prepare(self, plan: TablePlan | None) -> StreamedRows:
        """Return the rows with the plan that learned from the training rows; see ``Dataset``."""
        if plan is None:
            return self
        learned = replace(self.plan, fill_values=plan.fill_values, fill_statistics={}, dates=plan.dates)
        return replace(self, plan=learned)

    @property
    def row_numbers(self) -> Array | None:
        """The rows of the files, from 0, that this subset has: int64 of shape (rows,); None if rows were dropped."""
        if self.plan.required_columns:
            return None
        if self.membership is None:
            return np.arange(len(self))
        offsets = self.row_groups.row_offsets[:-1].tolist()
        return np.concatenate(
            [
                offset + np.flatnonzero(self.membership.row_splits(group) == self.split_index)
                for group, offset in enumerate(offsets)
            ]
            or [np.zeros(0, np.int64)]
        )

    def split(self, split: SplitConfig, *, seed: int, shuffle: bool, assigned: Array | None = None) -> Splits:
        """Split the rows, and replace missing numbers by values learned from the training rows."""
        membership = (
            self._assign_rows(split, seed if shuffle else None)
            if assigned is None
            else SplitMembership.from_splits(assigned, self.row_groups.row_offsets)
        )
        subsets = [
            replace(self, membership=membership, split_index=index, full_dataset=self) for index in range(3)
        ]
        statistics_plan = self.plan.select_inputs([*self.plan.fill_statistics, *self.plan.elapsed_columns])
        training_rows = replace(subsets[0], plan=statistics_plan)
        rows = training_rows._limit_rows(BATCH_ROWS)
        plan = self.plan.with_learned(*learn_inputs(partial(training_rows.batches, rows), statistics_plan))
        return Splits(*(replace(subset, plan=plan) for subset in subsets), table_plan=plan)

    def _assign_rows(self, split: SplitConfig, seed: int | None) -> SplitMembership:
        samples, offsets = len(self), self.row_groups.row_offsets
        if not split.stratify:
            split_plan = SplitPlan(samples, split.counts(samples), seed)
            return SplitMembership.from_split_plan(split_plan, None, offsets)
        strata: Array = np.unique(
            np.concatenate([np.unique(block) for block in self._iterate_strata()] or [np.arange(1)])
        )
        counts = [
            np.bincount(np.searchsorted(strata, block), minlength=len(strata))
            for block in self._iterate_strata()
        ]
        split_plan = SplitPlan(samples, split.counts(samples), seed, np.stack(counts) if counts else None)
        labels = (np.searchsorted(strata, block) for block in self._iterate_strata())
        return SplitMembership.from_split_plan(split_plan, labels, offsets)

    def _iterate_strata(self) -> Iterator[Array]:
        """Yield one integer for each combination of labels, in label order; int64 of shape (rows,), block by block."""
        for block in self.target_batches():
            arrays = dict(iterate_named(block))
            strata = np.zeros(len(next(iter(arrays.values()))), dtype=np.int64)
            for name, target in self.plan.targets.items():
                if target.classes is not None:
                    strata = strata * target.classes + arrays[name]
            yield strata

    def digest(self) -> str:
        """Return the SHA-256 over the examples and their order."""
        hasher = hashlib.sha256(self.content_hash.encode())
        hasher.update(repr(sorted(self.plan.fill_values.items())).encode())
        if self.plan.dates:
            hasher.update(repr(sorted(self.plan.dates.items())).encode())
        if self.membership is not None:
            hasher.update(f"{self.split_index}{self.row_counts.tolist()}".encode())
            hasher.update(self.membership.packed.tobytes())
        return hasher.hexdigest()


@dataclass(frozen=True)
class SplitMembership:
    """Split of each row in two bits: 25 MB for a hundred million rows."""

    packed: Array
    """uint8 of shape (rows / 4,)."""
    row_offsets: Array
    """As in ``RowGroups``: int64 of shape (groups + 1,)."""
    split_counts: Array
    """Number of rows of each split in each row group: int64 of shape (groups, 3)."""

    @classmethod
    def from_split_plan(
        cls, split_plan: SplitPlan, labels: Iterator[Array] | None, row_offsets: Array
    ) -> SplitMembership:
        """Return the membership of all rows, computed block by block; a stratified split needs ``labels``."""
        blocks = range(-(-split_plan.samples // BLOCK_ROWS))
        pieces = [
            _pack_splits(split_plan.assign_rows(block, next(labels) if labels is not None else None))
            for block in blocks
        ]
        return cls._count_splits(np.concatenate(pieces or [np.zeros(0, np.uint8)]), row_offsets)

    @classmethod
    def from_splits(cls, splits: Array, row_offsets: Array) -> SplitMembership:
        """Return the membership of rows whose splits are known: uint8 of shape (rows,)."""
        return cls._count_splits(_pack_splits(splits), row_offsets)

    @classmethod
    def _count_splits(cls, packed: Array, row_offsets: Array) -> SplitMembership:
        membership = cls(packed, row_offsets, np.zeros((0, 3), np.int64))
        counts = [
            np.bincount(membership.row_splits(number), minlength=3)[:3]  # others are in no set
            for number in range(len(row_offsets) - 1)
        ]
        return replace(membership, split_counts=np.array(counts, dtype=np.int64).reshape(-1, 3))

    def row_splits(self, group_index: int) -> Array:
        """Return the split of each row of a row group: uint8 of shape (rows,)."""
        first, last = int(self.row_offsets[group_index]), int(self.row_offsets[group_index + 1])
        piece = self.packed[first // 4 : -(-last // 4)]
        splits = (piece[:, None] >> np.array([0, 2, 4, 6], dtype=np.uint8)) & 3
        return splits.ravel()[first % 4 : first % 4 + last - first]


def _pack_splits(splits: Array) -> Array:
    quads = np.zeros((-(-len(splits) // 4), 4), dtype=np.uint8)
    quads.ravel()[: len(splits)] = splits
    packed: Array = np.bitwise_or.reduce(quads << np.array([0, 2, 4, 6], dtype=np.uint8), axis=1)
    return packed
