from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from layercli.layers.registry import LAYERS
from layercli.layers.shapes import ShapeError, Tensor
from tests.layers.parity import assert_built_alike, assert_parity, static


def check(kind, arguments, shapes):
    for shape in shapes:
        assert_parity({"type": kind} | arguments, shape)


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
    assert "`frame_step` is required if `frame_length` is 1, since half a frame is not an integer." in ours


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


def test_half_of_the_sampling_rate_of_mel_is_a_frequency():
    # Keras takes int(sampling_rate / 2) for `max_freq`: 0 for 1 sample in a second.
    with pytest.raises(ValidationError, match="`sampling_rate` must be at least 2, since half of it"):
        LAYERS.parse({"type": "MelSpectrogram", "sampling_rate": 1})
    assert LAYERS.parse({"type": "MelSpectrogram", "sampling_rate": 1, "max_freq": 0.5}).max_freq == 0.5


@settings(max_examples=50)
@given(st.integers(1, 40), st.none() | st.integers(1, 40), st.none() | st.integers(1, 60), st.integers(1, 2))
def test_any_frames_agree_with_keras(length, step, samples, channels):
    if step is not None or length > 1:
        arguments = {"frame_length": length, "frame_step": step}
        check("STFTSpectrogram", arguments, [(None, samples, channels)])


@pytest.mark.parametrize(("samples", "is_accepted"), [(1024, False), (1025, True), (None, True)])
def test_mel_sound_is_longer_than_its_mirrored_end(samples, is_accepted):
    # `tf.pad(x, [[1024, 1024]], mode="reflect")` needs 1,025 values.
    layer = LAYERS.load("MelSpectrogram")()
    if is_accepted:
        layer.infer((Tensor((None, samples), "float32"),))
        return
    with pytest.raises(ShapeError, match="at most 2047 for 1024 samples"):
        layer.infer((Tensor((None, samples), "float32"),))
