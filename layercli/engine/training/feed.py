"""Sources of batches: tensors in device memory, or arrays that a thread reads ahead."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, Protocol, TypeAlias

import keras
import numpy as np
import tensorflow as tf

from layercli.data.examples import Examples, ShuffleSeed, Subset, compute_epoch_order
from layercli.data.types import TENSOR_ALIGNMENT, Array, Inputs, make_aligned_array

Tensors: TypeAlias = tuple[Any, ...]


class Span(NamedTuple):
    """Steps of an epoch, from ``first`` (0-based) up to and excluding ``last``."""

    first: int
    last: int


class Feed(Protocol):
    """The batches of a subset, in blocks of several; an epoch can start at any step."""

    batch_size: int
    samples: int
    structure: Any
    """The nesting of the tensors of ``make_batch``: (x, y) or (x, y, weights)."""
    shared_tensors: Tensors
    """Tensors that all blocks share."""

    @property
    def block_spec(self) -> tuple[tf.TensorSpec, ...]:
        """The specification of a block: tensors whose first axis is its examples."""

    def blocks(self, spans: Sequence[Span], shuffle: ShuffleSeed | None) -> Iterator[Tensors]:
        """Yield a block for each of the consecutive spans, in the order of ``shuffle``."""

    @staticmethod
    def make_batch(rows: Tensors, shared_tensors: Tensors) -> Tensors:
        """Return the flat tensors of one batch from its rows of a block; runs inside a graph."""


def count_steps(feed: Feed) -> int:
    """Return the number of steps in an epoch; the last batch may be smaller."""
    return -(-feed.samples // feed.batch_size)


def make_feed(subset: Subset, batch_size: int, *, stream: bool) -> Feed:
    """Return a feed from device memory if the subset is in memory, else (or with ``stream``) one that reads ahead."""
    if isinstance(subset, Examples) and not stream:
        return MemoryFeed(subset, batch_size)
    return StreamFeed(subset, batch_size)


class MemoryFeed:
    """A feed with all examples on the device; a block contains the row numbers of its batches."""

    def __init__(self, examples: Examples, batch_size: int) -> None:
        self.batch_size = batch_size
        self.samples = len(examples)
        self.structure = to_keras_data(examples)
        self.shared_tensors = tuple(map(_to_shared_tensor, tf.nest.flatten(self.structure)))

    @property
    def block_spec(self) -> tuple[tf.TensorSpec, ...]:
        return (tf.TensorSpec((None,), tf.int32),)

    def blocks(self, spans: Sequence[Span], shuffle: ShuffleSeed | None) -> Iterator[Tensors]:
        order = compute_epoch_order(self.samples, shuffle)
        for first, last in spans:
            yield (tf.constant(order[first * self.batch_size : last * self.batch_size], tf.int32),)

    @staticmethod
    def make_batch(rows: Tensors, shared_tensors: Tensors) -> Tensors:
        return tuple(tf.gather(tensor, rows[0]) for tensor in shared_tensors)


def _to_shared_tensor(array: Array) -> Any:
    """Return an array as a tensor; a large one on a CPU without the two copies that TensorFlow makes."""
    is_small = array.nbytes < _MIN_SHARED_BYTES or array.dtype.kind not in "fiu"
    if is_small or tf.config.list_physical_devices("GPU"):
        return tf.convert_to_tensor(array)
    if not array.flags.c_contiguous or not array.flags.writeable or array.ctypes.data % TENSOR_ALIGNMENT:
        aligned = make_aligned_array(array.shape, array.dtype)
        aligned[...] = array
        array = aligned
    return tf.experimental.dlpack.from_dlpack(array.__dlpack__())


_MIN_SHARED_BYTES = 1 << 20
_BLOCKS_AHEAD = 2
"""Blocks that are read ahead during training."""


class StreamFeed:
    """A feed whose blocks contain the examples; a thread reads the next blocks during training."""

    def __init__(self, subset: Subset, batch_size: int) -> None:
        self.batch_size = batch_size
        self.samples = len(subset)
        self.structure = to_keras_data(subset.empty_batch)
        self.shared_tensors = ()
        self._subset = subset

    @property
    def block_spec(self) -> tuple[tf.TensorSpec, ...]:
        tensors = [tf.convert_to_tensor(array) for array in tf.nest.flatten(self.structure)]
        return tuple(tf.TensorSpec((None, *tensor.shape[1:]), tensor.dtype) for tensor in tensors)

    def blocks(self, spans: Sequence[Span], shuffle: ShuffleSeed | None) -> Iterator[Tensors]:
        if not spans:
            return
        read_ahead: queue.Queue[Tensors | BaseException] = queue.Queue(_BLOCKS_AHEAD)
        is_closed = threading.Event()

        def put_block(item: Tensors | BaseException) -> None:
            while not is_closed.is_set():
                with suppress(queue.Full):
                    read_ahead.put(item, timeout=0.1)
                    return

        def read_blocks() -> None:
            try:
                batches = self._subset.batches(self.batch_size, shuffle=shuffle, start=spans[0].first)
                for span in spans:
                    batch_arrays = [
                        tf.nest.flatten(to_keras_data(next(batches))) for _ in range(span.first, span.last)
                    ]
                    put_block(
                        tuple(
                            tf.convert_to_tensor(np.concatenate(arrays))
                            for arrays in zip(*batch_arrays, strict=True)
                        )
                    )
                    if is_closed.is_set():
                        return
            except BaseException as error:  # raised by the consumer of the block
                put_block(error)

        reader = threading.Thread(target=read_blocks, name="feed", daemon=True)
        reader.start()
        try:
            for _ in spans:
                item = read_ahead.get()
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            is_closed.set()
            reader.join()

    @staticmethod
    def make_batch(rows: Tensors, shared_tensors: Tensors) -> Tensors:  # noqa: ARG004 - the signature of a feed
        return rows


def to_keras_data(examples: Examples) -> tuple[Any, ...]:
    """Return (x, y) or (x, y, weights) for Keras, each an array or a mapping by name."""
    x, y = _cast_arrays(examples.x), _cast_arrays(examples.y)
    if examples.weights is None:
        return x, y
    weights = _cast_floats(examples.weights)
    return x, y, weights  # Keras applies them to every output


def _cast_arrays(arrays: Inputs) -> Any:
    if isinstance(arrays, Mapping):
        named_arrays = {name: _cast_floats(array) for name, array in arrays.items()}
        return named_arrays if len(named_arrays) > 1 else next(iter(named_arrays.values()))
    return _cast_floats(arrays)


def _cast_floats(array: Array) -> Array:
    """Cast floats to Keras's float type; other dtypes are unchanged."""
    if array.dtype.kind == "f" and array.dtype != keras.config.floatx():
        return array.astype(keras.config.floatx())
    return array
