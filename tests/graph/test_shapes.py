"""Sizes of small graphs, counted by hand."""

from pathlib import Path

import pytest
import yaml

from layercli.check import check_config, check_document
from layercli.graph.shapes import dtype_bytes, sum_if_known, tensor_bytes
from layercli.layers.shapes import Tensor, format_shape, multiply_dims, resolve_axis, window_length
from layercli.source.load import parse_yaml
from layercli.source.nodes import SourceText
from tests.stacks_text import checked_layers

MODEL = """
model:
  inputs: {a: [4], b: [2]}
  outputs: [head, sum]
  layers:
    - {type: Dense, units: 3, inputs: a, name: dense}
    - {type: BatchNormalization, name: norm}
    - {type: Dense, units: 5, use_bias: false, trainable: false, inputs: b, name: frozen}
    - {type: Concatenate, inputs: [norm, frozen], name: both}
    - {type: Dense, units: 2, name: head}
    - {type: Dense, units: 3, inputs: a, name: other}
    - {type: Add, inputs: [dense, other], name: sum}
"""


def shapes_of(text):
    found = check_document(parse_yaml(SourceText("c.yaml", text.split("\n"), Path())))
    assert found.shapes is not None, found.problems
    return found.shapes


def test_parameters_flops_and_bytes_of_each_layer():
    shapes = shapes_of(MODEL)
    rows = {x.node.name: (x.trainable, x.non_trainable, x.parameters, x.weight_bytes) for x in shapes.rows}
    assert rows == {
        "dense": (15, 0, 15, 60),  # 4 * 3 + 3
        "norm": (6, 6, 12, 48),  # gamma, beta; moving mean and variance
        "frozen": (0, 10, 10, 40),  # 2 * 5
        "both": (0, 0, 0, 0),
        "head": (18, 0, 18, 72),  # 8 * 2 + 2
        "other": (15, 0, 15, 60),
        "sum": (0, 0, 0, 0),
    }
    assert (shapes.trainable, shapes.non_trainable, shapes.weight_bytes) == (54, 16, 280)


def test_dense_takes_two_flops_for_each_product():
    shapes = shapes_of("model: {input: [4], layers: [{type: Dense, units: 3}]}")
    assert shapes.flops == 24
    assert shapes_of("model: {input: [7, 4], layers: [{type: Dense, units: 3}]}").flops == 7 * 24


def test_memory_of_activations():
    shapes = shapes_of(MODEL)
    # outputs of 3, 3, 5, 8, 2, 3 and 3 float32 numbers
    assert shapes.activation_bytes(1) == 27 * 4
    assert shapes.activation_bytes(10) == 27 * 4 * 10


def test_output_of_a_node_or_an_input():
    shapes = shapes_of(MODEL)
    assert shapes.output("a") == Tensor((None, 4), "float32")
    assert shapes.output("both") == Tensor((None, 8), "float32")
    assert shapes.output("both", 0) == Tensor((None, 8), "float32")
    assert shapes.output("both", 1) is None


@pytest.mark.parametrize(
    ("actual", "matches"),
    [
        ([(9, 3)], True),
        ([(None, 3)], True),
        ([(9, 4)], False),
        ([(9, 3, 1)], False),
        ([(9,)], False),
        ([(9, 3), (9, 3)], False),
        ([], False),
        (None, None),
    ],
)
def test_forward_shapes_are_compared_axis_by_axis(actual, matches):
    assert shapes_of(MODEL).by_name["dense"].matches_forward(actual) is matches


REUSED = """
model:
  inputs: {a: [4], b: [%s]}
  outputs: [one, two]
  layers:
    - {type: Dense, units: 3, inputs: a, name: one}
    - {reuse: one, inputs: b, name: two}
"""


def test_weights_of_a_reused_layer_count_once():
    shapes = shapes_of(REUSED % 4)
    assert [row.parameters for row in shapes.rows] == [15, 0]
    assert (shapes.trainable, shapes.weight_bytes, shapes.flops) == (15, 60, 48)


def test_reused_layer_has_an_error_for_another_size():
    found = check_document(parse_yaml(SourceText("c.yaml", (REUSED % 5).split("\n"), Path())))
    (problem,) = found.problems
    assert (problem.code, problem.line) == ("shape-mismatch", 7)
    assert problem.message.startswith(
        "`one` has weights for an input of (None, 4), but this call receives (None, 5)."
    )


