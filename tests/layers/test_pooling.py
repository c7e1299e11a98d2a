from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from layercli.layers.registry import LAYERS
from layercli.layers.shapes import Tensor
from tests.layers.errors import shape_error_with_hint
from tests.layers.parity import assert_built_alike, assert_parity

AXES = (1, 2, 3)
WINDOWS = [f"{mode}Pooling{axes}D" for mode in ("Max", "Average") for axes in AXES]
GLOBAL = [f"Global{mode}Pooling{axes}D" for mode in ("Max", "Average") for axes in AXES]
ADAPTIVE = [f"Adaptive{mode}Pooling{axes}D" for mode in ("Max", "Average") for axes in AXES]
ALL = WINDOWS + GLOBAL + ADAPTIVE
FORMATS = [None, "channels_last", "channels_first"]


def declared(kind, **arguments):
    required = {"output_size": 3} if kind in ADAPTIVE else {"pool_size": 2} if kind in WINDOWS else {}
    return {"type": kind, **required, **arguments}


def shape_of(kind, *, channels=5, lengths=(9, 8, 7), data_format=None):
    lengths = lengths[: int(kind[-2])]
    return (None, channels, *lengths) if data_format == "channels_first" else (None, *lengths, channels)


WINDOW_CASES = [
    {},
    {"pool_size": 1},
    {"pool_size": 3},
    {"pool_size": 7},
    {"pool_size": 8},
    {"pool_size": 8, "padding": "same"},
    {"pool_size": 0},
    {"pool_size": -2},
    {"pool_size": [2]},
    {"pool_size": [2, 3]},
    {"pool_size": [2, 3, 1]},
    {"pool_size": [2, 2, 2, 2]},
    {"pool_size": "2"},
    {"pool_size": None},
    {"strides": 1},
    {"strides": 3},
    {"strides": 3, "padding": "same"},
    {"strides": [1, 2]},
    {"strides": [1, 2, 3]},
    {"strides": 0},
    {"strides": -1},
    {"padding": "same"},
    {"padding": "causal"},
    {"data_format": "channels_first"},
    {"data_format": "channels_first", "padding": "same", "strides": 2},
    {"data_format": "channels_middle"},
    {"dtype": "mixed_float16"},
    {"autocast": False, "dtype": "float16"},
    {"trainable": False},
    {"keepdims": True},
]
GLOBAL_CASES = [
    {},
    {"keepdims": True},
    {"data_format": "channels_first"},
    {"data_format": "channels_first", "keepdims": True},
    {"data_format": "first"},
    {"dtype": "bfloat16"},
    {"pool_size": 2},
]
ADAPTIVE_CASES = [
    {},
    {"output_size": 1},
    {"output_size": 20},
    {"output_size": [4]},
    {"output_size": [4, 2]},
    {"output_size": [4, 2, 1]},
    {"output_size": -1},
    {"output_size": None},
    {"output_size": "4"},
    {"data_format": "channels_first"},
    {"data_format": "first"},
    {"dtype": "mixed_bfloat16"},
    {"keepdims": True},
]
CASES = [
    (kind, case)
    for kinds, own in [(WINDOWS, WINDOW_CASES), (GLOBAL, GLOBAL_CASES), (ADAPTIVE, ADAPTIVE_CASES)]
    for kind in kinds
    for case in own
]


@pytest.mark.parametrize(("kind", "arguments"), CASES, ids=str)
def test_arguments_agree_with_keras(kind, arguments):
    assert_parity(declared(kind, **arguments), shape_of(kind, data_format=arguments.get("data_format")))


@pytest.mark.parametrize(("kind", "data_format"), list(product(ALL, FORMATS)))
def test_unknown_axes_agree_with_keras(kind, data_format):
    value = declared(kind, data_format=data_format)
    assert_parity(value, shape_of(kind, lengths=(None, 8, None), data_format=data_format))
    assert_parity(value, shape_of(kind, channels=None, data_format=data_format))
    assert_parity(value, (None,) * (int(kind[-2]) + 2))


@pytest.mark.parametrize(("kind", "data_format"), list(product(ALL, FORMATS)))
@pytest.mark.parametrize("rank", range(1, 8))
def test_any_rank_agrees_with_keras(kind, data_format, rank):
    assert_parity(declared(kind, data_format=data_format), (None, *[6] * (rank - 1)), is_real=True)


@pytest.mark.parametrize(("kind", "padding"), list(product(WINDOWS, ["valid", "same"])))
@pytest.mark.parametrize("lengths", [(1, 9, 9), (9, 1, 1), (0, 3, 3)])
def test_small_inputs_agree_with_keras(kind, padding, lengths):
    assert_parity(declared(kind, padding=padding), shape_of(kind, lengths=lengths))


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("dtype", ["int32", "float64", "bool"])
def test_other_dtypes_agree_with_keras(kind, dtype):
    assert_parity(declared(kind), shape_of(kind), dtype=dtype)


@pytest.mark.parametrize("kind", ALL)
def test_defaults_are_those_of_keras(kind):
    assert_built_alike(declared(kind))


@pytest.mark.parametrize("axes", AXES)
def test_only_max_pooling_has_a_default_size(axes):
    assert_built_alike({"type": f"MaxPooling{axes}D"})
    assert_parity({"type": f"MaxPooling{axes}D"}, shape_of(f"MaxPooling{axes}D"))
    assert_parity({"type": f"AveragePooling{axes}D"}, shape_of(f"MaxPooling{axes}D"))


@pytest.mark.parametrize("kind", ADAPTIVE)
def test_adaptive_pooling_to_nothing_is_refused(kind):
    with pytest.raises(ValidationError):
        LAYERS.parse(declared(kind, output_size=0))


