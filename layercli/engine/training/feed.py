"""Where batches come from: tensors on the device and an order of rows, or arrays that a thread reads ahead."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, Protocol, TypeAlias

import keras
import numpy as np
import tensorflow as tf

from layercli.data.examples import Array, Examples, Inputs
from layercli.data.subset import ShuffleSeed, Subset, compute_epoch_order

Tensors: TypeAlias = tuple[Any, ...]


class Span(NamedTuple):
    """Some steps of an epoch, from ``first`` (from 0) up to, but without, ``last``."""

    first: int
    last: int


class Feed(Protocol):
    """The batches of one part of the data, in blocks of several; an epoch can be entered at any step."""

    batch_size: int
    samples: int
    structure: Any
    """How ``batch`` nests its tensors: (x, y) or (x, y, weights)."""
    fixed: Tensors
    """Tensors that every block draws from."""

    @property
    def rows(self) -> tuple[tf.TensorSpec, ...]:
        """What a block is: tensors whose first axis counts its examples."""

    def blocks(self, spans: Sequence[Span], shuffle: ShuffleSeed | None) -> Iterator[Tensors]:
        """A block for each of the spans, which follow one another, of the pass that ``shuffle`` orders."""

    @staticmethod
    def batch(rows: Tensors, fixed: Tensors) -> Tensors:
        """The tensors of one batch, flat, from its rows of a block; runs inside a graph."""


def steps_of(feed: Feed) -> int:
    """Steps in an epoch; the last may be smaller."""
    return -(-feed.samples // feed.batch_size)


def feed_for(part: Subset, batch_size: int, *, stream: bool) -> Feed:
    """The feed of a part: from the device's memory where the part is in memory, else (or with ``stream``) read ahead."""
    if isinstance(part, Examples) and not stream:
        return MemoryFeed(part, batch_size)
    return StreamFeed(part, batch_size)


class MemoryFeed:
    """All examples lie on the device; a block is the rows of them that its batches take."""

    def __init__(self, examples: Examples, batch_size: int) -> None:
        self.batch_size = batch_size
        self.samples = len(examples)
        self.structure = _data(examples)
        self.fixed = tuple(tf.convert_to_tensor(array) for array in tf.nest.flatten(self.structure))

    @property
    def rows(self) -> tuple[tf.TensorSpec, ...]:
        return (tf.TensorSpec((None,), tf.int64),)

    def blocks(self, spans: Sequence[Span], shuffle: ShuffleSeed | None) -> Iterator[Tensors]:
        order = compute_epoch_order(self.samples, shuffle)
        for first, last in spans:
            yield (tf.constant(order[first * self.batch_size : last * self.batch_size], tf.int64),)

    @staticmethod
    def batch(rows: Tensors, fixed: Tensors) -> Tensors:
        return tuple(tf.gather(tensor, rows[0]) for tensor in fixed)


_AHEAD = 2
"""Blocks that are read while one is trained on."""


class StreamFeed:
    """A block is the examples themselves; a thread reads the next ones while this one is trained on."""

    def __init__(self, part: Subset, batch_size: int) -> None:
        self.batch_size = batch_size
        self.samples = len(part)
        self.structure = _data(part.empty_batch)
        self.fixed = ()
        self._part = part

    @property
    def rows(self) -> tuple[tf.TensorSpec, ...]:
        tensors = [tf.convert_to_tensor(array) for array in tf.nest.flatten(self.structure)]
        return tuple(tf.TensorSpec((None, *tensor.shape[1:]), tensor.dtype) for tensor in tensors)

    def blocks(self, spans: Sequence[Span], shuffle: ShuffleSeed | None) -> Iterator[Tensors]:
        if not spans:
            return
        ready: queue.Queue[Tensors | BaseException] = queue.Queue(_AHEAD)
        left = threading.Event()

        def put(item: Tensors | BaseException) -> None:
            while not left.is_set():
                with suppress(queue.Full):
                    ready.put(item, timeout=0.1)
                    return

        def read() -> None:
            try:
                batches = self._part.batches(self.batch_size, shuffle=shuffle, start=spans[0].first)
                for span in spans:
                    taken = [tf.nest.flatten(_data(next(batches))) for _ in range(span.first, span.last)]
                    put(
                        tuple(
                            tf.convert_to_tensor(np.concatenate(arrays))
                            for arrays in zip(*taken, strict=True)
                        )
                    )
                    if left.is_set():
                        return
            except BaseException as error:  # it is raised where the block is waited for
                put(error)

        reader = threading.Thread(target=read, name="feed", daemon=True)
        reader.start()
        try:
            for _ in spans:
                item = ready.get()
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            left.set()
            reader.join()

    @staticmethod
    def batch(rows: Tensors, fixed: Tensors) -> Tensors:  # noqa: ARG004 - what another feed needs
        return rows


def _data(examples: Examples) -> tuple[Any, ...]:
    """Arrays as Keras takes them: (x, y) or (x, y, weights), each one or a mapping by name."""
    x, y = _arrays(examples.x), _arrays(examples.y)
    if examples.weights is None:
        return x, y
    weights = _array(examples.weights)
    return x, y, dict.fromkeys(y, weights) if isinstance(y, dict) else weights


def _arrays(given: Inputs) -> Any:
    if isinstance(given, Mapping):
        several = {name: _array(array) for name, array in given.items()}
        return several if len(several) > 1 else next(iter(several.values()))
    return _array(given)


def _array(array: Array) -> Array:
    """With every float as Keras's own; text stays text."""
    if array.dtype.kind == "f" and array.dtype != keras.config.floatx():
        return array.astype(keras.config.floatx())
    return array