@pytest.mark.parametrize(
    ("shape", "dtype", "batch", "size"),
    [
        ((None, 3, 5), "float32", 2, 120),
        ((None, None, 5), "float32", 2, 40),
        ((None,), "float32", 2, 8),
        ((7, 3), "float16", 2, 12),
        ((None, 3), "int64", 1, 24),
        ((None, 3), "uint8", 1, 3),
        ((None, 3), "bool", 1, 3),
        ((None, 3), "string", 1, 12),
    ],
)
def test_memory_of_a_tensor(shape, dtype, batch, size):
    assert tensor_bytes(Tensor(shape, dtype), batch) == size


def test_bytes_of_dtypes():
    names = ("float64", "float32", "float16", "bfloat16", "int8", "int16", "int32", "uint16", "unknown")
    assert [dtype_bytes(name) for name in names] == [8, 4, 2, 2, 1, 2, 4, 2, 4]


def test_sum_is_unknown_if_one_count_is():
    assert sum_if_known([]) == 0
    assert sum_if_known([0, 3, 4]) == 7
    assert sum_if_known([3, None]) is None


@pytest.mark.parametrize(
    ("length", "window", "stride", "padding", "dilation", "expected"),
    [
        (28, 3, 1, "valid", 1, 26),
        (28, 3, 2, "valid", 1, 13),
        (28, 3, 1, "valid", 2, 24),
        (28, 3, 2, "same", 1, 14),
        (29, 3, 2, "same", 1, 15),
        (28, 3, 1, "causal", 4, 28),
        (2, 3, 1, "valid", 1, 0),
        (None, 3, 1, "valid", 1, None),
    ],
)
def test_length_after_a_window(length, window, stride, padding, dilation, expected):
    assert window_length(length, window, stride, padding, dilation) == expected


def test_axes_and_products_of_shapes():
    assert [resolve_axis(axis, 3) for axis in (-4, -3, -1, 0, 2, 3)] == [None, 0, 2, 0, 2, None]
    assert (multiply_dims(2, 3, 4), multiply_dims(2, None), multiply_dims()) == (24, None, 1)
    assert [format_shape(shape) for shape in [(), (5,), (None, 8)]] == ["()", "(5,)", "(None, 8)"]


@pytest.mark.parametrize(
    ("layers", "other"),
    [
        ([{"type": "Dense", "units": 1}], ", or `output_mode: multi_hot` for one vector for each text"),
        (
            [
                {"type": "Embedding", "input_dim": 9, "output_dim": 2},
                "Flatten",
                {"type": "Dense", "units": 1},
            ],
            "",
        ),
    ],
)
def test_unknown_number_of_words_is_fixed_where_it_starts(layers, other):
    vectorization = {"type": "TextVectorization", "max_tokens": 9}
    (problem,) = checked_layers([vectorization, *layers], "string", (1,)).problems
    assert problem.hint == (
        f"Set `output_sequence_length: 100` on `text_vectorization` (line 4) for texts of that many words{other}."
    )


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (
            {"type": "LayerNormalization", "gamma_initializer": "identity"},
            "`gamma_initializer: identity` requires a weight of 2 axes, got (4,).",
        ),
        (
            {"type": "Dense", "units": 3, "bias_initializer": {"type": "Orthogonal"}},
            "`bias_initializer: Orthogonal` requires a weight of at least 2 axes, got (3,).",
        ),
        (
            {"type": "Conv1D", "filters": 3, "kernel_size": 1, "kernel_initializer": "Identity"},
            "`kernel_initializer: identity` requires a weight of 2 axes, got (1, 4, 3).",
        ),
        ({"type": "Dense", "units": 3, "kernel_initializer": "identity"}, None),
        ({"type": "Conv1D", "filters": 3, "kernel_size": 1, "kernel_initializer": "orthogonal"}, None),
        ({"type": "SimpleRNN", "units": 3, "recurrent_initializer": "identity"}, None),
        (
            {"type": "LayerNormalization", "gamma_initializer": "stft"},
            "`gamma_initializer: stft` requires a weight of the shape (n, 1, m) with m above 1, got (4,).",
        ),
        (
            {"type": "DepthwiseConv1D", "kernel_size": 3, "depthwise_initializer": {"type": "STFT"}},
            "`depthwise_initializer: STFT` requires a weight of the shape (n, 1, m) with m above 1, got (3, 4, 1).",
        ),
        (
            {
                "type": "TimeDistributed",
                "layer": {"type": "Dense", "units": 2, "bias_initializer": "identity"},
            },
            "`bias_initializer: identity` requires a weight of 2 axes, got (2,).",
        ),
        (
            {"type": "RNN", "cell": {"type": "LSTMCell", "units": 2, "bias_initializer": "orthogonal"}},
            "`bias_initializer: orthogonal` requires a weight of at least 2 axes, got (8,).",
        ),
        (
            {"type": "Pipeline", "layers": [{"type": "Dense", "units": 2, "bias_initializer": "identity"}]},
            "`bias_initializer: identity` requires a weight of 2 axes, got (2,).",
        ),
    ],
)
def test_initializer_of_matrices_on_another_weight(layer, message):
    # Keras raises an error for the same layers when it creates the weights, or writes a file that it cannot load.
    shape = [4] if layer["type"] in ("Dense", "LayerNormalization") else [5, 4]
    assert list_errors({"input": shape, "layers": [layer]}) == ([message] if message else [])


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ({"input_axes": [0], "output_axes": [-2, 1]}, None),
        ({"input_axes": [4]}, None),  # Keras ignores one without the other
        (
            {"input_axes": [0], "output_axes": [1, 2]},
            "`kernel_initializer.output_axes` must be axes of the weight, from -2 to 1, got 2: "
            "the weight has the shape (4, 3).",
        ),
        (
            {"input_axes": [-3], "output_axes": [1]},
            "`kernel_initializer.input_axes` must be axes of the weight, from -2 to 1, got -3: "
            "the weight has the shape (4, 3).",
        ),
    ],
)
def test_fan_axes_are_axes_of_the_weight(axes, message):
    # keras.initializers.HeUniform raises IndexError for those that are refused.
    layer = {"type": "Dense", "units": 3, "kernel_initializer": {"type": "HeUniform", **axes}}
    assert list_errors({"input": [4], "layers": [layer]}) == ([message] if message else [])


