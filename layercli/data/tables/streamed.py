"""Rows that are read from Parquet as they are needed: a table of any size, in memory that stays the same."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np

from layercli.config.data.section import DataFacts, Split
from layercli.data.examples import Array, Examples, Parts, Targets
from layercli.data.labels import alone
from layercli.data.split import BLOCK, Division
from layercli.data.subset import Shuffle
from layercli.data.tables.cache import Cache
from layercli.data.tables.imputation import ROWS, learned
from layercli.data.tables.plan import Plan, decode
from layercli.data.tables.row_groups import Stored

_BUFFER_ROWS = 1 << 18
"""Rows that are shuffled together, of one or several row groups."""
_BUFFER_BYTES = 1 << 26


@dataclass(frozen=True)
class Stream:
    """Some of the rows, or all of them: a ``Part`` that is not in memory."""

    stored: Stored
    plan: Plan
    membership: Membership | None = None
    """Which part each row belongs to; None where all rows are here."""
    part: int = 0
    source: Stream | None = None
    """All rows, as they were before they were divided; None where these are all."""

    def __len__(self) -> int:
        return int(self.counts.sum())

    @cached_property
    def counts(self) -> Array:
        """Rows of each chunk that belong here: int64 of shape (chunks,)."""
        if self.membership is None:
            return np.array([chunk.rows for chunk in self.stored.chunks], dtype=np.int64)
        return self.membership.counts[:, self.part]

    @cached_property
    def like(self) -> Examples:
        """None of the examples, in the dtypes and shapes of all."""
        return decode(self.stored.empty(), self.plan)

    def target_batches(self) -> Iterator[Targets]:
        """The targets alone, in the order of the data; no other column is read."""
        return (batch.y for batch in replace(self, plan=self.plan.only(())).batches(BLOCK))

    @cached_property
    def content(self) -> str:
        """SHA-256 over all rows as they were before they were divided; it stays in the cache."""
        if self.source is not None:
            return self.source.content

        def read() -> dict[str, str]:
            hasher = hashlib.sha256()
            for batch in self.batches(BLOCK):
                hasher.update(batch.digest().encode())
            return {"sha256": hasher.hexdigest()}

        found = Cache.default().document(["content", *self.stored.key(self.plan)], read)
        return str(found["sha256"])

    @property
    def surveyed(self) -> Stream:
        """What tells what the data is like: all of it."""
        return self

    def facts(self) -> DataFacts:
        """What a model must fit."""
        return self.plan.facts(self.like.facts(), len(self))

    def batches(self, size: int, *, shuffle: Shuffle | None = None, start: int = 0) -> Iterator[Examples]:
        """One pass in batches; see ``Part``. What comes before batch ``start`` is not read.

        With ``shuffle`` row groups come in an order that is drawn, and some of them at a time are shuffled together.
        """
        waiting: list[Examples] = []
        rows = 0
        for examples in self._buffers(shuffle, start * size):
            position = 0
            if rows:
                position = min(size - rows, len(examples))
                waiting.append(examples.take(slice(0, position)))
                rows += position
                if rows < size:
                    continue
                yield concatenated(waiting)
                waiting, rows = [], 0
            whole = position + (len(examples) - position) // size * size
            for first in range(position, whole, size):
                yield examples.take(slice(first, first + size))
            if whole < len(examples):
                waiting, rows = [examples.take(slice(whole, len(examples)))], len(examples) - whole
        if rows:
            yield concatenated(waiting)

    def _buffers(self, shuffle: Shuffle | None, skip: int) -> Iterator[Examples]:
        """The rows from row ``skip`` of the pass on, some at a time; the next are read while these are used."""
        with ThreadPoolExecutor(1, thread_name_prefix="read") as pool:
            ahead = None
            for number, chunks in enumerate(self._plan_of(shuffle)):
                rows = int(self.counts[chunks].sum())
                if skip >= rows:
                    skip -= rows
                    continue
                following = pool.submit(self._buffer, chunks, number, shuffle, skip)
                skip = 0
                if ahead is not None:
                    yield ahead.result()
                ahead = following
            if ahead is not None:
                yield ahead.result()

    def _plan_of(self, shuffle: Shuffle | None) -> Iterator[list[int]]:
        """Chunks that are read together, in the order of the pass."""
        order = np.flatnonzero(self.counts)
        if shuffle is None:
            yield from ([int(number)] for number in order)
            return
        order = np.random.default_rng([shuffle.seed, shuffle.epoch]).permutation(order)
        most = max(1, min(_BUFFER_ROWS, _BUFFER_BYTES // self._row_bytes))
        together: list[int] = []
        rows = 0
        for number in order.tolist():
            if together and rows + self.counts[number] > most:
                yield together
                together, rows = [], 0
            together.append(number)
            rows += int(self.counts[number])
        if together:
            yield together

    @cached_property
    def _row_bytes(self) -> int:
        return sum(
            int(np.prod(array.shape[1:])) * (64 if array.dtype.kind == "O" else array.itemsize)
            for _, array in self.like.arrays
        )

    def _buffer(self, chunks: list[int], number: int, shuffle: Shuffle | None, skip: int) -> Examples:
        read = [self._chunk(chunk) for chunk in chunks]
        examples = concatenated(read)
        if shuffle is None:
            return examples.take(slice(skip, len(examples))) if skip else examples
        # From 1 on: with 0 it would be the generator that the row groups were drawn with.
        generator = np.random.default_rng([shuffle.seed, shuffle.epoch, number + 1])
        return examples.take(generator.permutation(len(examples))[skip:])

    def _chunk(self, number: int) -> Examples:
        examples = self.stored.examples(number, self.plan)
        if self.membership is None:
            return examples
        return examples.take(np.flatnonzero(self.membership.of(number) == self.part))

    def divide(self, split: Split, *, seed: int, shuffle: bool) -> Parts:
        """The parts, missing numbers filled by what the training rows tell."""
        samples = len(self)
        labels = None
        if split.stratify:
            each = [np.unique(block) for block in self._strata()]
            strata: Array = np.unique(np.concatenate(each or [np.arange(1)]))
            blocks = [
                np.bincount(np.searchsorted(strata, block), minlength=len(strata)) for block in self._strata()
            ]
            labels = np.stack(blocks) if blocks else None
        division = Division(samples, split.counts(samples), seed if shuffle else None, labels)
        spread = (np.searchsorted(strata, block) for block in self._strata()) if split.stratify else None
        membership = Membership.of_division(division, spread, self.stored.starts)
        parts = [replace(self, membership=membership, part=number, source=self) for number in range(3)]
        lean = self.plan.only(self.plan.learn)
        plan = self.plan.filled(learned(partial(replace(parts[0], plan=lean).batches, ROWS), lean))
        return Parts(*(replace(part, plan=plan) for part in parts), plan=plan)

    def _strata(self) -> Iterator[Array]:
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
        hasher = hashlib.sha256(self.content.encode())
        hasher.update(repr(sorted(self.plan.fill.items())).encode())
        if self.membership is not None:
            hasher.update(f"{self.part}{self.counts.tolist()}".encode())
            hasher.update(self.membership.packed.tobytes())
        return hasher.hexdigest()


@dataclass(frozen=True)
class Membership:
    """The part of each row, in two bits: of a hundred million rows 25 MB."""

    packed: Array
    """uint8 of shape (rows / 4,)."""
    starts: Array
    counts: Array
    """Rows of each part in each chunk: int64 of shape (chunks, 3)."""

    @classmethod
    def of_division(cls, division: Division, labels: Iterator[Array] | None, starts: Array) -> Membership:
        """As a division says, block by block."""
        blocks = range(-(-division.samples // BLOCK))
        pieces = [
            _packed(division.parts(block, next(labels) if labels is not None else None)) for block in blocks
        ]
        found = cls(np.concatenate(pieces or [np.zeros(0, np.uint8)]), starts, np.zeros((0, 3), np.int64))
        counts = [np.bincount(found.of(number), minlength=3) for number in range(len(starts) - 1)]
        return replace(found, counts=np.array(counts, dtype=np.int64).reshape(-1, 3))

    def of(self, chunk: int) -> Array:
        """The part of each row of a chunk: uint8 of shape (rows,)."""
        first, last = int(self.starts[chunk]), int(self.starts[chunk + 1])
        piece = self.packed[first // 4 : -(-last // 4)]
        parts = (piece[:, None] >> np.array([0, 2, 4, 6], dtype=np.uint8)) & 3
        return parts.ravel()[first % 4 : first % 4 + last - first]


def _packed(parts: Array) -> Array:
    four = np.zeros((-(-len(parts) // 4), 4), dtype=np.uint8)
    four.ravel()[: len(parts)] = parts
    packed: Array = np.bitwise_or.reduce(four << np.array([0, 2, 4, 6], dtype=np.uint8), axis=1)
    return packed


def concatenated(parts: Sequence[Examples]) -> Examples:
    """One after the other."""
    if len(parts) == 1:
        return parts[0]
    arrays = [dict(part.arrays) for part in parts]
    weights = [part.weights for part in parts if part.weights is not None]
    targets = [dict(part.targets) for part in parts]
    y = alone({name: np.concatenate([each[name] for each in targets]) for name in targets[0]})
    whole = parts[0].mapped(lambda name, _: np.concatenate([each[name] for each in arrays]), y)
    return replace(whole, weights=np.concatenate(weights) if weights else None)
