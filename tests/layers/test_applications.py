"""Keras's pretrained models as layers, compared with Keras. LAYERCLI_ALL_APPLICATIONS=1 compares all of them."""

import hashlib
import inspect
import os
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from unittest import mock

import h5py
import keras
import numpy as np
import pytest
from keras.src.applications import mobilenet_v3
from keras.src.backend import config as keras_settings
from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group

from layercli.api import build
from layercli.engine.applications import create_application, preprocess
from layercli.engine.pretrained_weights import copy_weights
from layercli.errors import LayercliError
from layercli.layers.families.applications import APPLICATIONS
from layercli.layers.registry import LAYERS
from tests.application_parity import facts_of_keras, list_cases, static_facts

NAMES = [*APPLICATIONS] if os.environ.get("LAYERCLI_ALL_APPLICATIONS") else ["MobileNetV3Small"]
PREPROCESSING = {"ResNet50": "resnet", "DenseNet121": "densenet", "MobileNetV2": "mobilenet_v2"}
IMAGES = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype("float32")
TINY = {"include_top": False, "pooling": "avg", "minimalistic": True}
DOWNLOAD = "weights_mobilenet_v3_small_minimalistic_224_1.0_float_no_top_v2.h5"


def test_every_function_of_keras_is_a_layer_with_its_arguments():
    functions = [name for name in dir(keras.applications) if name[0].isupper()]
    assert sorted(functions) == sorted(APPLICATIONS)
    for name in functions:
        parameters = inspect.signature(getattr(keras.applications, name)).parameters
        theirs = {key: each.default for key, each in parameters.items()}
        for key in ("name", "input_tensor", "input_shape"):
            del theirs[key]
        layer = LAYERS.load(name)
        ours = {key: field.default for key, field in layer.model_fields.items()}
        assert {key: value for key, value in ours.items() if key not in layer.layer_arguments} == theirs


@pytest.mark.parametrize("name", NAMES)
def test_shapes_weights_and_cost_are_those_of_keras(name):
    cases = list_cases(name)
    for shape, arguments in cases if len(NAMES) > 1 else cases[1:3]:
        assert static_facts(name, shape, **arguments) == facts_of_keras(name, shape, **arguments)


@pytest.mark.parametrize("name", PREPROCESSING)
def test_preprocessing_equals_preprocess_input(name):
    theirs = getattr(keras.applications, PREPROCESSING[name]).preprocess_input(IMAGES.copy())
    ours = preprocess(IMAGES, LAYERS.load(name).preprocessing_mode, "x")
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


def test_modes_are_those_of_keras_for_every_architecture():
    for name in APPLICATIONS:
        module = inspect.getmodule(inspect.unwrap(getattr(keras.applications, name)))
        source = inspect.getsource(module.preprocess_input)
        mode = next((mode for mode in ("caffe", "tf", "torch") if f'mode="{mode}"' in source), None)
        assert LAYERS.load(name).preprocessing_mode == mode, name


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    """A folder with the weights of a small model, as Keras's download and as its own file, and the model."""
    keras.utils.set_random_seed(1)
    model = keras.applications.MobileNetV3Small(weights=None, input_shape=(32, 32, 3), **TINY)
    random = np.random.default_rng(2)
    for weight in model.weights:
        weight.assign(random.uniform(0.1, 0.3, weight.shape))
    folder = tmp_path_factory.mktemp("weights")
    model.save_weights(folder / "backbone.weights.h5")
    with h5py.File(folder / DOWNLOAD, "w") as file:
        save_weights_to_hdf5_group(file, model)
    return folder, model


@pytest.fixture
def server(pretrained, monkeypatch, tmp_path):
    """A stand-in for Keras's file server, and an empty cache."""
    folder, _ = pretrained
    monkeypatch.setattr(SimpleHTTPRequestHandler, "log_message", mock.Mock())
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(folder)))
    thread = Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setattr(mobilenet_v3, "BASE_WEIGHT_PATH", f"http://127.0.0.1:{server.server_port}/")
    monkeypatch.setattr(keras_settings, "keras_home", lambda: str(tmp_path / "keras"))
    (tmp_path / "keras").mkdir()  # else Keras uses a folder in /tmp
    digest = hashlib.md5((folder / DOWNLOAD).read_bytes()).hexdigest()
    monkeypatch.setitem(mobilenet_v3.WEIGHTS_HASHES, "small_minimalistic_224_1.0_float", ("", digest))
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def write_config(tmp_path, weights, name="MobileNetV3Small"):
    path = tmp_path / "config.yaml"
    extra = ", minimalistic: true" if "V3" in name else ""
    layer = f"type: {name}, name: backbone, include_top: false, pooling: avg, weights: {weights}{extra}"
    path.write_text(f"model:\n  input: [32, 32, 3]\n  layers:\n    - {{{layer}}}\n")
    return path