@pytest.mark.parametrize("filters", [2, 3])
def test_fourier_initializer_fills_kernel_of_one_channel(filters):
    layer = {"type": "Conv1D", "filters": filters, "kernel_size": 4, "kernel_initializer": {"type": "STFT"}}
    assert list_errors({"input": [8, 1], "layers": [layer]}) == []


def test_orthogonal_weight_is_not_bfloat16():
    # TensorFlow has no QR decomposition for bfloat16.
    layer = {"type": "LSTM", "units": 2, "dtype": "bfloat16"}
    assert list_errors({"input": [5, 4], "layers": [layer]}) == [
        "`recurrent_initializer: orthogonal` cannot create a weight in bfloat16, since TensorFlow has no such operation."
    ]
    layer["dtype"] = "mixed_bfloat16"
    assert list_errors({"input": [5, 4], "layers": [layer]}) == []


def test_equalization_is_only_used_inside_a_layer():
    message = "Keras cannot build a model with Equalization, except inside another layer."
    assert list_errors({"input": [8, 8, 3], "layers": ["Equalization"]}) == [message]
    pipeline = {"type": "Pipeline", "layers": [{"type": "Equalization", "bins": 16}]}
    assert list_errors({"input": [8, 8, 3], "layers": [pipeline]}) == []


def test_pretrained_model_is_not_nested():
    message = "MobileNetV2 is a pretrained model and cannot be nested in another layer."
    layer = {"type": "TimeDistributed", "layer": {"type": "MobileNetV2", "include_top": False}}
    assert list_errors({"input": [3, 96, 96, 3], "layers": [layer]}) == [message]


def list_errors(model):
    result = check_config("config.yaml", text=yaml.safe_dump({"model": model}))
    return [problem.message for problem in result.problems if problem.severity == "error"]


@pytest.mark.parametrize("name", ["x", "a"])
def test_duplicate_names_do_not_make_a_cycle(name):
    # The hint of a rank error follows the layers back by their names.
    layers = [
        {"type": "ActivityRegularization", "name": "a"},
        {"type": "ActivityRegularization", "name": name},
        {"type": "SpatialDropout1D", "rate": 0.5},
    ]
    subject = {"x": "An input and a layer are", "a": "Two layers are"}[name]
    assert list_errors({"inputs": {"x": [3]}, "layers": layers})[0] == (
        f"{subject} named `{name}`: this one and the one at line {3 if name == 'x' else 6}."
    )
