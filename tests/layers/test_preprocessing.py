import keras
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layercli.layers.registry import LAYERS
from layercli.layers.shapes import RankError, ShapeError, Tensor
from tests.layers.errors import argument_error
from tests.layers.parity import assert_built_alike, assert_parity, static

REQUIRED = {
    "Rescaling": {"scale": 0.5},
    "Normalization": {},
    "Resizing": {"height": 4, "width": 5},
    "CenterCrop": {"height": 4, "width": 5},
    "Discretization": {"num_bins": 3},
    "CategoryEncoding": {"num_tokens": 3},
    "Hashing": {"num_bins": 3},
    "HashedCrossing": {"num_bins": 3},
    "IntegerLookup": {},
    "StringLookup": {},
    "TextVectorization": {},
    "MelSpectrogram": {},
    "STFTSpectrogram": {},
}
SHAPES = [(None,), (None, 1), (None, 4), (None, None), (None, 4, 1), (None, 1, 4), (None, 2, 3, 4)]


def check(kind, arguments, shapes=SHAPES, dtype="float32"):
    for shape in shapes:
        assert_parity({"type": kind} | arguments, shape, dtype=dtype)


@pytest.mark.parametrize("kind", REQUIRED)
def test_defaults_are_those_of_keras(kind):
    assert_built_alike({"type": kind} | REQUIRED[kind])


@pytest.mark.parametrize(
    "kind", sorted(set(REQUIRED) - {"HashedCrossing", "StringLookup", "IntegerLookup", "Discretization"})
)
@pytest.mark.parametrize(
    "arguments",
    [
        {"trainable": False},
        {"autocast": False},
        {"dtype": "mixed_float16"},
        {"dtype": "float64"},
        {"activity_regularizer": "l2"},
    ],
    ids=str,
)
def test_shared_arguments_agree_with_keras(kind, arguments):
    if kind == "Hashing":
        arguments |= {"output_mode": "one_hot"}
    shape = {"STFTSpectrogram": (None, 999, 2), "Resizing": (None, 8, 8, 3), "CenterCrop": (None, 8, 8, 3)}
    assert_parity({"type": kind} | REQUIRED[kind] | arguments, shape.get(kind, (None, 4)))


@pytest.mark.parametrize("scale", [2, 0.5, [1.0, 2.0, 3.0], "a", None, [[1.0], [1.0, 2.0]]])
def test_rescaling_agrees_with_keras(scale):
    ours = static({"type": "Rescaling", "scale": scale}, Tensor((None, 4)))
    if isinstance(scale, (int, float)):
        check("Rescaling", {"scale": scale, "offset": scale})
    else:
        assert isinstance(ours, str)


@pytest.mark.parametrize(
    ("scale", "shape", "fits"),
    [
        ([1.0, 2.0, 3.0], (None, 3), True),
        ([1.0, 2.0, 3.0], (None, 8, None), True),
        ([[1.0], [2.0]], (None, 2, 3), True),
        ([5.0], (None, 4), True),
        ([1.0, 2.0, 3.0], (None, 4), False),
        ([[1.0], [2.0]], (None, 3, 3), False),
        (3.5e38, (None, 4), False),
    ],
)
def test_rescaling_fits_its_input_as_in_keras(scale, shape, fits):
    layer = keras.layers.Rescaling(scale)
    x = keras.ops.ones([2, *(dim or 3 for dim in shape[1:])])
    if fits:
        assert_parity({"type": "Rescaling", "scale": scale}, shape)
        assert layer(x).shape == x.shape
        return
    ours = static({"type": "Rescaling", "scale": scale}, Tensor(shape))
    assert isinstance(ours, str)
    with pytest.raises(Exception, match=r"out of range|Incompatible shapes"):
        layer(x)


@pytest.mark.parametrize("axis", [-1, 1, 0, 3, -4, None, [], [1], [1, 2], [2, 1], [-1, -1], [1, -1], [0]])
def test_normalization_axes_agree_with_keras(axis):
    check("Normalization", {"axis": axis}, [*SHAPES, (None, None, 3), (None, 4, 3), (None, 3, None)])


