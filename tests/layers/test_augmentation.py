import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from layercli.layers.registry import LAYERS
from layercli.layers.shapes import RankError, ShapeError, Tensor
from tests.layers.parity import assert_built_alike, assert_parity, ran, static

KINDS = [
    kind
    for kind, module in LAYERS.modules.items()
    if module in ("augmentation", "colors") and kind != "Pipeline"
]
REQUIRED = {
    "MaxNumBoundingBoxes": {"max_number": 5},
    "RandomBrightness": {"factor": 0.2},
    "RandomColorDegeneration": {"factor": 0.2},
    "RandomContrast": {"factor": 0.2},
    "RandomCrop": {"height": 4, "width": 5},
    "RandomHue": {"factor": 0.2},
    "RandomPosterization": {"factor": 4},
    "RandomRotation": {"factor": 0.2},
    "RandomSaturation": {"factor": 0.2},
    "RandomSharpness": {"factor": 0.2},
    "RandomTranslation": {"height_factor": 0.2, "width_factor": 0.1},
    "RandomZoom": {"height_factor": 0.2},
}
SHAPES = [(None, 8, 8, 3), (None, None, None, 3), (None, 3, 8, 8), (None, 8, 8, 1), (None, None, None, None)]
NUMBERS = [
    0,
    0.5,
    1,
    1.0,
    4,
    8,
    8.5,
    -0.5,
    -1,
    -1.0,
    -1.5,
    [0, 1],
    [0.1, 0.5],
    [0.5, 0.1],
    [-0.5, 0.5],
    [0.5, 2.0],
    [2.0, 3.0],
    [-3.0, -2.0],
    [1, 8],
    [0.1],
    [0.1, 0.2, 0.3],
    "0.1",
]
FACTORS = {
    ("factor",): NUMBERS,
    ("scale",): NUMBERS,
    ("sigma",): NUMBERS,
    ("height_factor",): NUMBERS,
    ("width_factor",): [*NUMBERS, None],
    ("x_factor",): NUMBERS,
    ("y_factor",): NUMBERS,
    ("addition_factor",): NUMBERS,
    ("threshold_factor",): NUMBERS,
    ("brightness_factor",): [*NUMBERS, None],
    ("contrast_factor",): [*NUMBERS, None],
    ("saturation_factor",): [*NUMBERS, None],
    ("hue_factor",): [*NUMBERS, None],
    ("kernel_size",): [1, 3, 5, 2, [3, 5], [3, 4], [3], [3, 5, 7]],
    ("value_range",): [[0, 1], [-1, 1], [0.0, 255.0], [255, 0]],
    ("interpolation",): ["bilinear", "nearest"],
    ("fill_mode",): ["reflect", "wrap", "constant", "nearest", "nope"],
    ("fill_value",): [0, 1],
    ("data_format",): ["channels_last", "channels_first", None, "nope"],
    ("seed",): [3, None],
    ("mode",): ["horizontal", "vertical", "horizontal_and_vertical"],
    ("alpha",): [0.5],
    ("all_ops",): [True, False],
    ("tile_grid_size",): [[4, 4]],
    ("trainable",): [False],
    ("dtype",): ["float16", "mixed_float16", "uint8", "int32"],
    ("autocast",): [False],
}


def cases():
    for kind in KINDS:
        taken = LAYERS.load(kind).model_fields
        for (name,), values in FACTORS.items():
            if name in taken:
                yield from ({"type": kind} | REQUIRED.get(kind, {}) | {name: value} for value in values)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["float32", "uint8", "int32", "float16"])
def test_augmentation_agrees_with_keras_on_shapes(kind, dtype):
    for shape in SHAPES:
        assert_parity({"type": kind} | REQUIRED.get(kind, {}), shape, dtype=dtype)


@pytest.mark.parametrize("value", list(cases()), ids=str)
def test_augmentation_agrees_with_keras_on_arguments(value):
    assert_parity(value, (None, 8, 8, 3))


@pytest.mark.parametrize("kind", KINDS)
def test_required_arguments_are_those_of_keras(kind):
    assert_parity({"type": kind}, (None, 8, 8, 3))


@pytest.mark.parametrize("kind", KINDS)
def test_defaults_are_those_of_keras(kind):
    # RandomCrop draws a seed of its own where it is given none.
    seed = {"seed": 3} if kind == "RandomCrop" else {}
    assert_built_alike({"type": kind} | REQUIRED.get(kind, {}) | seed)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(None,), (None, 8), (None, 8, 8), (None, 2, 8, 8, 3)])
def test_non_image_batches_are_refused(kind, shape):
    with pytest.raises(RankError, match="expects images of shape"):
        LAYERS.parse({"type": kind} | REQUIRED.get(kind, {})).infer((Tensor(shape),))


@settings(max_examples=50)
@given(
    st.sampled_from(["RandomRotation", "RandomZoom", "RandomShear", "RandomContrast", "RandomPosterization"]),
    st.floats(-2, 9) | st.lists(st.floats(-2, 9), min_size=1, max_size=3),
)
def test_any_factor_agrees_with_keras(kind, factor):
    name = {"RandomZoom": "height_factor", "RandomShear": "x_factor"}.get(kind, "factor")
    assert_parity({"type": kind, name: factor}, (None, 8, 8, 3))


