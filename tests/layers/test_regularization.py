import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from layercli.layers.registry import LAYERS
from layercli.layers.shapes import ShapeError, Tensor
from tests.layers.parity import assert_built_alike, assert_parity

SHAPES = [
    (None,),
    (None, 4),
    (None, None),
    (None, 4, 3),
    (None, None, None),
    (None, 8, 8, 3),
    (None, 4, None, 4, 1),
]
RATES = [{"rate": 0.5}, {"rate": 0}, {"rate": 1}, {"rate": 1.5}, {"rate": -0.1}, {"rate": "half"}, {}]
FORMATS = [{"rate": 0.2, "data_format": kind} for kind in ("channels_last", "channels_first", None, "nope")]
VALUES = {
    "Dropout": [
        *RATES,
        {"rate": 0.5, "seed": 3},
        {"rate": 0.5, "noise_shape": [None, 1, 3]},
        {"rate": 0.5, "noise_shape": [0]},
        {"rate": 0.5, "noise_shape": [1.5]},
        {"rate": 0.5, "noise_shape": 2},
        {"rate": 0.5, "noise_shape": "a"},
    ],
    "AlphaDropout": [*RATES, {"rate": 0.5, "seed": 3, "noise_shape": [None, 1]}],
    "GaussianDropout": [*RATES, {"rate": 0.5, "seed": 3}, {"rate": 0.5, "noise_shape": [1]}],
    "GaussianNoise": [
        {"stddev": 0.1},
        {"stddev": 0},
        {"stddev": 1},
        {"stddev": 2.0},
        {"stddev": -1.0},
        {},
        {"stddev": 0.1, "seed": 3},
    ],
    "ActivityRegularization": [
        {},
        {"l1": 0.1},
        {"l2": 1},
        {"l1": -1.0},
        {"l2": -1.0},
        {"activity_regularizer": "l2"},
    ],
    "SpatialDropout1D": [
        *RATES,
        {"rate": 0.5, "seed": 3},
        {"rate": 0.5, "data_format": "channels_last"},
        {"rate": 0.5, "noise_shape": [1]},
    ],
    "SpatialDropout2D": [*RATES, *FORMATS],
    "SpatialDropout3D": [*RATES, *FORMATS],
}
CASES = [({"type": kind} | arguments) for kind, values in VALUES.items() for arguments in values]
SHARED = [
    {"trainable": False},
    {"dtype": "mixed_float16"},
    {"dtype": "bfloat16"},
    {"autocast": False},
    {"activity_regularizer": "l1"},
]
RANKS = {"SpatialDropout1D": 3, "SpatialDropout2D": 4, "SpatialDropout3D": 5}


@pytest.mark.parametrize("value", CASES, ids=str)
def test_regularization_agrees_with_keras_on_arguments(value):
    for shape in SHAPES:
        assert_parity(value, shape)


@pytest.mark.parametrize("kind", VALUES)
@pytest.mark.parametrize("arguments", SHARED, ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32"])
def test_regularization_agrees_with_keras_on_shared_arguments(kind, arguments, dtype):
    shape = (None, 4, 3, 2, 2)[: RANKS.get(kind, 3)]
    assert_parity({"type": kind} | VALUES[kind][0] | arguments, shape, dtype=dtype)


@settings(max_examples=50)
@given(
    st.sampled_from(list(VALUES)),
    st.lists(st.none() | st.integers(1, 5), max_size=5),
    st.floats(-0.5, 1.5),
)
def test_any_rate_and_shape_agree_with_keras(kind, shape, rate):
    name = {"GaussianNoise": "stddev", "ActivityRegularization": "l1"}.get(kind, "rate")
    assert_parity({"type": kind, name: rate}, (None, *shape))


@pytest.mark.parametrize("kind", VALUES)
def test_defaults_are_those_of_keras(kind):
    assert_built_alike({"type": kind} | VALUES[kind][0])


@pytest.mark.parametrize(
    "value",
    [
        {"type": "Dropout", "rate": 0.5, "noise_shape": [None, 1], "seed": 3},
        {"type": "ActivityRegularization", "l1": 0.1, "l2": 0.2},
        {
            "type": "SpatialDropout3D",
            "rate": 0.5,
            "data_format": "channels_first",
            "seed": 3,
            "dtype": "float16",
        },
    ],
    ids=str,
)
def test_arguments_reach_keras(value):
    assert_built_alike(value)


def test_a_rate_in_percent_is_explained():
    with pytest.raises(ValidationError) as caught:
        LAYERS.parse({"type": "Dropout", "rate": 50})
    (error,) = caught.value.errors()
    assert error["msg"] == "`rate` must be a number between 0 and 1, got 50."
    assert error["ctx"]["hint"] == "For example `rate: 0.5`."


def test_a_missing_rate_is_explained():
    with pytest.raises(ValidationError) as caught:
        LAYERS.parse("Dropout")
    (error,) = caught.value.errors()
    assert error["msg"] == "Dropout needs `rate`: part of the input that is dropped."
    assert error["ctx"]["hint"] == "Add `rate: 0.5`, for example."


def test_spatial_dropout_of_flat_data_is_explained():
    with pytest.raises(ShapeError) as caught:
        LAYERS.parse({"type": "SpatialDropout2D", "rate": 0.5}).infer((Tensor((None, 28, 28)),))
    assert str(caught.value) == (
        "SpatialDropout2D expects images of shape (batch, height, width, channels), rank 4, got "
        "(None, 28, 28)."
    )
