import numpy as np
import pytest
import yaml

from layercli import api
from layercli.engine.assemble import assemble_model, with_built_weights


def model_of(tmp_path, layers, shape):
    path = tmp_path / "model.yaml"
    path.write_text(yaml.safe_dump({"model": {"input": shape, "layers": layers}}, sort_keys=False))
    return api.load(path)


def test_model_and_layer_names(tmp_path):
    layers = ["Flatten", {"type": "Dense", "units": 2}, {"type": "Dense", "units": 2, "name": "head"}]
    model = api.build(model_of(tmp_path, layers, [3, 4]))
    assert model.name == "model"
    assert [layer.name for layer in model.layers] == ["input", "flatten", "dense", "head"]


def test_layer_arguments_reach_keras(tmp_path):
    import keras

    layers = [
        {
            "type": "Dense",
            "units": 3,
            "activation": "relu",
            "use_bias": False,
            "dtype": "float64",
            "kernel_initializer": {"type": "RandomUniform", "minval": 0.25, "maxval": 0.5},
            "kernel_regularizer": {"type": "L2", "l2": 0.125},
            "kernel_constraint": {"type": "MaxNorm", "max_value": 3},
        }
    ]
    dense = api.build(model_of(tmp_path, layers, [4])).layers[1]
    assert (dense.units, dense.activation, dense.bias, dense.kernel.dtype) == (
        3,
        keras.activations.relu,
        None,
        "float64",
    )
    kernel = np.asarray(dense.kernel)
    assert kernel.min() >= 0.25
    assert kernel.max() <= 0.5
    assert isinstance(dense.kernel_regularizer, keras.regularizers.L2)
    assert float(dense.kernel_regularizer.l2) == 0.125
    assert isinstance(dense.kernel_constraint, keras.constraints.MaxNorm)


FROZEN = {"trainable": False}


@pytest.mark.parametrize(
    ("layer", "shape", "weights"),
    [
        ({"type": "Dense", "units": 2}, [3], 2),
        ({"type": "BatchNormalization"}, [3], 4),
        ({"type": "LSTM", "units": 2}, [5, 3], 3),
        ({"type": "Bidirectional", "layer": {"type": "GRU", "units": 2}}, [5, 3], 6),
        ({"type": "TimeDistributed", "layer": {"type": "Dense", "units": 2}}, [5, 3], 2),
        ({"type": "SeparableConv1D", "filters": 2, "kernel_size": 2}, [5, 3], 3),
        ({"type": "SpectralNormalization", "layer": {"type": "Dense", "units": 2}}, [3], 3),
    ],
)
def test_frozen_layer_has_no_trainable_weights(tmp_path, layer, shape, weights):
    model = api.build(model_of(tmp_path, [layer | FROZEN], shape))
    assert len(model.weights) == weights
    assert model.trainable_weights == []
    model = api.build(model_of(tmp_path, [layer], shape))
    assert model.trainable_weights != []


def test_frozen_custom_layer_is_not_trainable(tmp_path, layer_file):
    mine = layer_file(
        "def build(self, shape):\n    self.w = self.add_weight(shape=(4,))\n"
        "def call(self, x):\n    return x * self.w"
    )
    for trainable, counts in ((True, (4, 0)), (False, (0, 4))):
        valid = model_of(tmp_path, [{"type": mine, "trainable": trainable}], [4])
        shapes = with_built_weights(valid, assemble_model(valid)).shapes
        assert (shapes.trainable, shapes.non_trainable) == counts


def test_wrong_parameter_count_is_an_assertion_error(tmp_path, monkeypatch):
    from layercli.layers.families.core import Dense

    monkeypatch.setattr(Dense, "weights", lambda self, x: [])  # noqa: ARG005
    valid = model_of(tmp_path, [{"type": "Dense", "units": 2}], [3])
    with pytest.raises(AssertionError, match="Dense: counted 0 parameters, Keras made 8"):
        with_built_weights(valid, assemble_model(valid))


@pytest.mark.parametrize("mode", ["multi_hot", "count"])
def test_vectors_of_texts_have_two_axes_for_every_layer(tmp_path, mode):
    import tensorflow as tf

    path = tmp_path / "model.yaml"
    vectors = f"{{type: TextVectorization, output_mode: {mode}, max_tokens: 4, pad_to_max_tokens: true, inputs: text}}"
    path.write_text(f"""
model:
  inputs: {{text: {{shape: [1], dtype: string}}, numbers: [2]}}
  layers:
    - {vectors[:-1]}, name: words}}
    - {{type: BatchNormalization}}
    - {{type: Concatenate, inputs: [previous, numbers]}}
""")
    model = api.build(path)
    assert model.output_shape == (None, 6)
    model.get_layer("words").set_vocabulary(["good", "day"])
    output = model.predict([tf.constant([["good good day"], ["bad"]]), np.ones((2, 2))], verbose=0)
    expected = [[0, 2 if mode == "count" else 1, 1, 0, 1, 1], [1, 0, 0, 0, 1, 1]]
    np.testing.assert_allclose(output, expected, atol=2e-3)  # BatchNormalization divides by sqrt(1 + 0.001)


def test_operations_of_masks_do_not_take_the_name_of_a_layer(tmp_path):
    path = tmp_path / "model.yaml"
    path.write_text("""
model:
  inputs: {one: {shape: [6], dtype: int32}, two: {shape: [6], dtype: int32}}
  layers:
    - {type: Embedding, input_dim: 10, output_dim: 3, mask_zero: true, inputs: one, name: first}
    - {type: Embedding, input_dim: 10, output_dim: 2, mask_zero: true, inputs: two, name: second}
    - {type: Concatenate, inputs: [first, second]}
    - {type: BatchNormalization}
    - {type: Concatenate, inputs: [first, previous], name: concatenate_1}
    - {type: LSTM, units: 2}
""")
    model = api.build(path)
    names = [operation.name for operation in model.operations]
    assert len(names) == len(set(names))
    assert model.output_shape == (None, 2)