def test_adaptive_pooling_with_a_window_longer_than_its_input_is_refused():
    assert shape_error_with_hint({"type": "AdaptiveMaxPooling1D", "output_size": 1}, (None, 8, 3)) == (
        "AdaptiveMaxPooling1D with `output_size` 1 cannot run on its input (None, 8, 3): one of its windows is longer than "
        "the input. Use an `output_size` of at least 2, or `{type: GlobalMaxPooling1D, keepdims: true}`.",
        "output_size",
    )
    value = {"type": "AdaptiveAveragePooling2D", "output_size": [2, 3]}
    assert shape_error_with_hint(value, (None, 6, 1, 3)) == (
        "AdaptiveAveragePooling2D with `output_size` 2, 3 cannot run on its input (None, 6, 1, 3): one of its windows is "
        "longer than the input. Use fewer shrinking layers before it: it needs at least 2 positions along each axis.",
        "output_size",
    )
    assert LAYERS.parse(value).infer((Tensor((None, 6, 2, 3)),)).outputs[0].shape == (None, 2, 3, 3)


@settings(max_examples=80)
@given(st.data())
def test_any_pooling_agrees_with_keras(data):
    kind = data.draw(st.sampled_from(ALL))
    axes = int(kind[-2])
    size = st.integers(1, 6)
    sizes = size | st.lists(size, min_size=axes, max_size=axes)
    value = declared(kind, data_format=data.draw(st.sampled_from(FORMATS)))
    if kind in WINDOWS:
        value |= {
            "pool_size": data.draw(sizes),
            "strides": data.draw(st.none() | sizes),
            "padding": data.draw(st.sampled_from(["valid", "same"])),
        }
    elif kind in GLOBAL:
        value["keepdims"] = data.draw(st.booleans())
    else:
        value["output_size"] = data.draw(sizes)
    length = st.none() | st.integers(1, 30)
    lengths = data.draw(st.lists(length, min_size=axes, max_size=axes))
    channels = data.draw(length)
    assert_parity(value, shape_of(kind, channels=channels, lengths=lengths, data_format=value["data_format"]))


def test_a_pool_larger_than_the_image_is_explained():
    assert shape_error_with_hint({"type": "MaxPooling2D"}, (None, 1, 1, 64)) == (
        "MaxPooling2D has a window of 2 x 2, but its input (None, 1, 1, 64) has only 1 x 1 positions. "
        "Use a smaller `pool_size`, `padding: same`, or fewer shrinking layers before it.",
        "pool_size",
    )


def test_a_pool_on_a_partly_unknown_image_is_explained():
    message, _ = shape_error_with_hint({"type": "MaxPooling2D"}, (None, None, 1, 64))
    assert message.startswith(
        "MaxPooling2D has a window of 2 x 2, but its input (None, None, 1, 64) has only ? x 1 positions."
    )


def test_pooling_of_vectors_is_explained():
    assert shape_error_with_hint({"type": "GlobalAveragePooling2D"}, (None, 64)) == (
        "GlobalAveragePooling2D expects images of shape (batch, height, width, channels), rank 4, "
        "got (None, 64).",
        None,
    )


def test_adaptive_pooling_without_any_channel_axis_is_explained():
    value = declared("AdaptiveMaxPooling1D", data_format="channels_first")
    assert shape_error_with_hint(value, (None,)) == (
        "AdaptiveMaxPooling1D expects sequences of shape (batch, channels, steps), rank 3, got (None,).",
        None,
    )


def test_a_missing_pool_size_is_explained():
    with pytest.raises(ValidationError) as caught:
        LAYERS.parse({"type": "AveragePooling2D"})
    [error] = caught.value.errors()
    assert f"{error['msg']} {error['ctx']['hint']}" == (
        "AveragePooling2D needs `pool_size`: size of the window. Add `pool_size: 2`, for example."
    )


@pytest.mark.parametrize("kind", ALL)
def test_pooling_has_no_weights_and_no_products(kind):
    inferred = LAYERS.parse(declared(kind)).infer((Tensor(shape_of(kind)),))
    assert inferred.weights == ()
    assert inferred.multiply_adds == 0


@pytest.mark.parametrize("kind", ["MaxPooling1D", "AveragePooling1D"])
@pytest.mark.parametrize("arguments", [{"padding": "SAME"}, {"data_format": "Channels_First"}])
def test_pooling_accepts_capitals_as_in_keras(kind, arguments):
    assert_parity({"type": kind, "pool_size": 2, **arguments}, (None, 6, 4))


def test_adaptive_pooling_refuses_capitals():
    value = {"type": "AdaptiveMaxPooling1D", "output_size": 2, "data_format": "Channels_First"}
    assert_parity(value, (None, 6, 4))


@pytest.mark.parametrize(
    ("value", "shape", "argument", "span"),
    [
        (
            {"type": "MaxPooling1D", "pool_size": 1_000_001, "strides": 1},
            (None, 16, 2),
            "pool_size",
            "1000001",
        ),
        (
            {"type": "Conv1D", "filters": 2, "kernel_size": 3, "dilation_rate": 500_000},
            (None, 16, 2),
            "dilation_rate",
            "1000001",
        ),
    ],
)
def test_padded_window_has_a_largest_size(value, shape, argument, span):
    kind = value["type"]
    assert shape_error_with_hint(value | {"padding": "same"}, shape) == (
        f"The window of {kind} must have at most 1,000,000 positions with `padding: same`, got {span}. "
        f"Use a smaller `{argument}`.",
        argument,
    )
