"""Layers that TensorFlow cannot run with some arguments, although Keras accepts them."""

from typing import Any

import keras
import numpy as np
import pytest
import yaml

from layercli.check import check_config
from layercli.errors import Problem


def list_problems(layer: dict[str, Any], shape: list[int]) -> list[Problem]:
    text = yaml.safe_dump({"model": {"input": shape, "layers": [layer]}})
    return check_config("model.yaml", text=text).problems


def run_keras(layer: dict[str, Any], shape: list[int]) -> tuple[int, ...]:
    arguments = {key: value for key, value in layer.items() if key != "type"}
    return tuple(getattr(keras.layers, layer["type"])(**arguments)(np.ones((2, *shape), "float32")).shape)


IMAGE, VOLUME = [8, 8, 3], [4, 4, 4, 1]


@pytest.mark.parametrize(
    ("kind", "arguments", "shape", "accepted"),
    [
        ("AutoContrast", {"dtype": "bool"}, IMAGE, {}),
        ("AutoContrast", {"dtype": "int32"}, IMAGE, {}),
        ("RandomFlip", {"dtype": "string"}, IMAGE, {}),
        ("Resizing", {"height": 4, "width": 4, "dtype": "bool"}, IMAGE, {"dtype": "uint8"}),
        ("CategoryEncoding", {"num_tokens": 2, "dtype": "bool"}, [3], {"output_mode": "one_hot"}),
        ("CategoryEncoding", {"num_tokens": 2, "dtype": "string"}, [3], {"dtype": "int32"}),
        ("MaxPooling3D", {"dtype": "float64"}, VOLUME, {"dtype": "bfloat16"}),
        ("AdaptiveMaxPooling3D", {"output_size": 2, "dtype": "float64"}, VOLUME, {}),
        ("STFTSpectrogram", {"dtype": "bfloat16"}, [512, 1], {"dtype": "float16"}),
        ("MelSpectrogram", {"dtype": "float64"}, [4000], {"dtype": "float16"}),
    ],
)
def test_dtypes_that_tensorflow_cannot_compute_are_errors(
    kind: str, arguments: dict[str, Any], shape: list[int], accepted: dict[str, Any]
) -> None:
    layer = {"type": kind, **arguments}
    [problem] = list_problems(layer, shape)
    assert (problem.code, problem.severity, problem.path) == (
        "dtype-mismatch",
        "error",
        "model.layers[0].dtype",
    )
    assert problem.message.endswith(f"cannot compute in {arguments['dtype']}.")
    assert problem.hint == "Write `dtype: float32` for this layer."
    with pytest.raises(Exception, match=r"."):
        run_keras(layer, shape)
    for other in ({**layer, "dtype": "float32"}, {**layer, **accepted} if accepted else None):
        if other is not None:
            assert list_problems(other, shape) == []
            run_keras(other, shape)


@pytest.mark.parametrize(
    ("kind", "dtypes"), [("MaxPooling3D", ["float16"]), ("AveragePooling3D", ["float16", "float64"])]
)
def test_dtypes_that_need_a_gpu_have_a_warning(kind: str, dtypes: list[str]) -> None:
    for dtype in dtypes:
        [problem] = list_problems({"type": kind, "pool_size": 2, "dtype": dtype}, VOLUME)
        assert (problem.severity, problem.message) == (
            "warning",
            f"{kind} computes in {dtype} only on a GPU.",
        )
    nested = {"type": "TimeDistributed", "layer": {"type": kind, "pool_size": 2, "dtype": "float16"}}
    [problem] = list_problems(nested, [3, *VOLUME])
    assert (problem.severity, problem.path) == ("warning", "model.layers[0]")


@pytest.mark.parametrize(
    ("layer", "shape", "argument", "accepted"),
    [
        ({"type": "RandomPosterization", "factor": 3.0}, IMAGE, "factor", {"factor": 3}),
        ({"type": "RandomPosterization", "factor": [2, 3.5]}, IMAGE, "factor", {"factor": [2, 4]}),
        (
            {"type": "ContrastLimitedAdaptiveHistogramEqualization", "tile_grid_size": [17, 4]},
            IMAGE,
            "tile_grid_size",
            {"tile_grid_size": [16, 4]},
        ),
    ],
)
def test_arguments_that_tensorflow_refuses_are_errors(
    layer: dict[str, Any], shape: list[int], argument: str, accepted: dict[str, Any]
) -> None:
    [problem] = list_problems(layer, shape)
    assert (problem.severity, problem.path) == ("error", f"model.layers[0].{argument}")
    with pytest.raises(Exception, match=r"."):
        run_keras(layer, shape)
    assert list_problems({**layer, **accepted}, shape) == []
    assert run_keras({**layer, **accepted}, shape) == (2, *IMAGE)


def test_mel_spectrogram_of_channels_needs_time_distributed() -> None:
    [problem] = list_problems({"type": "MelSpectrogram"}, [3, 4000])
    assert (
        problem.hint
        == "Put it into TimeDistributed: `{type: TimeDistributed, layer: {type: MelSpectrogram}}`."
    )
    assert list_problems({"type": "TimeDistributed", "layer": {"type": "MelSpectrogram"}}, [3, 4000]) == []


def test_samples_of_mel_for_which_keras_declares_another_shape_are_errors() -> None:
    layer = keras.layers.MelSpectrogram(sequence_stride=100)
    assert layer.compute_output_shape((2, 3999)) == [2, 128, 41]
    assert run_keras({"type": "MelSpectrogram", "sequence_stride": 100}, [3999]) == (2, 128, 40)
    [problem] = list_problems({"type": "MelSpectrogram", "sequence_stride": 100}, [3999])
    assert problem.hint == "Use 4000 samples, or a different `sequence_stride` of at least 2."
    assert list_problems({"type": "MelSpectrogram", "sequence_stride": 100}, [4000]) == []
    assert run_keras({"type": "MelSpectrogram", "sequence_stride": 100}, [4000]) == (2, 128, 41)


def test_windows_of_conv_lstm_are_bounded_with_their_dilation() -> None:
    layer = {"type": "ConvLSTM2D", "filters": 1, "kernel_size": 2, "padding": "same", "dilation_rate": 999}
    assert list_problems(layer, [2, 8, 8, 1]) == []
    [problem] = list_problems({**layer, "dilation_rate": 1000}, [2, 8, 8, 1])
    assert "at most 1,000,000 positions" in problem.message
    assert problem.hint == "Use a smaller `dilation_rate`."


def test_orthogonal_matrices_are_bounded_by_their_shorter_side() -> None:
    layer = {"type": "Dense", "units": 4096, "kernel_initializer": "orthogonal"}
    assert list_problems(layer, [5000]) == []
    [problem] = list_problems({**layer, "units": 4097}, [5000])
    assert problem.path == "model.layers[0].kernel_initializer"
    assert "at most 4,096 rows or columns" in problem.message
    assert "(5000, 4097)" in problem.message
    assert list_problems({**layer, "units": 4097, "kernel_initializer": "glorot_uniform"}, [5000]) == []
