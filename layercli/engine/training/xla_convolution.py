"""Convolution and pooling in graphs that XLA compiles for a CPU: by operations that it compiles to fast code.

XLA's own convolution is 20 to 40 times slower on a CPU than TensorFlow's, and so is its gradient of a maximum over windows.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial, reduce
from typing import Any, Final

import tensorflow as tf

_MAX_PATCH_VALUES: Final = 1 << 24
"""The most values in the patches of a batch, 64 MiB; larger convolutions stay as they are."""
MAX_WINDOW: Final = 64
"""The most positions in a window: each adds operations to compile."""


@contextmanager
def use_products() -> Iterator[None]:
    """Let convolutions and pooling that are traced inside the context use products of matrices and slices.

    The results are those of TensorFlow's operations, except for rounding; of equal maxima, the first gets the gradient.
    """
    replaced: dict[str, Callable[..., Any]] = {
        "convolution": _convolve,
        "max_pool": partial(_pool, _take_maxima),
        "avg_pool": partial(_pool, _take_means),
    }
    originals = {name: getattr(tf.nn, name) for name in replaced}  # Keras calls them by these names
    for name, function in replaced.items():
        setattr(tf.nn, name, partial(function, originals[name]))
    try:
        yield
    finally:
        for name, original in originals.items():
            setattr(tf.nn, name, original)


def is_pooling_by_slices(pool_size: Sequence[int], strides: Sequence[int], padding: str) -> bool:
    """Return whether windows neither overlap nor leave gaps, so that each slice has one value of every window."""
    is_tiling = tuple(pool_size) == tuple(strides) and padding.lower() == "valid"
    return is_tiling and math.prod(pool_size) <= MAX_WINDOW


def _convolve(
    original: Callable[..., Any],
    input: Any,
    filters: Any,
    strides: Any = None,
    padding: Any = "VALID",
    data_format: str | None = None,
    dilations: Any = None,
    name: str | None = None,
) -> Any:
    """Return the convolution of (batch, ..., channels) as the product of the patches with the kernel."""
    x, kernel = tf.convert_to_tensor(input), tf.convert_to_tensor(filters)
    patches = None
    has_one_batch_axis = kernel.shape.rank == x.shape.rank
    if has_one_batch_axis and _has_known_channels_last(x, data_format) and kernel.shape[-2] == x.shape[-1]:
        steps, gaps = _list_sizes(strides, x), _list_sizes(dilations, x)
        patches = _gather_patches(x, tuple(kernel.shape[:-2]), steps, padding, gaps)
    if patches is None:
        return original(input, filters, strides, padding, data_format, dilations, name)
    product = tf.reshape(patches, (-1, patches.shape[-1])) @ tf.reshape(kernel, (-1, kernel.shape[-1]))
    return tf.reshape(product, (*patches.shape[:-1], kernel.shape[-1]))


def _gather_patches(
    x: Any, kernel_size: Sequence[int], strides: Sequence[int], padding: Any, dilations: Sequence[int]
) -> Any:
    """Return the values of each window of (batch, ..., channels), along the last axis; None if they are not slices."""
    if not strides or not dilations or math.prod(kernel_size) > MAX_WINDOW:
        return None
    spans = [(size - 1) * dilation + 1 for size, dilation in zip(kernel_size, dilations, strict=True)]
    if padding == "SAME":
        margins = [_find_margins(*each) for each in zip(x.shape[1:-1], spans, strides, strict=True)]
    else:
        margins = [(0, 0)] * len(spans)
    lengths = [
        (length + sum(margin) - span) // stride + 1
        for length, margin, span, stride in zip(x.shape[1:-1], margins, spans, strides, strict=True)
    ]
    values = x.shape[0] * math.prod(lengths) * math.prod(kernel_size) * x.shape[-1]
    if min(lengths) < 1 or values > _MAX_PATCH_VALUES:
        return None
    padded = tf.pad(x, [(0, 0), *margins, (0, 0)]) if any(map(sum, margins)) else x
    starts = itertools.product(*(range(0, span, gap) for span, gap in zip(spans, dilations, strict=True)))
    return tf.concat([_take_slice(padded, start, lengths, strides) for start in starts], axis=-1)


def _find_margins(length: int, span: int, stride: int) -> tuple[int, int]:
    """Return the zeros that padding `same` adds before and after an axis."""
    total = max((-(-length // stride) - 1) * stride + span - length, 0)
    return total // 2, total - total // 2


def _take_slice(x: Any, start: Sequence[int], lengths: Sequence[int], strides: Sequence[int]) -> Any:
    """Return ``lengths`` values along each spatial axis of (batch, ..., channels), from ``start`` by ``strides``."""
    ends = (
        first + (length - 1) * stride + 1
        for first, length, stride in zip(start, lengths, strides, strict=True)
    )
    return x[(slice(None), *map(slice, start, ends, strides))]


def _pool(
    take: Callable[[Any, Sequence[int]], Any],
    original: Callable[..., Any],
    input: Any,
    ksize: Any,
    strides: Any,
    padding: Any,
    data_format: str | None = None,
    name: str | None = None,
) -> Any:
    """Return what ``take`` computes from each window of (batch, ..., channels); of other windows, what the original does."""
    x = tf.convert_to_tensor(input)
    if pool_size := _find_pool_size(x, ksize, strides, padding, data_format):
        return take(x, pool_size)
    return original(input, ksize, strides, padding, data_format, name)


def _take_maxima(x: Any, pool_size: Sequence[int]) -> Any:
    """Return the maximum of each window of (batch, ..., channels)."""
    lengths = _count_windows(x, pool_size)

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def take_maxima(x: Any) -> Any:
        offsets = itertools.product(*map(range, pool_size))
        slices = [_take_slice(x, offset, lengths, pool_size) for offset in offsets]
        maxima = reduce(tf.maximum, slices)

        def find_gradient(upstream: Any) -> Any:
            is_open = tf.ones_like(maxima, tf.bool)
            parts = []
            for each in slices:
                is_first = is_open & (each == maxima)
                is_open &= ~is_first
                parts.append(tf.where(is_first, upstream, 0.0))
            return _join_windows(parts, x.shape, pool_size, lengths)

        return maxima, find_gradient

    return take_maxima(x)


def _join_windows(
    parts: Sequence[Any], shape: Sequence[int], pool_size: Sequence[int], lengths: Sequence[int]
) -> Any:
    """Return the tensor of a shape whose windows have these slices; values outside of all windows are 0."""
    for axis, size in reversed(list(enumerate(pool_size))):
        parts = [tf.stack(parts[first : first + size], axis + 2) for first in range(0, len(parts), size)]
    covered = [length * size for length, size in zip(lengths, pool_size, strict=True)]
    joined = tf.reshape(parts[0], (shape[0], *covered, shape[-1]))
    rest = [(0, whole - part) for whole, part in zip(shape[1:-1], covered, strict=True)]
    return tf.pad(joined, [(0, 0), *rest, (0, 0)]) if any(map(sum, rest)) else joined


def _take_means(x: Any, pool_size: Sequence[int]) -> Any:
    """Return the mean of each window of (batch, ..., channels)."""
    lengths = _count_windows(x, pool_size)
    ends = (length * size for length, size in zip(lengths, pool_size, strict=True))
    covered = x[(slice(None), *map(slice, ends))]
    axes = itertools.chain.from_iterable(zip(lengths, pool_size, strict=True))
    windows = tf.reshape(covered, (x.shape[0], *axes, x.shape[-1]))
    return tf.reduce_mean(windows, axis=tuple(range(2, windows.shape.rank, 2)))


def _find_pool_size(
    x: Any, ksize: Any, strides: Any, padding: Any, data_format: str | None
) -> tuple[int, ...]:
    """Return the lengths of windows that are pooled by slices; empty if they are not."""
    if not _has_known_channels_last(x, data_format):
        return ()
    pool_size, steps = _list_sizes(ksize, x), _list_sizes(strides, x)
    is_by_slices = bool(pool_size) and is_pooling_by_slices(pool_size, steps, str(padding))
    return pool_size if is_by_slices and min(_count_windows(x, pool_size)) > 0 else ()


def _count_windows(x: Any, pool_size: Sequence[int]) -> list[int]:
    return [length // size for length, size in zip(x.shape[1:-1], pool_size, strict=True)]


def _has_known_channels_last(x: Any, data_format: str | None) -> bool:
    return x.shape.is_fully_defined() and x.dtype == tf.float32 and (data_format or "C").endswith("C")


def _list_sizes(value: Any, x: Any) -> tuple[int, ...]:
    """Return an argument for each spatial axis of (batch, ..., channels); empty if it has another form."""
    rank = x.shape.rank - 2
    sizes = (value or 1,) * rank if value is None or isinstance(value, int) else tuple(value)
    return sizes if len(sizes) == rank else ()