def build_error(path):
    with pytest.raises(LayercliError) as caught:
        build(path)
    (problem,) = caught.value.problems
    assert (problem.line, problem.path) == (4, "model.layers[0].weights")
    return problem


def test_downloaded_weights_give_the_outputs_of_keras(pretrained, server, tmp_path, capsys):
    model = build(write_config(tmp_path, "imagenet"))
    assert model.get_layer("backbone").count_params() == pretrained[1].count_params()
    expected = pretrained[1](IMAGES)
    np.testing.assert_allclose(model(IMAGES), expected, rtol=1e-5)
    assert capsys.readouterr().out == ""
    server.shutdown()  # the file is in the cache now
    np.testing.assert_allclose(build(tmp_path / "config.yaml")(IMAGES), expected, rtol=1e-5)


def test_file_of_weights_gives_the_outputs_of_keras(pretrained, tmp_path):
    folder, theirs = pretrained
    model = build(write_config(tmp_path, folder / "backbone.weights.h5"))
    np.testing.assert_allclose(model(IMAGES), theirs(IMAGES), rtol=1e-5)


@pytest.mark.usefixtures("server")
def test_failed_download_names_the_file_its_address_and_its_place(monkeypatch, tmp_path):
    monkeypatch.setattr(mobilenet_v3, "BASE_WEIGHT_PATH", "http://127.0.0.1:9/models/")
    problem = build_error(write_config(tmp_path, "imagenet"))
    assert problem.code == "no-weights"
    assert problem.message == (
        f"Cannot download {DOWNLOAD}, about 2 MB, the weights of MobileNetV3Small, from "
        f"http://127.0.0.1:9/models/{DOWNLOAD}."
    )
    assert problem.hint.endswith(f"copy it to {tmp_path / 'keras' / 'models' / DOWNLOAD}.")


@pytest.mark.usefixtures("server")
def test_download_with_another_hash_is_an_error(monkeypatch, tmp_path):
    monkeypatch.setitem(mobilenet_v3.WEIGHTS_HASHES, "small_minimalistic_224_1.0_float", ("", "0" * 32))
    assert "corrupted" in build_error(write_config(tmp_path, "imagenet")).message


def test_weights_of_another_model_are_an_error(pretrained, tmp_path):
    problem = build_error(write_config(tmp_path, pretrained[0] / "backbone.weights.h5", "MobileNetV2"))
    assert problem.code == "no-weights"
    assert "into MobileNetV2" in problem.message


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("none.h5", "unreadable-file", "does not exist"),
        ("text.txt", "bad-argument", "`weights` must be imagenet, null, or a .h5 file"),
    ],
)
def test_missing_file_of_weights_is_an_error(tmp_path, name, code, message):
    (tmp_path / "text.txt").touch()
    problem = build_error(write_config(tmp_path, name))
    assert (problem.code, message in problem.message) == (code, True), problem.message


def test_efficientnet_keeps_its_second_scale_in_the_normalization(monkeypatch):
    layer = LAYERS.parse({"type": "EfficientNetB0", "include_top": False, "pooling": "avg"})
    monkeypatch.setattr("keras.src.utils.file_utils.get_file", mock.Mock())
    monkeypatch.setattr(keras.Model, "load_weights", mock.Mock())
    theirs = keras.applications.EfficientNetB0(include_top=False, pooling="avg", input_shape=(32, 32, 3))
    ours = create_application(layer, (32, 32, 3), "backbone")
    copy_weights(theirs, ours)
    first, second = (
        keras.Model(model.inputs[0], model.get_layer("stem_conv_pad").output)(IMAGES)
        for model in (ours, theirs)
    )
    np.testing.assert_allclose(first, second, rtol=1e-5)
