from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from layercli.layers.registry import LAYERS
from layercli.layers.shapes import Tensor
from tests.layers.errors import shape_error_with_hint
from tests.layers.parity import assert_built_alike, assert_parity, static

CONV = ["Conv1D", "Conv2D", "Conv3D"]
TRANSPOSED = ["Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"]
DEPTHWISE = ["DepthwiseConv1D", "DepthwiseConv2D"]
SEPARABLE = ["SeparableConv1D", "SeparableConv2D"]
ALL = CONV + TRANSPOSED + DEPTHWISE + SEPARABLE
FORMATS = ["channels_last", "channels_first"]

LENGTHS = (9, 8, 7)


def declared(kind, **arguments):
    filters = {} if kind in DEPTHWISE else {"filters": 4}
    return {"type": kind, **filters, "kernel_size": 3, **arguments}


def axes_of(kind):
    return int(kind.split("D")[-2][-1])


def shape_of(kind, *, channels=6, lengths=LENGTHS, data_format=None):
    lengths = lengths[: axes_of(kind)]
    return (None, channels, *lengths) if data_format == "channels_first" else (None, *lengths, channels)


COMMON = [
    {},
    {"data_format": "channels_first"},
    {"padding": "same"},
    {"padding": "same", "strides": 2},
    {"padding": "same", "strides": 3, "data_format": "channels_first"},
    {"strides": 2},
    {"dilation_rate": 2},
    {"dilation_rate": 2, "padding": "same"},
    {"dilation_rate": 2, "strides": 2},
    {"padding": "causal"},
    {"padding": "full"},
    {"padding": None},
    {"use_bias": False},
    {"kernel_size": 1},
    {"kernel_size": 7},
    {"kernel_size": 8},
    {"kernel_size": 0},
    {"kernel_size": -1},
    {"kernel_size": [2, 3]},
    {"kernel_size": [2]},
    {"kernel_size": [2, 3, 1]},
    {"kernel_size": "3"},
    {"kernel_size": None},
    {"strides": 0},
    {"strides": [1, 2]},
    {"strides": [2, 1, 3]},
    {"dilation_rate": [1, 2]},
    {"dilation_rate": 0},
    {"data_format": "channels"},
    {"activation": "relu"},
    {"activation": "no_such"},
    {"trainable": False},
    {"dtype": "mixed_float16"},
    {"dtype": "float64", "autocast": False},
    {"activity_regularizer": "L2"},
    {"no_such": 1},
]
CONV_OWN = [
    {"filters": 0},
    {"filters": -4},
    {"groups": 0},
    {"groups": 2},
    {"groups": 2, "data_format": "channels_first"},
    {"groups": 3},
    {"groups": 4},
    {"groups": 4, "filters": 8},
    {"lora_rank": 2},
    {"lora_rank": 2, "lora_alpha": 3.0, "groups": 2, "use_bias": False},
    {"lora_rank": 2, "kernel_constraint": "NonNeg"},
    {"kernel_constraint": "NonNeg"},
    {"padding": "causal", "data_format": "channels_first"},
    {"padding": "causal", "strides": 2},
    {"padding": "causal", "dilation_rate": 3},
]
TRANSPOSED_OWN = [
    {"filters": 0},
    {"strides": 3, "output_padding": 0},
    {"strides": 3, "output_padding": 2},
    {"strides": 3, "output_padding": 2, "padding": "same"},
    {"strides": 3, "output_padding": 3},
    {"strides": 3, "output_padding": -1},
    {"strides": 3, "output_padding": [1, 0]},
    {"strides": 3, "output_padding": [1, 0, 2]},
    {"output_padding": 0},
    {"output_padding": 0, "padding": "same", "dilation_rate": 2},
    {"output_padding": 1},
    {"strides": 5},
    {"strides": 5, "padding": "same", "data_format": "channels_first"},
    {"groups": 2},
    {"lora_rank": 2},
]
DEPTHWISE_OWN = [
    {"depth_multiplier": 3},
    {"depth_multiplier": 3, "data_format": "channels_first"},
    {"depth_multiplier": 0},
    {"filters": 3},
]
SEPARABLE_OWN = [
    {"filters": 0},
    {"depth_multiplier": 3},
    {"depth_multiplier": 3, "data_format": "channels_first", "use_bias": False},
    {"depth_multiplier": 0},
]
CASES = [
    (kind, case)
    for kinds, own in [
        (CONV, CONV_OWN),
        (TRANSPOSED, TRANSPOSED_OWN),
        (DEPTHWISE, DEPTHWISE_OWN),
        (SEPARABLE, SEPARABLE_OWN),
    ]
    for kind in kinds
    for case in COMMON + own
]