@pytest.mark.parametrize(
    "layers",
    [
        [{"type": "RandomFlip"}],
        [
            {"type": "RandomFlip"},
            {"type": "RandomRotation", "factor": 0.1},
            {"type": "Rescaling", "scale": 0.5},
        ],
        [{"type": "Resizing", "height": 4, "width": 4}, {"type": "Flatten"}, {"type": "Dense", "units": 2}],
        [{"type": "Dense", "units": 2, "trainable": False}],
    ],
    ids=str,
)
def test_pipeline_agrees_with_keras(layers):
    assert_parity({"type": "Pipeline", "layers": layers}, (None, 8, 8, 3))


def test_pipeline_is_built_as_keras_builds_it():
    assert_built_alike({"type": "Pipeline", "layers": [{"type": "Rescaling", "scale": 0.5}]})


@pytest.mark.parametrize("value", [{}, {"layers": []}, {"layers": ["RandomFlip"], "dtype": "float16"}])
def test_pipeline_without_layers_or_with_a_dtype_is_refused(value):
    assert isinstance(static({"type": "Pipeline"} | value, Tensor((None, 8, 8, 3))), str)


def test_a_mistake_inside_a_pipeline_is_explained():
    with pytest.raises(ValidationError) as caught:
        LAYERS.parse({"type": "Pipeline", "layers": ["RandomFlip", {"type": "RandomRotation", "factor": 90}]})
    (error,) = caught.value.errors()
    assert error["loc"] == ("layers", 1, "factor")
    assert error["msg"] == "`factor` must be a number between -1 and 1 or a list of 2 (least, most), got 90."


def test_gray_images_where_color_is_needed_are_explained():
    with pytest.raises(ShapeError) as caught:
        LAYERS.parse({"type": "RandomColorDegeneration", "factor": 0.5}).infer((Tensor((None, 8, 8, 1)),))
    assert (
        str(caught.value)
        == "RandomColorDegeneration expects images of 3 channels, got (None, 8, 8, 1) with 1."
    )


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((None, 4), 4 * 3 + 3 * 2), ((None, 5, 4), 5 * (4 * 3 + 3 * 2)), ((None, None, 4), None)],
)
def test_pipeline_sums_the_multiply_adds_of_its_layers(shape, expected):
    layers = [{"type": "Dense", "units": 3}, {"type": "Dropout", "rate": 0.5}, {"type": "Dense", "units": 2}]
    inferred = LAYERS.parse({"type": "Pipeline", "layers": layers}).infer((Tensor(shape),))
    assert inferred.multiply_adds == expected
    assert [(weight.shape, weight.trainable) for weight in inferred.weights] == [
        ((4, 3), True),
        ((3,), True),
        ((3, 2), True),
        ((2,), True),
    ]


@pytest.mark.parametrize("kind", ["RandomTranslation", "RandomZoom"])
@pytest.mark.parametrize("factor", [1, 1.0, -0.5, [-0.5, 1.0], [-1.0, 1.0], 1.5, 2, [0.5, 1.5], -1.5, -1])
def test_shift_and_zoom_factors_have_the_bounds_of_keras(kind, factor):
    arguments = {"height_factor": factor, "width_factor": 0.5}
    assert_parity({"type": kind, **arguments}, (None, 8, 8, 3))
    is_refused = isinstance(static({"type": kind, **arguments}, Tensor((None, 8, 8, 3))), str)
    least, most = factor if isinstance(factor, list) else (factor, factor)
    assert is_refused == (most > 1 or least < -1 or (kind == "RandomZoom" and least <= -1))


@pytest.mark.parametrize(
    ("size", "shape", "expected"),
    [
        ({"height": 4, "width": 6}, (None, 8, 8, 3), (None, None, None, 3)),
        ({"height": 8, "width": 8}, (None, 8, 8, 3), (None, 8, 8, 3)),
        ({"height": 4, "width": 4, "data_format": "channels_first"}, (None, 3, 8, 8), (None, 3, None, None)),
    ],
)
def test_random_crop_keeps_whole_images_except_in_training(size, shape, expected):
    value = {"type": "RandomCrop", **size}
    (output,) = LAYERS.parse(value).infer((Tensor(shape),)).outputs
    assert output.shape == expected
    predicted, trained = ran(value, Tensor(shape))
    assert predicted[0][0][1:] == shape[1:]
    axes = (2, 3) if "data_format" in size else (1, 2)
    assert tuple(trained[0][0][axis] for axis in axes) == (size["height"], size["width"])


def test_random_crop_larger_than_its_input_is_refused():
    with pytest.raises(ShapeError) as caught:
        LAYERS.parse({"type": "RandomCrop", "height": 4, "width": 9}).infer((Tensor((None, 8, 8, 3)),))
    assert (
        str(caught.value)
        == "`width` of RandomCrop must be at most 8, the width of its input (None, 8, 8, 3), got 9."
    )
    assert caught.value.argument == "width"
