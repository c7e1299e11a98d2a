"""Operations on tensors as layers, each with the definition of the operation."""

import pytest

from layercli.importing.keras_config import InexpressibleError
from layercli.importing.operations import LayerStep, Operand, convert_application_layer, convert_operation

X = Operand(0, (None, 4, 6), "float32")
Y = Operand(1, (None, 4, 6), "float32")


def convert_layer(name, *values, **config):
    return convert_operation(name, config, values or (X,))


@pytest.mark.parametrize(
    ("name", "values", "arguments"),
    [
        ("Add", (X, 3), {"scale": 1.0, "offset": 3.0}),
        ("Add", (3, X), {"scale": 1.0, "offset": 3.0}),
        ("Multiply", (X, 0.5), {"scale": 0.5}),
        ("Subtract", (X, 3), {"scale": 1.0, "offset": -3.0}),  # x - 3
        ("Subtract", (3, X), {"scale": -1.0, "offset": 3.0}),  # 3 - x
        ("Divide", (X, 4), {"scale": 0.25}),
        ("TrueDivide", (X, -2), {"scale": -0.5}),
        ("Negative", (X,), {"scale": -1.0}),
    ],
)
def test_arithmetic_with_a_number_is_a_rescaling(name, values, arguments):
    assert convert_layer(name, *values) == [LayerStep("Rescaling", arguments, (0,))]


@pytest.mark.parametrize("name", ["Add", "Subtract", "Multiply", "Maximum", "Minimum"])
def test_operations_of_two_tensors_keep_their_order(name):
    assert convert_layer(name, Y, X) == [LayerStep(name, {}, (1, 0))]


@pytest.mark.parametrize(
    ("name", "config", "step"),
    [
        ("Relu6", {}, ("Activation", {"activation": "relu6"})),
        ("Exp", {}, ("Activation", {"activation": "exponential"})),
        ("Gelu", {"approximate": False}, ("Activation", {"activation": "gelu"})),
        ("Softmax", {}, ("Softmax", {})),
        ("Softmax", {"axis": -1}, ("Softmax", {})),
        ("Softmax", {"axis": 1}, ("Softmax", {"axis": 1})),
        ("Transpose", {"axes": [0, 2, 1]}, ("Permute", {"dims": [2, 1]})),
        ("Reshape", {"newshape": [-1, 24]}, ("Reshape", {"target_shape": [24]})),
        ("Reshape", {"newshape": [None, 3, 8]}, ("Reshape", {"target_shape": [3, 8]})),
        ("Reshape", {"newshape": [-1, 24, 1]}, ("Reshape", {"target_shape": [24, 1]})),
        ("Concatenate", {}, ("Concatenate", {})),
        ("Concatenate", {"axis": 1}, ("Concatenate", {"axis": 1})),
    ],
)
def test_operation_with_arguments(name, config, step):
    assert convert_layer(name, **config) == [LayerStep(*step, (0,))]


def test_square_is_the_product_of_a_tensor_with_itself():
    assert convert_layer("Square", Y) == [LayerStep("Multiply", {}, (1, 1))]


def test_other_floats_keep_their_dtype():
    half = Operand(0, (None, 4), "float16")
    assert convert_layer("Add", half, 1) == [
        LayerStep("Rescaling", {"scale": 1.0, "offset": 1.0, "dtype": "float16"}, (0,))
    ]
    assert convert_layer("Tanh", half) == [
        LayerStep("Activation", {"activation": "tanh", "dtype": "float16"}, (0,))
    ]


@pytest.mark.parametrize(
    ("name", "values", "config"),
    [
        ("Divide", (3, X), {}),  # 3 / x
        ("Divide", (X, 0), {}),
        ("Multiply", (X, float("inf")), {}),
        ("Add", (X, Operand(1, (None, 4), "float32")), {}),
        ("Add", (X, Operand(1, (None, 4, 6), "float16")), {}),
        ("Add", (Operand(0, (None, 4), "int32"), 1), {}),
        ("Add", (X, Y, 1), {}),
        ("Add", (1, 2), {}),
        ("Add", (X, "1"), {}),
        ("Gelu", (X,), {"approximate": True}),
        ("Gelu", (X,), {}),  # approximate by default
        ("Sin", (X,), {}),
        ("Transpose", (X,), {"axes": [1, 0, 2]}),
        ("Transpose", (X,), {"axes": []}),
        ("Transpose", (X,), {}),
        ("Reshape", (X,), {"newshape": [4, 6]}),
        ("Reshape", (X,), {"newshape": [-1, 23]}),
        ("Reshape", (X,), {"newshape": [-1, 24, 0]}),
        ("Reshape", (X,), {"newshape": [-1, 3, -1]}),
        ("Reshape", (X,), {"newshape": []}),
        ("Reshape", (Operand(0, (None, None, 6), "float32"),), {"newshape": [-1, 6]}),
        ("Concatenate", (X, Y), {"axis": 0}),
        ("Concatenate", (X, Y), {"axis": -3}),
        ("Concatenate", (X, 1), {}),
    ],
)
def test_operations_without_a_layer_are_refused(name, values, config):
    with pytest.raises(InexpressibleError):
        convert_layer(name, *values, **config)


