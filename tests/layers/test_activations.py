import keras
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from layercli.layers.object_registry import ACTIVATIONS
from layercli.layers.registry import LAYERS
from layercli.layers.shapes import ShapeError, Tensor
from tests.layers.errors import argument_error
from tests.layers.parity import assert_built_alike, assert_parity

SHAPES = [
    (None,),
    (None, 4),
    (None, None),
    (None, 4, 3),
    (None, None, 3),
    (None, 8, 8, 3),
    (None, 2, None, None, 1),
]
SHARED = [{}, {"trainable": False}, {"dtype": "mixed_float16"}, {"dtype": "float64"}, {"autocast": False}]
VALUES = {
    "Activation": [
        {"activation": "relu"},
        {"activation": "softmax"},
        {"activation": None},
        {"activation": "nope"},
        {},
    ],
    "ReLU": [
        {},
        {"max_value": 6},
        {"max_value": None},
        {"max_value": -1.0},
        {"negative_slope": 0.1},
        {"negative_slope": -0.1},
        {"negative_slope": None},
        {"threshold": 1},
        {"threshold": -1.0},
        {"threshold": None},
    ],
    "LeakyReLU": [{}, {"negative_slope": 0.01}, {"negative_slope": -0.01}, {"negative_slope": None}],
    "PReLU": [
        {},
        {"alpha_initializer": "ones"},
        {"alpha_initializer": {"type": "Constant", "value": 0.25}},
        {"alpha_regularizer": "l2"},
        {"alpha_constraint": "non_neg"},
        {"alpha_initializer": "nope"},
    ],
    "ELU": [{}, {"alpha": 0.5}, {"alpha": -1}],
    "Softmax": [{}, {"axis": -1}, {"axis": 0}],
}
CASES = [({"type": kind} | arguments) for kind, values in VALUES.items() for arguments in values]


@pytest.mark.parametrize("value", CASES, ids=str)
def test_activations_agree_with_keras_on_arguments(value):
    for shape in SHAPES:
        assert_parity(value, shape)


@pytest.mark.parametrize("kind", VALUES)
@pytest.mark.parametrize("arguments", SHARED, ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float16", "int32", "bool"])
def test_activations_agree_with_keras_on_dtypes(kind, arguments, dtype):
    required = {"activation": "tanh"} if kind == "Activation" else {}
    assert_parity({"type": kind} | required | arguments, (None, 4, 3), dtype=dtype)


@pytest.mark.parametrize(
    "axes", [None, [], 0, 1, 2, 3, -1, -2, [1], [2], [1, 2], [0, 1], [1, 1], [3], [5], [-1]]
)
@pytest.mark.parametrize("shape", SHAPES)
def test_slopes_are_shared_as_in_keras(axes, shape):
    assert_parity({"type": "PReLU", "shared_axes": axes}, shape)


@settings(max_examples=50)
@given(
    st.lists(st.none() | st.integers(1, 5), max_size=4),
    st.none() | st.integers(-5, 5) | st.lists(st.integers(-5, 5), max_size=3),
)
def test_any_shared_axes_agree_with_keras(shape, axes):
    assert_parity({"type": "PReLU", "shared_axes": axes}, (None, *shape))


@pytest.mark.parametrize("axis", [1, -2, [1, 2], [0, -1], None])
def test_softmax_axes_agree_with_keras(axis):
    assert_parity({"type": "Softmax", "axis": axis}, (None, 4, 3))


def test_softmax_axis_that_keras_cannot_use_is_an_error():
    layer = LAYERS.load("Softmax").model_validate({"axis": [1, 7]})
    with pytest.raises(ShapeError, match=r"cannot use axis 7 of \(None, 4, 3\)"):
        layer.infer((Tensor((None, 4, 3)),))
    with pytest.raises(Exception, match="Invalid reduction dimension"):
        keras.layers.Softmax(axis=[1, 7])(keras.ops.ones((2, 4, 3)))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_is_one_of_keras(name):
    assert_built_alike({"type": "Activation", "activation": name})
    assert keras.activations.get(name)


@pytest.mark.parametrize(
    "value", [case for case in CASES if len(case) == 1 and case["type"] != "Activation"], ids=str
)
def test_defaults_are_those_of_keras(value):
    assert_built_alike(value)


@pytest.mark.parametrize(
    "value",
    [
        {"type": "PReLU", "shared_axes": [1, 2]},
        {"type": "PReLU", "alpha_constraint": "non_neg"},
        {"type": "ReLU", "max_value": 6.0, "threshold": 1.0},
        {"type": "Softmax", "axis": [1, 2]},
    ],
    ids=str,
)
def test_arguments_reach_keras(value):
    assert_built_alike(value)


def test_alpha_of_leaky_relu_is_explained():
    with pytest.raises(ValidationError) as caught:
        LAYERS.parse({"type": "LeakyReLU", "alpha": 0.1})
    (error,) = caught.value.errors()
    assert error["msg"] == 'LeakyReLU has no argument "alpha".'
    assert error["ctx"]["hint"] == "Keras renamed it: write `negative_slope`."


def test_an_axis_in_quotes_is_explained():
    with pytest.raises(ValidationError) as caught:
        LAYERS.parse({"type": "Softmax", "axis": "1"})
    (error,) = caught.value.errors()
    assert error["msg"] == '`axis` must be an axis (an integer) or a list of axes, got the string "1".'
    assert error["ctx"]["hint"] == "Remove the quotes: `1`."


def test_a_slope_for_an_unknown_axis_is_explained():
    with pytest.raises(ShapeError) as caught:
        LAYERS.parse("PReLU").infer((Tensor((None, None, 3)),))
    assert (
        str(caught.value)
        == "PReLU learns a slope for each number, but the size of axis 1 of (None, None, 3) is unknown."
    )
    assert caught.value.hint == "Share the slope along this axis: `shared_axes: [1]`."


@pytest.mark.parametrize("shape", [(None,), (None, 8), (None, None, 3)])
def test_softmax_over_everything_agrees_with_keras(shape):
    assert_parity({"type": "Softmax", "axis": None}, shape)


@pytest.mark.parametrize("name", ["glu", "threshold"])
def test_activations_that_layers_cannot_use_are_explained(name):
    message, hint, _ = argument_error({"type": "Dense", "units": 4, "activation": name})
    assert message.startswith(f"The activation `{name}` cannot be used in a layer: ")
    assert hint == "Use a different one, such as `relu`, or a custom layer that calls it."


def test_keras_declares_a_wrong_shape_for_glu():
    layer = keras.layers.Activation("glu")
    assert layer(keras.KerasTensor((None, 4))).shape == (None, 4)
    assert layer(keras.ops.ones((2, 4))).shape == (2, 2)