@pytest.mark.parametrize(("kind", "arguments"), CASES, ids=str)
def test_arguments_agree_with_keras(kind, arguments):
    assert_parity(declared(kind, **arguments), shape_of(kind, data_format=arguments.get("data_format")))


@pytest.mark.parametrize(("kind", "padding", "data_format"), list(product(ALL, ["valid", "same"], FORMATS)))
def test_unknown_axes_agree_with_keras(kind, padding, data_format):
    value = declared(kind, padding=padding, data_format=data_format)
    assert_parity(value, shape_of(kind, lengths=(None, 8, None), data_format=data_format))
    assert_parity(value, shape_of(kind, channels=None, data_format=data_format))


@pytest.mark.parametrize(("kind", "data_format"), list(product(ALL, FORMATS)))
@pytest.mark.parametrize("rank", range(1, 8))
def test_wrong_ranks_agree_with_keras(kind, data_format, rank):
    assert_parity(declared(kind, data_format=data_format), (None, *[6] * (rank - 1)))


@pytest.mark.parametrize(("kind", "padding"), list(product(ALL, ["valid", "same"])))
@pytest.mark.parametrize("lengths", [(2, 9, 9), (9, 2, 2), (1, 1, 1), (0, 5, 5)])
def test_small_inputs_agree_with_keras(kind, padding, lengths):
    assert_parity(declared(kind, padding=padding), shape_of(kind, lengths=lengths))


@pytest.mark.parametrize("kind", TRANSPOSED)
@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("lengths", [(1, 1, 1), (0, 2, 2)])
def test_short_outputs_of_transposed_convolutions_agree_with_keras(kind, padding, lengths):
    value = declared(kind, kernel_size=2, strides=3, output_padding=0, padding=padding)
    assert_parity(value, shape_of(kind, lengths=lengths))


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("dtype", ["int32", "float64", "bool"])
def test_other_dtypes_agree_with_keras(kind, dtype):
    assert_parity(declared(kind), shape_of(kind), dtype=dtype)


@pytest.mark.parametrize("kind", ALL)
def test_defaults_are_those_of_keras(kind):
    assert_built_alike(declared(kind))


def test_lora_is_built_as_in_keras():
    assert_built_alike(declared("Conv2D", lora_rank=2, lora_alpha=4.0))


@settings(max_examples=100)
@given(st.data())
def test_any_convolution_agrees_with_keras(data):
    kind = data.draw(st.sampled_from(ALL))
    axes = axes_of(kind)

    def sizes(low, high):
        one = st.integers(low, high)
        return data.draw(one | st.lists(one, min_size=axes, max_size=axes))

    value = declared(
        kind,
        kernel_size=sizes(1, 5),
        strides=sizes(1, 4),
        dilation_rate=sizes(1, 3) if data.draw(st.booleans()) else 1,
        padding=data.draw(st.sampled_from(["valid", "same"] + ["causal"] * (kind == "Conv1D"))),
        data_format=data.draw(st.sampled_from([None, *FORMATS])),
        use_bias=data.draw(st.booleans()),
    )
    if kind in CONV:
        value |= {"groups": data.draw(st.integers(1, 3)), "filters": data.draw(st.integers(1, 6))}
    if kind in TRANSPOSED and data.draw(st.booleans()):
        value["output_padding"] = sizes(0, 2)
    if kind in DEPTHWISE + SEPARABLE:
        value["depth_multiplier"] = data.draw(st.integers(1, 3))
    length = st.none() | st.integers(1, 40)
    lengths = data.draw(st.lists(length, min_size=axes, max_size=axes))
    channels = data.draw(st.integers(1, 6))
    assert_parity(value, shape_of(kind, channels=channels, lengths=lengths, data_format=value["data_format"]))


