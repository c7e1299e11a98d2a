import inspect
from typing import get_args

import keras
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from layercli.layers.registry import LAYERS
from layercli.layers.shapes import RankError, ShapeError, Tensor
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


@pytest.mark.parametrize("kind", REQUIRED)
def test_arguments_are_those_of_keras(kind):
    theirs = set(inspect.signature(getattr(keras.layers, kind).__init__).parameters) - {
        "self",
        "kwargs",
        "name",
    }
    shared = {"dtype", "trainable", "autocast", "activity_regularizer"}
    assert set(LAYERS.load(kind).model_fields) - shared == theirs - shared


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
def test_rescaling_agrees_with_keras_where_numbers_are_given(scale):
    ours = static({"type": "Rescaling", "scale": scale}, Tensor((None, 4)))
    if isinstance(scale, (int, float)) or scale == [1.0, 2.0, 3.0]:
        check("Rescaling", {"scale": scale, "offset": scale})
    else:
        assert isinstance(ours, str)


@pytest.mark.parametrize("axis", [-1, 1, 0, 3, -4, None, [], [1], [1, 2], [2, 1], [-1, -1], [1, -1], [0]])
def test_normalization_keeps_the_axes_that_keras_keeps(axis):
    check("Normalization", {"axis": axis}, [*SHAPES, (None, None, 3), (None, 4, 3), (None, 3, None)])


ONES = [1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    "mean", [None, 1, 2.5, [], [1.0], [1.0, 2.0], ONES, [ONES], [ONES] * 4, [[1.0]] * 4, [1.0] * 4]
)
@pytest.mark.parametrize("axis", [-1, None, [1, 2], [2, 1], [1, 1]])
def test_a_given_mean_agrees_with_keras(mean, axis):
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


@settings(deadline=None, max_examples=60, derandomize=True)
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
def test_what_is_no_batch_of_images_is_refused(kind, shape):
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


WORDS = {"StringLookup": ["a", "b"], "IntegerLookup": [5, 6], "TextVectorization": ["a", "b"]}
VOCABULARIES = [
    {},
    {"max_tokens": 9},
    {"max_tokens": 9, "pad_to_max_tokens": True},
    {"pad_to_max_tokens": True},
    {"max_tokens": 1},
    {"max_tokens": 2},
]


@pytest.mark.parametrize("kind", WORDS)
@pytest.mark.parametrize("mode", ["int", "one_hot", "multi_hot", "count", "tf_idf", "nope"])
@pytest.mark.parametrize("arguments", VOCABULARIES, ids=str)
@pytest.mark.parametrize("given_words", [False, True])
def test_lookups_agree_with_keras(kind, mode, arguments, given_words):
    if given_words:
        arguments = arguments | {"vocabulary": WORDS[kind]}
        arguments |= {"idf_weights": [0.1, 0.2]} if mode == "tf_idf" else {}
    shapes = SHAPES if kind != "TextVectorization" else [(None,), (None, 1)]
    check(kind, arguments | {"output_mode": mode}, shapes, "int64" if kind == "IntegerLookup" else "string")


@pytest.mark.parametrize(
    "arguments",
    [
        {"vocabulary": []},
        {"vocabulary": ["a", "a"]},
        {"vocabulary": ["[UNK]", "a"]},
        {"vocabulary": ["a", "[UNK]"]},
        {"vocabulary": ["a", "[UNK]"], "invert": True},
        {"vocabulary": ["", "a"], "mask_token": ""},
        {"vocabulary": ["", "[UNK]", "a"], "mask_token": ""},
        {"vocabulary": ["a", ""], "mask_token": ""},
        {"vocabulary": ["a", "b"], "max_tokens": 3},
        {"num_oov_indices": -1},
        {"num_oov_indices": 0},
        {"num_oov_indices": 0, "vocabulary": ["a"]},
        {"salt": 3},
        {"salt": [1, 2]},
        {"salt": [1]},
        {"invert": True},
        {"idf_weights": [1.0]},
        {"vocabulary": ["a", "b"], "idf_weights": [1.0]},
        {"oov_token": None},
        {"oov_token": None, "invert": True},
        {"vocabulary": ["[UNK]"]},
        {"vocabulary": ["a", "b"], "mask_token": "", "num_oov_indices": 3},
        {"vocabulary": ["[UNK]", "a"], "idf_weights": [0.1, 0.2]},
        {"vocabulary": [1, 2]},
        {"encoding": "latin-1"},
        {"autocast": False},
        {"trainable": False},
        {"dtype": "float16"},
        {"vocabulary": "words.txt"},
    ],
    ids=str,
)
@pytest.mark.parametrize("mode", ["int", "one_hot", "tf_idf"])
def test_words_agree_with_keras_on_arguments(arguments, mode):
    check("StringLookup", arguments | {"output_mode": mode}, [(None, 1), (None, 3)], "string")