ONES = [1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    "mean", [None, 1, 2.5, [], [1.0], [1.0, 2.0], ONES, [ONES], [ONES] * 4, [[1.0]] * 4, [1.0] * 4]
)
@pytest.mark.parametrize("axis", [-1, None, [1, 2], [2, 1], [1, 1]])
def test_explicit_mean_agrees_with_keras(mean, axis):
    for shape in [(None, 4, 3), (None, None, 3), (None, 3)]:
        assert_parity({"type": "Normalization", "axis": axis, "mean": mean, "variance": mean}, shape)


@pytest.mark.parametrize(
    "arguments",
    [
        {"mean": 1.0},
        {"variance": 1.0},
        {"mean": [1.0], "variance": 1.0},
        {"mean": ONES, "variance": [1.0]},
        {"invert": True},
    ],
    ids=str,
)
def test_normalization_agrees_with_keras_on_arguments(arguments):
    check("Normalization", arguments)


@settings(max_examples=60)
@given(
    st.lists(st.none() | st.integers(1, 3), max_size=3),
    st.none() | st.integers(-4, 4) | st.lists(st.integers(-4, 4), max_size=3),
    st.sampled_from([None, 1.0, [1.0], [1.0, 2.0], ONES, [[1.0, 2.0]]]),
)
def test_any_normalization_agrees_with_keras(shape, axis, mean):
    assert_parity({"type": "Normalization", "axis": axis, "mean": mean, "variance": mean}, (None, *shape))


@pytest.mark.parametrize("kind", ["Resizing", "CenterCrop"])
@pytest.mark.parametrize("data_format", [None, "channels_last", "channels_first", "nope"])
@pytest.mark.parametrize("dtype", [None, "float16", "mixed_float16", "uint8", "int32"])
def test_images_are_resized_as_in_keras(kind, data_format, dtype):
    arguments = REQUIRED[kind] | {"data_format": data_format, "dtype": dtype}
    check(kind, arguments, [(None, 8, 9, 3), (None, 2, 2, 3), (None, None, None, 1), (None, 3, None, None)])
    check(kind, arguments, [(None, 8, 9, 3)], dtype="uint8")


@pytest.mark.parametrize(
    "arguments",
    [{"interpolation": name} for name in ("bilinear", "nearest", "bicubic", "lanczos3", "lanczos5", "area")]
    + [
        {"crop_to_aspect_ratio": True},
        {"pad_to_aspect_ratio": True},
        {"antialias": True},
        {"fill_value": 1},
        {"height": -1},
        {"height": 40},
        {"factor": 0.5},
    ],
    ids=str,
)
def test_resizing_agrees_with_keras_on_arguments(arguments):
    check("Resizing", REQUIRED["Resizing"] | arguments, [(None, 8, 9, 3)])


@pytest.mark.parametrize("kind", ["Resizing", "CenterCrop"])
@pytest.mark.parametrize("shape", [(None,), (None, 8), (None, 8, 8), (None, 2, 8, 8, 3)])
def test_non_image_batches_are_refused(kind, shape):
    with pytest.raises(RankError):
        LAYERS.parse({"type": kind} | REQUIRED[kind]).infer((Tensor(shape),))


MODES = ["int", "one_hot", "multi_hot", "count", "nope"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", [None, "float16", "mixed_float16", "int32", "int64"])
@pytest.mark.parametrize("kind", ["Discretization", "CategoryEncoding", "Hashing"])
def test_categories_agree_with_keras(kind, mode, dtype):
    arguments = REQUIRED[kind] | {"output_mode": mode} | ({"dtype": dtype} if dtype else {})
    for given_dtype in ("float32", "int32", "string"):
        check(kind, arguments, dtype=given_dtype)


@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "kind", ["Discretization", "CategoryEncoding", "Hashing", "StringLookup", "IntegerLookup"]
)
def test_sparse_outputs_agree_with_keras(kind, mode, sparse):
    check(kind, REQUIRED[kind] | {"output_mode": mode, "sparse": sparse}, [(None, 4)])


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"bin_boundaries": [0.0, 1.0]},
        {"bin_boundaries": []},
        {"num_bins": -1},
        {"num_bins": 3, "epsilon": 0.1},
        {"num_bins": 3, "bin_boundaries": [0.0]},
        {"num_bins": 3, "trainable": False},
    ],
    ids=str,
)
@pytest.mark.parametrize("mode", ["int", "one_hot", "multi_hot"])
def test_bins_agree_with_keras(arguments, mode):
    check("Discretization", arguments | {"output_mode": mode})


