"""Compare convolution and pooling in graphs that XLA compiles with those of TensorFlow without XLA."""

from contextlib import suppress

import numpy as np
import pytest
import tensorflow as tf
from keras import Input, Sequential, layers

from layercli.data.examples import Examples
from layercli.engine.training import xla_convolution
from layercli.engine.training.feed import make_feed
from layercli.engine.training.fused_steps import FusedSteps
from layercli.engine.training.xla_convolution import is_pooling_by_slices, use_products


def differentiate(layer, x):
    """Return the outputs, the gradients of x and of the weights, and the operations that XLA compiles."""

    def find_gradients(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs = layer(x)
            scores = tf.reduce_sum(
                outputs * tf.reshape(tf.range(tf.size(outputs), dtype=x.dtype), outputs.shape)
            )
        return outputs, *tape.gradient(scores, [x, *layer.trainable_weights])

    x = tf.constant(x)
    layer(x)
    expected = tf.function(find_gradients, autograph=False)(x)
    with use_products():
        compiled = tf.function(find_gradients, autograph=False, jit_compile=True)
        found = compiled(x)
        operations = compiled.experimental_get_compiler_ir(x)(stage="hlo")
    return expected, found, operations


def assert_equal_without(layer, x, *operations):
    expected, found, compiled = differentiate(layer, x)
    for left, right in zip(found, expected, strict=True):
        scale = max(1.0, float(np.abs(right).max()))
        np.testing.assert_allclose(left / scale, right / scale, atol=2e-6)
    for operation in operations:
        assert f" {operation}(" not in compiled


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (layers.Conv1D(5, 3), (2, 9, 4)),
        (layers.Conv1D(5, 4, strides=2, padding="same"), (2, 9, 4)),
        (layers.Conv1D(5, 3, dilation_rate=2, padding="causal"), (2, 9, 1)),
        (layers.Conv2D(3, (2, 3), padding="same"), (2, 5, 6, 2)),
        (layers.Conv2D(3, 3, strides=(1, 2), use_bias=False), (2, 6, 7, 1)),
        (layers.Conv2D(3, 2, dilation_rate=(2, 1), padding="same"), (1, 5, 6, 2)),
        (layers.Conv3D(2, 2, strides=2), (2, 4, 5, 4, 1)),
    ],
)
def test_convolution_is_a_product_of_equal_values(layer, shape):
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    assert_equal_without(layer, x, "convolution")


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (layers.MaxPooling1D(2), (2, 7, 3)),
        (layers.MaxPooling2D((2, 3)), (2, 5, 7, 2)),
        (layers.MaxPooling3D(2), (1, 4, 5, 4, 2)),
        (layers.AveragePooling1D(3), (2, 7, 3)),
        (layers.AveragePooling2D(2), (2, 4, 5, 2)),
    ],
)
def test_pooling_takes_slices_of_equal_values(layer, shape):
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    assert_equal_without(layer, x, "reduce-window", "select-and-scatter")


def test_first_of_equal_maxima_gets_the_gradient():
    x = np.float32([[[[1], [1]], [[1], [1]]], [[[0], [2]], [[2], [0]]]])
    _, (outputs, gradients), _ = differentiate(layers.MaxPooling2D(), x)
    np.testing.assert_array_equal(np.ravel(outputs), [1, 2])
    np.testing.assert_array_equal(gradients[0, ..., 0], [[0, 0], [0, 0]])  # its output counts 0 times
    np.testing.assert_array_equal(gradients[1, ..., 0], [[0, 1], [0, 0]])


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (layers.Conv1D(4, 3, groups=2), (2, 9, 4)),
        (layers.Conv1D(2, 65), (1, 70, 1)),
        (layers.Conv1D(4, 3, dtype="float64"), (2, 9, 4)),
        (layers.MaxPooling1D(3, strides=2), (2, 9, 4)),
        (layers.MaxPooling2D(2, padding="same"), (2, 5, 5, 1)),
        (layers.AveragePooling1D(2, padding="same"), (2, 5, 3)),
        (layers.AveragePooling1D(65), (1, 70, 3)),
    ],
)
def test_others_stay_as_they_are(layer, shape):
    x = np.random.default_rng(0).normal(size=shape).astype(layer.compute_dtype)
    assert_equal_without(layer, x)
    operations = differentiate(layer, x)[2]
    assert " convolution(" in operations or " reduce-window(" in operations


