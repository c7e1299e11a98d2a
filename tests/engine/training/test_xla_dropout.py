"""Compare dropout in graphs that XLA compiles with dropout in other graphs."""

from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf

from layercli.engine.training import xla_dropout
from layercli.engine.training.xla_dropout import use_equal_dropout

SEED = tf.constant([123, 45])


def drawn(shape, dtype=tf.float32):
    draw = partial(xla_dropout._draw_uniform, shape, dtype, SEED)
    return tf.function(draw, autograph=False, jit_compile=True)().numpy()


def test_numbers_are_those_of_tensorflow():
    # From tf.random.stateless_uniform on a CPU, without XLA
    expected = [0.09723568, 0.8615631, 0.1948694, 0.06417644, 0.37017214, 0.16820502, 0.30220068, 0.3677696]
    np.testing.assert_array_equal(drawn([8]), np.float32(expected))


@pytest.mark.parametrize("shape", [[3], [7, 5], [2, 1, 9]])
def test_numbers_of_each_shape_equal_those_without_xla(shape):
    np.testing.assert_array_equal(drawn(shape), tf.random.stateless_uniform(shape, SEED))


def test_numbers_of_other_types_are_in_range():
    found = drawn([1000], tf.float16)
    assert found.dtype == np.float16
    assert found.min() >= 0
    assert found.max() <= 1
    assert found.mean() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("noise_shape", [None, (None, 1)])
def test_compiled_layer_drops_the_same_values(noise_shape):
    inputs = tf.random.stateless_normal([33, 17], SEED)

    def outputs(*, jit_compile):
        layer = keras.layers.Dropout(0.3, noise_shape=noise_shape, seed=3)
        call = partial(layer, inputs, training=True)
        call = tf.function(call, autograph=False, jit_compile=jit_compile)
        return [call().numpy() for _ in range(2)]

    expected = outputs(jit_compile=False)
    before = tf.nn.experimental.stateless_dropout
    with use_equal_dropout():
        found = outputs(jit_compile=True)
    assert tf.nn.experimental.stateless_dropout is before
    np.testing.assert_array_equal(found, expected)
    assert 0.5 < np.count_nonzero(expected[0]) / inputs.shape.num_elements() < 0.9
    assert not np.array_equal(*expected)