def cost(value, shape):
    return LAYERS.parse(value).infer((Tensor(shape),)).multiply_adds


@pytest.mark.parametrize(
    ("value", "shape", "expected"),
    [
        (declared("Conv2D", filters=32), (None, 8, 8, 1), 6 * 6 * 9 * 32),
        (declared("Conv2D", filters=32, data_format="channels_first"), (None, 1, 8, 8), 6 * 6 * 9 * 32),
        (declared("Conv2D", filters=32, padding="same", strides=2), (None, 8, 8, 3), 4 * 4 * 9 * 3 * 32),
        (declared("Conv2D", filters=8, groups=4), (None, 8, 8, 4), 6 * 6 * 9 * 4 * 8 // 4),
        (declared("Conv1D", filters=8, padding="causal"), (None, 10, 4), 10 * 3 * 4 * 8),
        (declared("Conv3D", filters=2), (None, 4, 4, 4, 3), 8 * 27 * 3 * 2),
        (declared("Conv2DTranspose", filters=5, strides=2), (None, 4, 4, 3), 4 * 4 * 9 * 3 * 5),
        (declared("DepthwiseConv2D", depth_multiplier=2), (None, 8, 8, 3), 6 * 6 * 9 * 3 * 2),
        (declared("SeparableConv2D", filters=16), (None, 8, 8, 3), 6 * 6 * 9 * 3 + 6 * 6 * 3 * 16),
        (declared("Conv2D"), (None, None, 8, 1), None),
        (declared("Conv2DTranspose"), (None, None, 8, 1), None),
        (declared("DepthwiseConv1D"), (None, None, 8), None),
        (declared("SeparableConv1D"), (None, None, 8), None),
    ],
)
def test_multiply_adds_are_counted_for_each_position(value, shape, expected):
    assert cost(value, shape) == expected


def test_known_cost_of_a_small_convolution():
    assert cost(declared("Conv2D", filters=32), (None, 8, 8, 1)) == 10368


def test_weights_are_named_in_the_order_of_keras():
    weights = LAYERS.parse(declared("SeparableConv2D")).infer((Tensor((None, 8, 8, 3)),)).weights
    assert [weight.name for weight in weights] == ["depthwise_kernel", "pointwise_kernel", "bias"]


def argument_refusal(value):
    with pytest.raises(ValidationError) as caught:
        LAYERS.parse(value)
    [error] = caught.value.errors()
    return error["loc"], f"{error['msg']} {error['ctx']['hint'] or ''}".strip()


def test_images_without_channels_are_reported():
    assert shape_error_with_hint(declared("Conv2D"), (None, 28, 28)) == (
        "Conv2D expects images of shape (batch, height, width, channels), rank 4, got (None, 28, 28).",
        None,
    )


def test_rank_error_names_the_channel_axis():
    assert shape_error_with_hint(declared("Conv2D", data_format="channels_first"), (None, 28, 28)) == (
        "Conv2D expects images of shape (batch, channels, height, width), rank 4, got (None, 28, 28).",
        None,
    )


def test_a_window_larger_than_the_image_is_explained():
    assert shape_error_with_hint(declared("Conv2D"), (None, 2, 9, 1)) == (
        "Conv2D has a window of 3 x 3, but its input (None, 2, 9, 1) has only 2 x 9 positions. "
        "Use a smaller `kernel_size`, `padding: same`, or fewer shrinking layers before it.",
        "kernel_size",
    )


def test_a_dilated_window_larger_than_the_sequence_is_explained():
    assert shape_error_with_hint(declared("Conv1D", dilation_rate=4), (None, 8, 1)) == (
        "Conv1D has a window of 3, dilated to 9, but its input (None, 8, 1) has only 8 positions. "
        "Use a smaller `kernel_size`, `padding: same`, or fewer shrinking layers before it.",
        "kernel_size",
    )


def test_channels_that_do_not_divide_into_groups_are_explained():
    assert shape_error_with_hint(declared("Conv2D", groups=2), (None, 8, 8, 3)) == (
        "Conv2D splits the 3 channels of its input into 2 groups, but 3 is not divisible by 2. "
        "Use `groups: 1`.",
        "groups",
    )


def test_filters_that_do_not_divide_into_groups_are_explained():
    assert argument_refusal(declared("Conv2D", filters=32, groups=3)) == (
        ("groups",),
        "Conv2D divides 32 filters into 3 groups, but 32 is not divisible by 3. Use `groups: 1`, "
        "or `filters: 30`.",
    )


def test_strides_with_dilation_are_explained():
    assert argument_refusal(declared("Conv2D", strides=2, dilation_rate=[1, 2])) == (
        ("dilation_rate",),
        "Conv2D accepts `strides` or `dilation_rate` above 1, not both, got 2 x 2 and 1 x 2. "
        "Remove `dilation_rate`, or `strides`.",
    )


def test_output_padding_without_strides_is_explained():
    assert argument_refusal(declared("Conv2DTranspose", output_padding=1)) == (
        ("output_padding",),
        "`output_padding` must be below `strides` along each axis, got 1 x 1 with strides 1 x 1. "
        "Remove `output_padding`, or use larger strides.",
    )


def test_lora_with_a_constraint_is_refused():
    location, _ = argument_refusal(declared("Conv1D", lora_rank=2, kernel_constraint="NonNeg"))
    assert location == ("kernel_constraint",)


def test_sizes_for_another_number_of_axes_are_explained():
    assert argument_refusal(declared("Conv2D", kernel_size=[3])) == (
        ("kernel_size",),
        "`kernel_size` must be a positive integer or a list of 2 positive integers, got [3] of length 1. "
        "For example [3, 3], one integer for each axis.",
    )


def test_missing_filters_are_explained():
    assert argument_refusal({"type": "Conv2D", "kernel_size": 3}) == (
        ("filters",),
        "Conv2D needs `filters`: number of channels of the output. Add `filters: 32`, for example.",
    )


def test_misspelt_argument_is_recognized():
    assert argument_refusal(declared("Conv2D", kernel=3)) == (
        ("kernel",),
        'Conv2D has no argument "kernel". Did you mean `kernel_size`?',
    )


def test_empty_inputs_of_transposed_convolutions_are_explained():
    value = declared("Conv1DTranspose", kernel_size=1, strides=3, output_padding=0)
    assert isinstance(static(value, Tensor((None, 0, 2))), str)
    assert shape_error_with_hint(value, (None, 0, 2))[0] == (
        "The output of Conv1DTranspose is empty: its input is (None, 0, 2). Give every axis of its "
        "input a positive length."
    )


@pytest.mark.parametrize(
    "kind", ["Conv1D", "Conv1DTranspose", "DepthwiseConv1D", "SeparableConv1D", "ConvLSTM1D"]
)
@pytest.mark.parametrize(
    "arguments", [{"padding": "SAME"}, {"padding": "Valid"}, {"data_format": "Channels_First"}]
)
def test_padding_and_data_format_may_be_in_capitals_as_in_keras(kind, arguments):
    filters = {} if kind == "DepthwiseConv1D" else {"filters": 2}
    shape = (None, 3, 6, 4) if kind == "ConvLSTM1D" else (None, 6, 4)
    assert_parity({"type": kind, **filters, "kernel_size": 2, **arguments}, shape)
