"""Pretrained models in a script: Keras's function and the preprocessing of its input."""

import keras
import numpy as np
import pytest
from keras.src.applications.imagenet_utils import preprocess_input

from layercli.check import check_config, require_valid
from layercli.script.application_code import (
    _PREPROCESSING,
    find_inexpressible_applications,
    write_applications,
)
from tests.running import write_config


def read_script(directory, **arguments):
    layer = {"type": "MobileNet", "name": "back-bone", "alpha": 0.25, "include_top": False, "weights": None}
    model = {"input": [32, 32, 3], "layers": [layer | arguments, "GlobalAveragePooling2D"]}
    return require_valid(check_config(str(write_config(directory, [], data=None, train=None, model=model))))


@pytest.mark.parametrize("mode", ["tf", "caffe", "torch"])
def test_preprocessing_equals_that_of_keras(mode):
    images = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3)).astype("float32")
    names = {"keras": keras, "layers": keras.layers, "images": images}
    exec("\n".join(_PREPROCESSING[mode]), names)
    expected = preprocess_input(images.copy(), data_format="channels_last", mode=mode)
    np.testing.assert_allclose(np.asarray(names["x"]), expected, rtol=1e-5, atol=1e-4)


def test_function_calls_keras_with_the_arguments_of_the_config(tmp_path):
    lines = list(write_applications(read_script(tmp_path)))
    assert lines[0] == "def make_back_bone():"
    text = "\n".join(lines)
    names = {"keras": keras, "layers": keras.layers}
    exec(text, names)
    model = names["make_back_bone"]()
    assert model.name == "back-bone"
    assert model.output_shape == (None, 1, 1, 256)
    theirs = keras.applications.MobileNet((32, 32, 3), alpha=0.25, include_top=False, weights=None)
    assert model.count_params() == theirs.count_params()
    theirs.set_weights(model.get_weights())
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype("float32")
    np.testing.assert_allclose(
        model.predict(images, verbose=0), theirs.predict(images / 127.5 - 1, verbose=0), atol=1e-5
    )


def test_model_without_preprocessing_takes_its_input_unchanged(tmp_path):
    text = "\n".join(write_applications(read_script(tmp_path, include_preprocessing=False, trainable=False)))
    assert "input_tensor=images" in text
    assert "Rescaling" not in text
    assert "trainable" not in text


@pytest.mark.parametrize(
    ("weights", "paths"), [(None, []), ("imagenet", [("model", "layers", 0, "weights")])]
)
def test_pretrained_weights_are_refused(weights, paths, tmp_path):
    valid = read_script(tmp_path, weights=weights)
    assert list(find_inexpressible_applications(valid)) == paths
