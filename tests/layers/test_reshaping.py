from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from layercli.layers.registry import LAYERS
from layercli.layers.shapes import Tensor
from tests.layers.errors import shape_error_with_hint
from tests.layers.parity import assert_built_alike, assert_parity, static

AXES = (1, 2, 3)
PADDING = [f"ZeroPadding{axes}D" for axes in AXES]
CROPPING = [f"Cropping{axes}D" for axes in AXES]
UP_SAMPLING = [f"UpSampling{axes}D" for axes in AXES]
SPATIAL = PADDING + CROPPING + UP_SAMPLING
WITHOUT_FORMAT = ("Cropping1D", "UpSampling1D")
REQUIRED = {
    "Reshape": {"target_shape": [4, -1]},
    "Permute": {"dims": [2, 1]},
    "RepeatVector": {"n": 3},
}
ALL = ["Flatten", *REQUIRED, *SPATIAL]
FORMATS = [None, "channels_last", "channels_first"]
DTYPES = ["int32", "float64", "bool", "float16"]
SHAPES = [
    (None,),
    (None, 1),
    (None, 12),
    (None, None),
    (None, 6, 6),
    (None, 8, 5),
    (None, None, 4),
    (None, 4, None),
    (None, 2, 3, 4),
    (None, 2, None, 4),
    (None, 2, 3, 4, 5),
]


def declared(kind, **arguments):
    return {"type": kind, **REQUIRED.get(kind, {}), **arguments}


def shape_of(kind, *, channels=5, lengths=(9, 8, 7), data_format=None):
    lengths = lengths[: int(kind[-2])]
    return (None, channels, *lengths) if data_format == "channels_first" else (None, *lengths, channels)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("data_format", [*FORMATS, "no_such"])
def test_flatten_agrees_with_keras(shape, data_format):
    assert_parity(declared("Flatten", data_format=data_format), shape)


TARGETS = [[], [1], [12], [-1], [3, 4], [36], [6, -1, 2], [-1, 7], [5, 5], [24], [0], [0, -1], [2, 0]]
TARGETS += [[None], [None, 4], [None, -1], [None, None], [-1, -1], [-2, 3], 12, None]


@pytest.mark.parametrize("shape", [*SHAPES, (None, 0), (None, 0, 3)])
@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_reshape_agrees_with_keras(shape, target):
    assert_parity(declared("Reshape", target_shape=target), shape)


@pytest.mark.parametrize("target", [[2.0, 6], [True, 12], ["3", 4], "12", [2**40]])
def test_reshape_accepts_only_integers(target):
    assert isinstance(static(declared("Reshape", target_shape=target), Tensor((None, 12))), str)


ORDERS = [
    [],
    [1],
    [2, 1],
    [1, 2],
    [3, 1, 2],
    [4, 3, 2, 1],
    [0, 1],
    [1, 1],
    [1, 3],
    [-1, 1],
    [2, "1"],
    1,
    None,
]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dims", ORDERS, ids=str)
def test_permute_agrees_with_keras(shape, dims):
    assert_parity(declared("Permute", dims=dims), shape)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("n", [1, 3, 0, -1, 2.0, "3", None, True, [3]])
def test_repeat_vector_agrees_with_keras(shape, n):
    assert_parity(declared("RepeatVector", n=n), shape)


SIDES = [0, 1, 3, 4, -1, "1", None, 1.5, [1], [0, 2], [2, 1, 0], [[1, 2]], [[1, 2], [0, 3]], [1, [2, 0]]]
SIDES += [
    [[1, 2], [0, 3], [2, 2]],
    [[1, 2], 1, [2, 2]],
    [[1, 2, 3], [1, 1]],
    [[-1, 2], [1, 1]],
    [[4, 5], [0, 0]],
]
FACTORS = [1, 2, 5, 0, -1, "2", None, 1.5, True, [2], [2, 3], [2, 3, 1], [2, 0], [[1, 2], [1, 2]]]
SPATIAL_CASES = [
    *((kind, {"padding": sides}) for kind in PADDING for sides in SIDES if sides != -1),
    *((kind, {"cropping": sides}) for kind in CROPPING for sides in SIDES),
    *(
        (kind, {"size": size})
        for kind in UP_SAMPLING
        for size in FACTORS
        if size is not True or kind[-2] == "1"
    ),
    *((kind, {"data_format": data_format}) for kind in SPATIAL for data_format in [*FORMATS, "first"]),
    *((kind, {"dtype": "mixed_float16"}) for kind in SPATIAL),
    *((kind, {"padding": 1, "cropping": 1, "size": 1}) for kind in SPATIAL),
    *(
        ("UpSampling2D", {"interpolation": how})
        for how in ["nearest", "bilinear", "bicubic", "lanczos3", "area"]
    ),
    ("UpSampling2D", {"interpolation": "lanczos5", "data_format": "channels_first", "size": [3, 1]}),
    ("UpSampling1D", {"interpolation": "bilinear"}),
    ("UpSampling3D", {"interpolation": "bilinear"}),
]