@pytest.mark.parametrize(
    "arguments",
    [
        {"vocabulary": [-1, 5]},
        {"vocabulary": [5, 5]},
        {"vocabulary": [5, -1], "invert": True},
        {"mask_token": 0},
        {"mask_token": 0, "vocabulary": [0, 5]},
        {"mask_token": 0, "vocabulary": [0, -1, 5]},
        {"salt": 3},
        {"salt": 3, "oov_method": "farmhash"},
        {"oov_method": "nope"},
        {"vocabulary_dtype": "int32"},
        {"vocabulary": ["a"]},
        {"num_oov_indices": 3, "vocabulary": [1, 2]},
    ],
    ids=str,
)
@pytest.mark.parametrize("mode", ["int", "multi_hot"])
def test_numbers_agree_with_keras_on_arguments(arguments, mode):
    check("IntegerLookup", arguments | {"output_mode": mode}, [(None, 1), (None, 3)], "int64")


@pytest.mark.parametrize("split", ["whitespace", "character", None, "nope"])
@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"output_mode": "one_hot"},
        {"output_mode": "multi_hot", "max_tokens": 9, "pad_to_max_tokens": True},
        {"output_sequence_length": 7},
        {"output_sequence_length": 7, "output_mode": "count"},
        {"ragged": True},
        {"ragged": True, "output_mode": "count"},
        {"standardize": None},
        {"standardize": "lower"},
        {"standardize": "nope"},
        {"ngrams": 2},
        {"ngrams": "2"},
        {"vocabulary": ["a", ""]},
        {"vocabulary": ["", "[UNK]", "a"]},
        {"vocabulary": ["[UNK]", "a"], "output_mode": "count"},
        {"vocabulary": ["a", "a"]},
        {"sparse": True},
        {"sparse": True, "output_mode": "count"},
        {"dtype": "int64"},
        {"dtype": "string"},
    ],
    ids=str,
)
def test_text_agrees_with_keras_on_arguments(arguments, split):
    check("TextVectorization", arguments | {"split": split}, [(None,), (None, 1), (None, 3)], "string")


def test_any_number_of_unknown_indices_is_checked_without_making_them():
    value = {
        "type": "StringLookup",
        "num_oov_indices": 2**31 - 1,
        "vocabulary": ["a"],
        "output_mode": "one_hot",
    }
    outputs, _ = static(value, Tensor((None, 1), "string"))
    assert outputs == (Tensor((None, 2**31)),)


def test_lengths_of_ngrams_reach_keras_as_the_tuple_it_asks_for():
    layer = LAYERS.parse({"type": "TextVectorization", "ngrams": [1, 3]})
    assert layer.arguments()["ngrams"] == (1, 3)
    assert layer.plain()["ngrams"] == [1, 3]


SOUND = [
    (None, 1000, 1),
    (None, None, 1),
    (None, 1000, 2),
    (None, 999, None),
    (None, 200, 1),
    (None, 256, 3),
    (None, 2, 1000),
    (None, 1000),
    (None, 1000, 2, 1),
]


@pytest.mark.parametrize("mode", ["log", "magnitude", "psd", "real", "imag", "angle", "stft", "nope"])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("expand_dims", [False, True])
@pytest.mark.parametrize("padding", ["valid", "same", "causal"])
def test_stft_agrees_with_keras_on_shapes(mode, data_format, expand_dims, padding):
    arguments = {"mode": mode, "data_format": data_format, "expand_dims": expand_dims, "padding": padding}
    check("STFTSpectrogram", arguments, SOUND)


@pytest.mark.parametrize(
    "arguments",
    [{"frame_length": size} for size in (0, 2, 3, 100)]
    + [
        {"frame_length": 1, "frame_step": 1},
        {"frame_step": 10},
        {"frame_step": 0},
        {"frame_step": 300},
        {"fft_length": 512},
        {"fft_length": 128},
        {"window": "nope"},
        {"window": "kaiser"},
        {"scaling": None},
        {"scaling": "spectrum"},
        {"scaling": "nope"},
        {"periodic": True},
        {"trainable": False},
    ],
    ids=str,
)
def test_stft_agrees_with_keras_on_arguments(arguments):
    check("STFTSpectrogram", arguments, SOUND)