@pytest.mark.parametrize(
    "arguments",
    [
        {"salt": 3},
        {"salt": [1, 2]},
        {"salt": [1, 2, 3]},
        {"salt": "a"},
        {"mask_value": ""},
        {"mask_value": 3},
        {"num_bins": 0},
        {"num_bins": None},
    ],
    ids=str,
)
def test_hashing_agrees_with_keras_on_arguments(arguments):
    check("Hashing", REQUIRED["Hashing"] | arguments, dtype="string")


@pytest.mark.parametrize(
    "shapes",
    [
        [(None,), (None,)],
        [(None, 1), (None, 1)],
        [(None, 2), (None, 2)],
        [(None, 1), (None, 2)],
        [(None,)],
        [(None,)] * 3,
        [(None, 1), (None,)],
        [(None, 1), (None, 1, 1)],
        [(None, None), (None, None)],
        [(None, None), (None, 1)],
    ],
)
@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"output_mode": "one_hot"},
        {"output_mode": "multi_hot"},
        {"dtype": "int32"},
        {"sparse": True},
        {"dtype": "mixed_float16", "output_mode": "one_hot"},
    ],
    ids=str,
)
def test_crossing_agrees_with_keras(shapes, arguments):
    assert_parity({"type": "HashedCrossing", "num_bins": 5} | arguments, *shapes, dtype="int32")


@pytest.mark.parametrize("kind", ["CategoryEncoding", "Hashing"])
@pytest.mark.parametrize("mode", ["one_hot", "multi_hot", "count"])
@pytest.mark.parametrize("shape", [(None, 0), (None, 5, 5, 1), (None, None, 1)])
def test_unusual_shapes_agree_with_keras(kind, mode, shape):
    check(kind, REQUIRED[kind] | {"output_mode": mode}, [shape], "int32")


def test_a_mean_without_a_variance_is_explained():
    message, hint, _ = argument_error({"type": "Normalization", "mean": 0.5})
    assert message == "`variance` is required if `mean` is set."
    assert hint == "Add `variance`, or remove `mean` to compute both from data."


def test_unsorted_bins_are_explained():
    assert argument_error({"type": "Discretization", "bin_boundaries": [2.0, 1.0]}) == (
        "`bin_boundaries` must be in ascending order.",
        "Sort them.",
        ("bin_boundaries",),
    )


def test_cropping_and_padding_at_once_is_explained():
    value = {
        "type": "Resizing",
        "height": 4,
        "width": 4,
        "crop_to_aspect_ratio": True,
        "pad_to_aspect_ratio": True,
    }
    assert argument_error(value)[0] == "Resizing cannot both crop and pad to keep the aspect ratio."


def test_mean_with_wrong_channel_count_is_explained():
    with pytest.raises(ShapeError) as caught:
        LAYERS.parse({"type": "Normalization", "mean": [0.5, 0.5], "variance": [1.0, 1.0]}).infer(
            (Tensor((None, 8, 8, 3)),)
        )
    assert str(caught.value) == (
        "`mean` must fit the normalized axes (3,) of (None, 8, 8, 3), got shape (2,)."
    )
    assert caught.value.hint == "Use one mean, or one for each index along the axis."


def test_an_image_without_channels_is_explained():
    with pytest.raises(RankError) as caught:
        LAYERS.parse({"type": "Resizing", "height": 4, "width": 4}).infer((Tensor((None, 28, 28)),))
    assert str(caught.value) == (
        "Resizing expects images of shape (batch, height, width, channels), rank 4, got (None, 28, 28)."
    )


def test_arithmetic_is_explained():
    message, hint, _ = argument_error({"type": "Rescaling", "scale": "1/255"})
    assert message == '`scale` must be a number or a list of numbers, got the string "1/255".'
    assert hint == "Write 0.00392156862745098: a config can calculate only with integers."


def test_a_fraction_of_a_category_is_explained():
    message, _, _ = argument_error({"type": "Hashing", "num_bins": 3, "mask_value": 1.5})
    assert message == "`mask_value` must be an integer or a string, got 1.5."