@pytest.mark.parametrize(("kind", "arguments"), SPATIAL_CASES, ids=str)
def test_arguments_of_spatial_layers_agree_with_keras(kind, arguments):
    assert_parity(declared(kind, **arguments), shape_of(kind, data_format=arguments.get("data_format")))


@pytest.mark.parametrize("kind", PADDING)
def test_negative_padding_is_refused(kind):
    with pytest.raises(ValidationError, match=r"`padding` must be an integer of at least 0 or .*, got -1"):
        LAYERS.parse(declared(kind, padding=-1))


def test_an_unknown_interpolation_is_refused():
    with pytest.raises(ValidationError, match="must be one of nearest, bilinear"):
        LAYERS.parse(declared("UpSampling2D", interpolation="billinear"))


@pytest.mark.parametrize(("kind", "data_format"), list(product(SPATIAL, FORMATS)))
def test_unknown_axes_agree_with_keras(kind, data_format):
    value = declared(kind) if kind in WITHOUT_FORMAT else declared(kind, data_format=data_format)
    data_format = value.get("data_format")
    assert_parity(value, shape_of(kind, lengths=(None, 8, None), data_format=data_format))
    assert_parity(value, shape_of(kind, channels=None, data_format=data_format))
    assert_parity(value, (None,) * (int(kind[-2]) + 2))


@pytest.mark.parametrize("kind", SPATIAL)
@pytest.mark.parametrize("rank", range(1, 8))
def test_wrong_ranks_agree_with_keras(kind, rank):
    assert_parity(declared(kind), (None, *[6] * (rank - 1)))


@pytest.mark.parametrize("kind", SPATIAL)
@pytest.mark.parametrize("lengths", [(1, 1, 1), (2, 2, 2), (3, 3, 3), (9, 9, 2), (0, 3, 3)])
def test_small_inputs_agree_with_keras(kind, lengths):
    assert_parity(declared(kind), shape_of(kind, lengths=lengths))


@pytest.mark.parametrize(("kind", "dtype"), list(product(ALL, DTYPES)))
def test_other_dtypes_agree_with_keras(kind, dtype):
    shape = shape_of(kind) if kind in SPATIAL else (None, 4) if kind == "RepeatVector" else (None, 4, 3)
    assert_parity(declared(kind), shape, dtype=dtype)
    assert_parity(declared(kind, dtype="mixed_float16"), shape, dtype=dtype)
    assert_parity(declared(kind, autocast=False), shape, dtype=dtype)


@pytest.mark.parametrize("kind", ALL)
def test_defaults_are_those_of_keras(kind):
    assert_built_alike(declared(kind))


@settings(max_examples=60)
@given(st.data())
def test_any_padding_cropping_and_up_sampling_agrees_with_keras(data):
    kind = data.draw(st.sampled_from(SPATIAL))
    axes = int(kind[-2])
    value = declared(kind)
    if kind not in WITHOUT_FORMAT:
        value["data_format"] = data.draw(st.sampled_from(FORMATS))
    if kind in UP_SAMPLING:
        size = st.integers(1, 5)
        value["size"] = data.draw(size if axes == 1 else size | st.lists(size, min_size=axes, max_size=axes))
    else:
        count = st.integers(0, 4)
        pair = st.lists(count, min_size=2, max_size=2)
        several = pair if axes == 1 else st.lists(count | pair, min_size=axes, max_size=axes)
        value["padding" if kind in PADDING else "cropping"] = data.draw(count | several)
    length = st.none() | st.integers(1, 12)
    lengths = data.draw(st.lists(length, min_size=axes, max_size=axes))
    shape = shape_of(kind, channels=data.draw(length), lengths=lengths, data_format=value.get("data_format"))
    assert_parity(value, shape)


@settings(max_examples=80)
@given(
    st.lists(st.sampled_from([1, 2, 3, 4, 6, None]), max_size=4),
    st.lists(st.sampled_from([1, 2, 3, 4, 6, 12, -1, None]), max_size=4),
)
def test_any_reshape_agrees_with_keras(shape, target):
    assert_parity(declared("Reshape", target_shape=target), (None, *shape))