def test_internal_layers_of_applications():
    [scale] = convert_application_layer("LayerScale", {"init_values": 1e-6})
    assert scale.args == {
        "kernel_size": 1,
        "use_bias": False,
        "depthwise_initializer": {"type": "Constant", "value": 1e-6},
    }
    assert convert_application_layer("CustomScaleLayer", {"scale": 0.17}) == [
        LayerStep("Rescaling", {"scale": 0.17}, (1,)),  # inputs[0] + inputs[1] * scale
        LayerStep("Add", {}, (0, -1)),
    ]
    assert convert_application_layer("Dense", {}) is None


@pytest.mark.parametrize(
    ("name", "values", "config"),
    [
        ("Reshape", (X,), {"newshape": [2, 24]}),  # a fixed number of examples
        ("Reshape", (X,), {"newshape": [-1, 25]}),
        ("Reshape", (X,), {"newshape": [-1, -1, 24]}),
        ("Reshape", (X,), {"newshape": []}),
        ("Reshape", (Operand(0, (None, None, 24), "float32"),), {"newshape": [-1, 24]}),
        ("Transpose", (X,), {"axes": [1, 0, 2]}),
        ("Transpose", (X,), {"axes": []}),
        ("Gelu", (X,), {"approximate": True}),
        ("Gelu", (X,), {}),
        ("Divide", (4, X), {}),
        ("Divide", (X, 0), {}),
        ("Add", (X, float("inf")), {}),
        ("Add", (X, 1, 2), {}),
        ("Add", (X, Y, 1), {}),
        ("Add", (X, "a"), {}),
        ("Add", (1, 2), {}),
        ("Add", (X, Operand(1, (None, 6), "float32")), {}),
        ("Add", (X, Operand(1, (None, 4, 6), "float16")), {}),
        ("Square", (Operand(0, (None, 4), "int32"),), {}),
        ("Concatenate", (X, Y, 1), {}),
        ("Maximum", (X, 1), {}),
    ],
)
def test_operations_without_a_layer(name, values, config):
    with pytest.raises(InexpressibleError, match="Keras has no layer for the tensor operation"):
        convert_operation(name, config, values)


@pytest.mark.parametrize("axis", [0, -3])
def test_examples_are_not_concatenated(axis):
    with pytest.raises(InexpressibleError, match="along the batch axis"):
        convert_operation("Concatenate", {"axis": axis}, (X, Y))
    assert convert_operation("Concatenate", {"axis": -2}, (X, Y)) == [
        LayerStep("Concatenate", {"axis": -2}, (0, 1))
    ]


def test_dtype_of_a_tensor_is_that_of_the_layer():
    half = Operand(3, (None, 4), "float16")
    assert convert_operation("Negative", {}, (half,)) == [
        LayerStep("Rescaling", {"scale": -1.0, "dtype": "float16"}, (3,))
    ]
    assert convert_operation("Add", {}, (half, half)) == [LayerStep("Add", {"dtype": "float16"}, (3, 3))]


def test_internal_layers_of_applications_are_layers():
    [scale] = convert_application_layer("LayerScale", {"init_values": 1e-6})
    assert (scale.type, scale.input_indices) == ("DepthwiseConv2D", (0,))
    assert scale.args["kernel_size"] == 1
    assert scale.args["use_bias"] is False
    assert scale.args["depthwise_initializer"] == {"type": "Constant", "value": 1e-6}
    # Keras adds the scaled second tensor to the first one.
    assert convert_application_layer("CustomScaleLayer", {"scale": 0.17}) == [
        LayerStep("Rescaling", {"scale": 0.17}, (1,)),
        LayerStep("Add", {}, (0, -1)),
    ]
    assert convert_application_layer("Other", {}) is None
