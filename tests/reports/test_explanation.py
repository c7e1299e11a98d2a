import re

import pytest

from layercli.layers.registry import LAYERS
from layercli.layers.shapes import ShapeError, Tensor
from layercli.reports.catalogue import iterate_sample_inputs, parse_layer_example
from tests.layers.explained import assert_explains, evaluate, explained


def explain(value, *shapes):
    return explained(LAYERS.parse(value), [Tensor(shape) for shape in shapes])


def conv(**arguments):
    return {"type": "Conv2D", "filters": 16, "kernel_size": 3, **arguments}


IMAGE = (None, 8, 8, 1)
WINDOW = "kernel_size 3, strides 1 and padding valid"


@pytest.mark.parametrize(
    ("value", "shapes", "shape", "parameters"),
    [
        (
            {"type": "LSTM", "units": 32},
            [(None, 10, 64)],
            ["axis 1: 32 (units)"],
            "4 x ((64 + 32) x 32 + 32) = 12,416",
        ),
        (
            {"type": "GRU", "units": 8},
            [(None, 10, 4)],
            ["axis 1: 8 (units)"],
            "3 x ((4 + 8) x 8 + 2 x 8) = 336",
        ),
        (
            conv(),
            [IMAGE],
            [f"axes 1 and 2: (8 - 3) / 1 + 1 = 6 with {WINDOW}", "axis 3: 16 (filters)"],
            "3 x 3 x 1 x 16 + 16 = 160",
        ),
        (
            conv(strides=2),
            [IMAGE],
            [
                "axes 1 and 2: floor((8 - 3) / 2) + 1 = 3 with kernel_size 3, strides 2 and padding valid",
                "axis 3: 16 (filters)",
            ],
            "3 x 3 x 1 x 16 + 16 = 160",
        ),
        (
            conv(strides=3, padding="same", use_bias=False),
            [IMAGE],
            ["axes 1 and 2: ceil(8 / 3) = 3 with strides 3 and padding same", "axis 3: 16 (filters)"],
            "3 x 3 x 1 x 16 = 144",
        ),
        (
            conv(dilation_rate=2, groups=2),
            [(None, 8, 9, 4)],
            [
                "axis 1: (8 - ((3 - 1) x 2 + 1)) / 1 + 1 = 4 "
                "with kernel_size 3, dilation_rate 2, strides 1 and padding valid",
                "axis 2: (9 - ((3 - 1) x 2 + 1)) / 1 + 1 = 5 "
                "with kernel_size 3, dilation_rate 2, strides 1 and padding valid",
                "axis 3: 16 (filters)",
            ],
            "3 x 3 x (4 / 2) x 16 + 16 = 304",
        ),
        (
            {"type": "Conv1DTranspose", "filters": 4, "kernel_size": 3, "strides": 2},
            [(None, 5, 6)],
            [
                "axis 1: (5 - 1) x 2 + 3 = 11 with strides 2, kernel_size 3 and padding valid",
                "axis 2: 4 (filters)",
            ],
            "3 x 4 x 6 + 4 = 76",
        ),
        (
            {"type": "MaxPooling2D", "pool_size": [2, 4]},
            [(None, 8, 8, 3)],
            [
                "axis 1: (8 - 2) / 2 + 1 = 4 with pool_size 2 and padding valid",
                "axis 2: (8 - 4) / 4 + 1 = 2 with pool_size 4 and padding valid",
                "axis 3: unchanged",
            ],
            "0",
        ),
        ("BatchNormalization", [(None, 5, 64)], ["unchanged"], "4 x 64 = 256"),
        ("RMSNormalization", [(None, 64)], ["unchanged"], "64"),
        ("Flatten", [(None, 4, 4, 64)], ["axis 1: 4 x 4 x 64 = 1,024"], "0"),
        (
            {"type": "Reshape", "target_shape": [-1, 6]},
            [(None, 3, 4)],
            ["axis 1: 3 x 4 / 6 = 2 with target_shape 6", "axis 2: 6 (target_shape)"],
            "0",
        ),
        (
            {"type": "ZeroPadding1D", "padding": [1, 2]},
            [(None, 5, 3)],
            ["axis 1: 5 + 1 + 2 = 8 with padding 1 and 2", "axis 2: unchanged"],
            "0",
        ),
        (
            {"type": "Permute", "dims": [2, 1]},
            [(None, 5, 3)],
            ["axis 1: 3 (axis 2 of the input)", "axis 2: 5 (axis 1 of the input)"],
            "0",
        ),
        ("Concatenate", [(None, 3), (None, 4)], ["axis 1: 3 + 4 = 7"], "0"),
        (
            "Add",
            [(None, 5, 1), (None, 1, 4)],
            ["axis 1: 5 (axis 1 of input_0)", "axis 2: 4 (axis 2 of input_1)"],
            "0",
        ),
        (
            {"type": "TimeDistributed", "layer": {"type": "Dense", "units": 8}},
            [(None, 10, 16)],
            ["axis 1: unchanged", "axis 2: 8 (units)"],
            "16 x 8 + 8 = 136",
        ),
        (
            {"type": "Bidirectional", "layer": {"type": "LSTM", "units": 8, "return_state": True}},
            [(None, 10, 16)],
            ["output 0, axis 1: 2 x 8 = 16 with units 8", "outputs 1, 2, 3 and 4, axis 1: 8 (units)"],
            "2 x 4 x ((16 + 8) x 8 + 8) = 1,600",
        ),
        (
            {"type": "MultiHeadAttention", "num_heads": 4, "key_dim": 8},
            [(None, 10, 16), (None, 7, 12)],
            ["axis 1: 10 (axis 1 of input_0)", "axis 2: 16 (axis 2 of input_0)"],
            "16 x 4 x 8 + 3 x 4 x 8 + 2 x 12 x 4 x 8 + 4 x 8 x 16 + 16 = 1,904",
        ),
        ("Normalization", [(None, 3)], ["unchanged"], "2 x 3 + 1 = 7"),
        (
            {"type": "CategoryEncoding", "num_tokens": 10},
            [(None, 4)],
            ["axis 1: 10 (num_tokens)"],
            "0",
        ),
        (
            {"type": "Embedding", "input_dim": 1000, "output_dim": 8},
            [(None, 5)],
            ["axis 1: unchanged", "axis 2: 8 (output_dim)"],
            "1,000 x 8 = 8,000",
        ),
    ],
)
def test_text_shows_the_arithmetic_with_the_numbers(value, shapes, shape, parameters):
    explanation = explain(value, *shapes)
    assert (list(explanation.shape), explanation.parameters) == (shape, parameters)