@settings(max_examples=40)
@given(st.integers(1, 4).flatmap(lambda rank: st.permutations(range(1, rank + 1))), st.data())
def test_any_permutation_agrees_with_keras(dims, data):
    shape = data.draw(st.lists(st.none() | st.integers(1, 9), min_size=len(dims), max_size=len(dims)))
    assert_parity(declared("Permute", dims=list(dims)), (None, *shape))


def argument_refusal(value):
    with pytest.raises(ValidationError) as caught:
        LAYERS.parse(value)
    [error] = caught.value.errors()
    return f"{error['msg']} {error['ctx']['hint'] or ''}".strip()


def test_reshape_to_a_different_size_is_explained():
    assert shape_error_with_hint(declared("Reshape", target_shape=[4, 5]), (None, 8, 8)) == (
        "Reshape cannot arrange 64 values in (4, 5): (4, 5) holds 20, and its input is (None, 8, 8). "
        "Write `target_shape: [4, 16]`, for example.",
        "target_shape",
    )


def test_reshape_without_a_one_axis_fix_is_explained():
    assert shape_error_with_hint(declared("Reshape", target_shape=[5, 7, 3]), (None, 8, 8)) == (
        "Reshape cannot arrange 64 values in (5, 7, 3): (5, 7, 3) holds 105, and its input is (None, "
        "8, 8). The axes of `target_shape` must multiply to 64; the batch axis does not count.",
        "target_shape",
    )


def test_a_computed_axis_that_does_not_divide_is_explained():
    assert shape_error_with_hint(declared("Reshape", target_shape=[-1, 3]), (None, 784, 2)) == (
        "Reshape cannot arrange 1,568 values in (-1, 3): 1,568 is not divisible by 3, and its input "
        "is (None, 784, 2). The axes of `target_shape` must multiply to 1,568; the batch axis does "
        "not count.",
        "target_shape",
    )


def test_two_computed_axes_are_explained():
    assert argument_refusal(declared("Reshape", target_shape=[-1, -1, 2])) == (
        "`target_shape` (-1, -1, 2) has -1 for 2 axes. Write -1 for at most one axis; it is computed from the others."
    )


def test_target_shape_that_is_not_a_list_is_explained():
    assert argument_refusal(declared("Reshape", target_shape=784)) == (
        "`target_shape` must be a list of integers of at least 0, one of which may be -1, got 784. "
        "For example [28, 28, 1]."
    )


def test_a_permutation_with_the_batch_axis_is_explained():
    assert argument_refusal(declared("Permute", dims=[0, 2, 1])) == (
        "`dims` must contain each of 1, 2, 3 once, in any order, got [0, 2, 1]. Count axes from 1; "
        "axis 0, the batch, stays first and is not listed."
    )


def test_a_permutation_of_too_few_axes_is_explained():
    assert shape_error_with_hint(declared("Permute"), (None, 8, 8, 3)) == (
        "Permute with `dims` [2, 1] expects inputs of 2 axes after the batch, got (None, 8, 8, 3). "
        "List 3 in `dims`, such as [3, 2, 1].",
        "dims",
    )


def test_cropping_everything_is_explained():
    assert shape_error_with_hint(declared("Cropping2D", cropping=[[2, 2], [0, 0]]), (None, 4, 9, 1)) == (
        "Cropping2D removes 2 + 2 positions of an axis of 4, which leaves nothing: its input is "
        "(None, 4, 9, 1). Crop fewer positions than the axis has.",
        "cropping",
    )


def test_a_sequence_for_repeat_vector_is_explained():
    assert shape_error_with_hint(declared("RepeatVector"), (None, 5, 6)) == (
        "RepeatVector expects vectors of shape (batch, features), rank 2, got (None, 5, 6).",
        None,
    )


@pytest.mark.parametrize("value", [1, [1, 2], [[1, 2], [3, 4]]])
def test_padding_round_trips(value):
    layer = LAYERS.parse(declared("ZeroPadding2D", padding=value))
    written = layer.to_plain()
    assert LAYERS.parse(written) == layer
    assert isinstance(written["padding"], list)


@pytest.mark.parametrize("kind", ALL)
def test_reshaping_has_no_weights_and_no_products(kind):
    shape = shape_of(kind) if kind in SPATIAL else (None, 4) if kind == "RepeatVector" else (None, 4, 3)
    inferred = LAYERS.parse(declared(kind)).infer((Tensor(shape),))
    assert inferred.weights == ()
    assert inferred.multiply_adds == 0


def test_interpolation_may_be_in_capitals_as_in_keras():
    assert_parity({"type": "UpSampling2D", "interpolation": "BILINEAR"}, (None, 3, 4, 2))