def test_patches_are_bounded(monkeypatch):
    x = np.ones((2, 9, 4), np.float32)  # 2 x 7 windows of 3 x 4 values
    for limit, is_replaced in ((168, True), (167, False)):
        monkeypatch.setattr(xla_convolution, "_MAX_PATCH_VALUES", limit)
        assert (" convolution(" not in differentiate(layers.Conv1D(5, 3), x)[2]) == is_replaced


def test_unknown_lengths_stay_as_they_are():
    layer = layers.Conv1D(5, 3)
    layer.build((None, None, 4))
    spec = tf.TensorSpec((None, None, 4))
    with use_products():
        graph = tf.function(layer, autograph=False, input_signature=[spec]).get_concrete_function().graph
        pooled = tf.function(layers.MaxPooling1D(2), autograph=False, input_signature=[spec])
        names = {operation.type for operation in pooled.get_concrete_function().graph.get_operations()}
    assert "Conv2D" in {operation.type for operation in graph.get_operations()}
    assert "MaxPool" in names


def test_functions_of_tensorflow_come_back():
    before = tf.nn.convolution, tf.nn.max_pool, tf.nn.avg_pool
    with suppress(KeyError), use_products():
        assert tf.nn.convolution is not before[0]
        raise KeyError
    assert (tf.nn.convolution, tf.nn.max_pool, tf.nn.avg_pool) == before


@pytest.mark.parametrize(
    ("jit_compile", "gpus", "is_replaced"), [(True, [], True), (True, ["GPU"], False), (False, [], False)]
)
def test_steps_compiled_for_a_cpu_use_products(monkeypatch, jit_compile, gpus, is_replaced):
    model = Sequential([Input((4,)), layers.Dense(2)])
    model.compile(loss="mse")
    before, seen = tf.nn.convolution, []

    def step(batch):
        seen.append(tf.nn.convolution is not before)
        return model.train_step(batch)

    feed = make_feed(Examples(np.ones((4, 4), np.float32), np.ones((4, 2), np.float32)), 2, stream=False)
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda _: gpus)
    FusedSteps(model, step, feed, jit_compile=jit_compile)
    assert set(seen) == {is_replaced}


def test_calls_of_custom_layers_are_understood():
    x = tf.constant(np.random.default_rng(0).normal(size=(2, 6, 6, 1)).astype(np.float32))
    kernel = np.ones((2, 2, 1, 1), np.float32)
    calls = [
        lambda: tf.nn.convolution(input=x, filters=kernel),
        lambda: tf.nn.convolution(x, kernel, [1, 1], "VALID", name="sums"),
        lambda: tf.nn.conv2d(x[None], kernel, 1, "VALID"),
        lambda: tf.nn.convolution(x[None], kernel),  # two batch axes
        lambda: tf.nn.max_pool(x, ksize=[1, 2, 2, 1], strides=[1, 2, 2, 1], padding="VALID"),
        lambda: tf.nn.max_pool(input=x, ksize=2, strides=2, padding="VALID", data_format="NHWC"),
        lambda: tf.nn.max_pool(x, 2, 2, [[0, 0], [1, 1], [1, 1], [0, 0]]),
        lambda: tf.nn.avg_pool(x, 2, 2, "SAME"),
    ]
    for call in calls:
        expected = call()
        with use_products():
            np.testing.assert_allclose(call(), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("pool_size", "strides", "padding", "expected"),
    [
        ((2, 2), (2, 2), "valid", True),
        ([8, 8], (8, 8), "VALID", True),
        ((2, 2), (2, 1), "valid", False),
        ((2, 2), (2, 2), "same", False),
        ((65,), (65,), "valid", False),
    ],
)
def test_windows_that_are_slices(pool_size, strides, padding, expected):
    assert is_pooling_by_slices(pool_size, strides, padding) is expected
