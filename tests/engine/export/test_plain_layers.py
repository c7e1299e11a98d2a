"""Layers of indices without operations that only TensorFlow has: the same outputs as Keras's layers."""

import keras
import numpy as np
import pytest

from layercli.engine.export.plain_layers import (
    PlainCrossing,
    PlainDiscretization,
    PlainEncoding,
    replace_index_layers,
)


@pytest.mark.parametrize("mode", ["int", "one_hot", "multi_hot", "count"])
def test_bins_are_those_of_keras(mode):
    layer = keras.layers.Discretization([-1.5, 0.0, 2.0], output_mode=mode)
    inputs = keras.Input((2,))
    model = keras.Model(inputs, layer(inputs))
    plain = replace_index_layers(model)
    assert isinstance(plain.layers[-1], PlainDiscretization)
    x = np.array([[-2, -1.5], [-0.1, 0], [1.9, 2], [5, -9]], np.float32)
    np.testing.assert_array_equal(plain(x), model(x))


@pytest.mark.parametrize(("mode", "width"), [("one_hot", 1), ("one_hot", 3), ("multi_hot", 3), ("count", 3)])
def test_encoded_indices_are_those_of_keras(mode, width):
    inputs = keras.Input((width,), dtype="int32")
    model = keras.Model(inputs, keras.layers.CategoryEncoding(4, output_mode=mode)(inputs))
    plain = replace_index_layers(model)
    assert isinstance(plain.layers[-1], PlainEncoding)
    x = np.array([[0, 3, 3], [1, 1, 1], [2, 0, 3]], np.int32)[:, :width]
    np.testing.assert_array_equal(plain(x), model(x))


def test_crossing_of_known_indices_is_a_table():
    left, right = keras.Input((1,)), keras.Input((1,))
    bins = [keras.layers.Discretization(edges)(x) for edges, x in (([0.0, 1.0], left), ([0.5], right))]
    crossing = keras.layers.HashedCrossing(5, output_mode="one_hot")
    model = keras.Model([left, right], crossing(bins))
    plain = replace_index_layers(model)
    assert any(isinstance(layer, PlainCrossing) for layer in plain.layers)
    x = [np.array([[-1], [0.5], [2], [2]], np.float32), np.array([[0], [1], [0], [1]], np.float32)]
    np.testing.assert_array_equal(plain(x), model(x))


def test_nested_layers_are_replaced_and_others_are_shared():
    inner_input = keras.Input((1,))
    outputs = keras.layers.Dense(2, name="dense")(
        keras.layers.Discretization([0.0], output_mode="one_hot")(inner_input)
    )
    inner = keras.Model(inner_input, outputs, name="inner")
    outer_input = keras.Input((1,))
    model = keras.Model(outer_input, inner(outer_input))
    plain = replace_index_layers(model)
    x = np.array([[-1.0], [1.0]], np.float32)
    np.testing.assert_array_equal(plain(x), model(x))
    assert plain.get_layer("inner").get_layer("dense") is inner.get_layer("dense")
    dense = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    assert replace_index_layers(dense) is dense