def test_half_a_frame_of_one_sample_is_refused():
    ours = static({"type": "STFTSpectrogram", "frame_length": 1}, Tensor((None, 1000, 1)))
    assert "Half a frame of 1 is no step." in ours


WINDOWS = get_args(get_args(LAYERS.load("STFTSpectrogram").model_fields["window"].annotation)[0])


@pytest.mark.parametrize("window", [*WINDOWS, None])
def test_every_window_is_one_of_keras(window):
    assert_built_alike({"type": "STFTSpectrogram", "window": window})


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"sequence_stride": 7},
        {"fft_length": 100},
        {"sequence_length": 3000},
        {"sequence_length": 300},
        {"num_mel_bins": 5},
        {"window": "hamming"},
        {"window": None},
        {"max_freq": 100.0},
        {"power_to_db": False},
        {"dtype": "float16"},
    ],
    ids=str,
)
def test_mel_agrees_with_keras(arguments):
    check(
        "MelSpectrogram", arguments, [(None, 16000), (None, None), (None, 999, 2), (None, 2, 999), (None, 1)]
    )


@settings(deadline=None, max_examples=50, derandomize=True)
@given(st.integers(1, 40), st.none() | st.integers(1, 40), st.none() | st.integers(1, 60), st.integers(1, 2))
def test_any_frames_agree_with_keras(length, step, samples, channels):
    if step is not None or length > 1:
        arguments = {"frame_length": length, "frame_step": step}
        check("STFTSpectrogram", arguments, [(None, samples, channels)])


@pytest.mark.parametrize("kind", ["CategoryEncoding", "Hashing"])
@pytest.mark.parametrize("mode", ["one_hot", "multi_hot", "count"])
@pytest.mark.parametrize("shape", [(None, 0), (None, 5, 5, 1), (None, None, 1)])
def test_unusual_shapes_agree_with_keras(kind, mode, shape):
    check(kind, REQUIRED[kind] | {"output_mode": mode}, [shape], "int32")


def said(value):
    with pytest.raises(ValidationError) as caught:
        LAYERS.parse(value)
    (error,) = caught.value.errors()
    return error["msg"], error["ctx"]["hint"]


def test_a_vocabulary_file_is_explained():
    message, hint = said({"type": "StringLookup", "vocabulary": "words.txt"})
    assert message == '`vocabulary` is "words.txt"; files are not read from a config.'
    assert hint == "List the entries, as in `vocabulary: [cat, dog]`, or leave it out to learn it from data."


def test_a_mean_without_a_variance_is_explained():
    message, hint = said({"type": "Normalization", "mean": 0.5})
    assert message == "Normalization got `mean` and no `variance`."
    assert hint == "Give both, or neither to measure them: add `variance`."


def test_bins_that_do_not_rise_are_explained():
    assert said({"type": "Discretization", "bin_boundaries": [2.0, 1.0]}) == (
        "`bin_boundaries` must rise.",
        "Sort them.",
    )


def test_cropping_and_padding_at_once_is_explained():
    value = {
        "type": "Resizing",
        "height": 4,
        "width": 4,
        "crop_to_aspect_ratio": True,
        "pad_to_aspect_ratio": True,
    }
    assert said(value)[0] == "Resizing cannot both crop and pad to keep the aspect ratio."


def test_a_word_twice_is_explained():
    assert said({"type": "StringLookup", "vocabulary": ["a", "a"]}) == (
        '`vocabulary` has "a" twice.',
        "Remove one.",
    )


def test_a_mean_for_another_number_of_channels_is_explained():
    with pytest.raises(ShapeError) as caught:
        LAYERS.parse({"type": "Normalization", "mean": [0.5, 0.5], "variance": [1.0, 1.0]}).infer(
            (Tensor((None, 8, 8, 3)),)
        )
    assert str(caught.value) == (
        "Normalization has a mean of shape (2,); its axes in (None, 8, 8, 3) are (3,)."
    )
    assert caught.value.hint == "Give one mean, or one for each index along the axis."


def test_an_image_without_channels_is_explained():
    with pytest.raises(RankError) as caught:
        LAYERS.parse({"type": "Resizing", "height": 4, "width": 4}).infer((Tensor((None, 28, 28)),))
    assert str(caught.value) == (
        "Resizing takes images of shape (batch, height, width, channels), rank 4; it gets (None, 28, 28)."
    )