@pytest.mark.parametrize("name", LAYERS.names)
def test_arithmetic_of_every_example_gives_its_sizes(name):
    layer = LAYERS.parse(parse_layer_example(name))
    for inputs in iterate_sample_inputs(layer):
        try:
            inferred = layer.infer(inputs)
        except ShapeError:
            continue
        parameters = sum(weight.size for weight in inferred.weights)
        assert_explains(layer, inputs, [x.shape for x in inferred.outputs], parameters)
        explanation = explained(layer, inputs)
        assert explanation.layer.endswith(".")
        assert not [line for line in explanation.shape if re.search(r": [\d,]+$", line)], (
            "sizes without a reason"
        )
        return
    raise AssertionError("no sample input fits")


UNKNOWN_LENGTHS = [
    {"type": "Conv1D", "filters": 4, "kernel_size": 3, "strides": 2},
    {"type": "Conv1D", "filters": 4, "kernel_size": 3, "dilation_rate": 2, "padding": "same"},
    {"type": "Conv1D", "filters": 4, "kernel_size": 3, "strides": 3, "padding": "causal"},
    {"type": "Conv1DTranspose", "filters": 4, "kernel_size": 3, "strides": 2},
    {"type": "AveragePooling1D", "pool_size": 3},
    {"type": "ZeroPadding1D", "padding": 2},
    {"type": "Cropping1D", "cropping": 2},
    {"type": "UpSampling1D", "size": 3},
    {"type": "Flatten"},
]


@pytest.mark.parametrize("value", UNKNOWN_LENGTHS, ids=lambda value: value["type"])
@pytest.mark.parametrize("length", [11, 12, 13])
def test_formula_of_an_unknown_length_applies_to_any_length(value, length):
    *_, meaning = lines = explain(value, (None, None, 3)).shape
    assert meaning == "n is axis 1 of the input"
    formula = lines[0].removeprefix("axis 1: ").partition(" with ")[0]
    assert "=" not in formula
    (output,) = LAYERS.parse(value).infer((Tensor((None, length, 3)),)).outputs
    assert evaluate(formula, n=length) == output.shape[1]


def test_unknown_lengths_of_two_axes_have_two_symbols():
    value = {"type": "MaxPooling2D", "pool_size": 2}
    assert explain(value, (None, None, None, 3)).shape == (
        "axis 1: floor((n1 - 2) / 2) + 1 with pool_size 2 and padding valid",
        "axis 2: floor((n2 - 2) / 2) + 1 with pool_size 2 and padding valid",
        "axis 3: unchanged",
        "n1 is axis 1 of the input",
        "n2 is axis 2 of the input",
    )


def test_axis_without_a_formula_is_unknown():
    assert explain("Add", (None, None, 3), (None, 5, 3)).shape == ("axis 1: unknown", "axis 2: unchanged")
    text = {"type": "StringLookup", "output_mode": "multi_hot"}
    explanation = explained(LAYERS.parse(text), [Tensor((None, 1), "string")])
    assert explanation.shape == (
        "axis 1: the size of the vocabulary, which is learned from the training data",
    )


def test_weights_are_named_with_their_shapes():
    assert explain("BatchNormalization", (None, 5)).weights == (
        "gamma (5,), beta (5,), moving_mean (5,) (not trained), moving_variance (5,) (not trained)"
    )
    frozen = {"type": "Dense", "units": 2, "trainable": False}
    assert explain(frozen, (None, 3)).weights == "kernel (3, 2) (not trained), bias (2,) (not trained)"
    assert explain("Flatten", (None, 3)).weights == ""


def test_many_weights_are_cut():
    cells = [{"type": "LSTMCell", "units": 2}] * 5
    explanation = explain({"type": "RNN", "cell": cells}, (None, 4, 3))
    assert explanation.weights.endswith("cell_3/bias (8,) and 3 more")


def test_sentence_is_the_first_of_the_docstring():
    assert explain({"type": "Dense", "units": 2}, (None, 3)).layer == (
        "A fully connected layer: `activation(x W + b)` along the last axis."
    )
