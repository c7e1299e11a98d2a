"""Dropout in graphs that XLA compiles: the same examples are dropped as without XLA, and faster than by XLA's own numbers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

import tensorflow as tf

_MULTIPLIERS: Final = (0xD2511F53, 0xCD9E8D57)
_KEY_STEPS: Final = (0x9E3779B9, 0xBB67AE85)
_ROUNDS: Final = 10
_MANTISSA: Final = 0x7FFFFF
_ONE: Final = 0x3F800000
"""The bits of 1.0 as a float32."""


@contextmanager
def use_equal_dropout() -> Iterator[None]:
    """Let dropout that is traced inside the context draw the same numbers with XLA as without.

    XLA makes other floats of the same bits, and on a CPU it computes the bits of each number again for its neighbors.
    """
    module = tf.nn.experimental  # Keras calls its function by this name
    original = module.stateless_dropout
    module.stateless_dropout = _drop_out
    try:
        yield
    finally:
        module.stateless_dropout = original


def _drop_out(x: Any, rate: Any, seed: Any, noise_shape: Any = None) -> Any:
    return tf.nn.experimental.general_dropout(x, rate, partial(_draw_uniform, seed=seed), noise_shape)


def _draw_uniform(shape: Any, dtype: Any, seed: Any) -> Any:
    """Return the random floats in [0, 1) that ``tf.random.stateless_uniform`` returns without XLA."""
    if dtype != tf.float32:
        return tf.random.stateless_uniform(shape, seed, dtype=dtype)
    bits = _draw_bits(tf.reduce_prod(shape), seed)
    return tf.reshape(tf.bitcast((bits & _MANTISSA) | _ONE, tf.float32) - 1.0, shape)


def _draw_bits(count: Any, seed: Any) -> Any:
    """Return the random bits of Philox4x32-10 as uint32, by operations on single numbers, which XLA fuses into one loop."""
    key, counter = tf.raw_ops.StatelessRandomGetKeyCounter(seed=seed)
    indices = tf.range(count)
    group = tf.cast(indices // 4, tf.uint64)  # four numbers of each value of the counter
    a, b = _split(counter[0] + group)
    c, d = (part + tf.zeros_like(a) for part in _split(counter[1]))
    keys = _split(key[0])
    for _ in range(_ROUNDS):
        low_a, high_a = _split(tf.cast(a, tf.uint64) * _MULTIPLIERS[0])
        low_c, high_c = _split(tf.cast(c, tf.uint64) * _MULTIPLIERS[1])
        a, b, c, d = high_c ^ b ^ keys[0], low_c, high_a ^ d ^ keys[1], low_a
        keys = tuple(part + step for part, step in zip(keys, _KEY_STEPS, strict=True))
    lane = indices % 4
    return tf.where(lane < 2, tf.where(lane == 0, a, b), tf.where(lane == 2, c, d))


def _split(value: Any) -> tuple[Any, Any]:
    """Return the lower and the upper 32 bits of uint64 values."""
    return tf.cast(value, tf.uint32), tf.cast(
        tf.bitwise.right_shift(value, tf.constant(32, tf.uint64)), tf.uint32
    )
