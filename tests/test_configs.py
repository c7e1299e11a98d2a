"""Every example config validates, agrees with its forward pass, builds, and trains to a sensible result."""

import json
import os
import shutil
import subprocess
import sys
from functools import cache

import pytest

from tests.running import CONFIGS, invoke, train

REACHED = {
    "breast_cancer_binary.yaml": ("auc", 0.95),
    "custom_layer.yaml": ("accuracy", 0.92),
    "diabetes_regression.yaml": ("mean_absolute_error", 45.0),
    "digits_cnn.yaml": ("accuracy", 0.97),
    "digits_conv1d.yaml": ("accuracy", 0.92),
    "digits_dense.yaml": ("accuracy", 0.92),
    "digits_denoise.yaml": ("mean_absolute_error", 0.12),
    "digits_lstm.yaml": ("accuracy", 0.90),
    "digits_npy.yaml": ("accuracy", 0.95),
    "digits_residual.yaml": ("accuracy", 0.95),
    "digits_siamese.yaml": ("accuracy", 0.92),
    "digits_stages.yaml": ("accuracy", 0.95),
    "digits_transformer.yaml": ("accuracy", 0.92),
    "digits_two_inputs.yaml": ("accuracy", 0.93),
    "digits_images.yaml": ("accuracy", 0.95),
    "iris_csv.yaml": ("accuracy", 0.9),
    "topics_column.yaml": ("accuracy", 0.9),
    "orders_features.yaml": ("accuracy", 0.88),
    "orders_stream.yaml": ("accuracy", 0.88),
    "stations_windows.yaml": ("mean_absolute_error", 0.9),
    "topics_text.yaml": ("accuracy", 0.9),
    "waves_python.yaml": ("accuracy", 0.9),
    "wine_parquet.yaml": ("accuracy", 0.9),
}
"""What a training of each config reaches on its test split: at least, or for an error at most."""

FEWER_EPOCHS = {
    "digits_cnn.yaml": 5,
    "digits_conv1d.yaml": 6,
    "digits_denoise.yaml": 6,
    "digits_images.yaml": 6,
    "digits_residual.yaml": 5,
    "digits_siamese.yaml": 4,
    "digits_transformer.yaml": 6,
    "stations_windows.yaml": 3,
    "waves_python.yaml": 5,
}
"""Epochs after which slow trainings reach it. With LAYERCLI_ALL_EPOCHS=1 they train for all epochs of the config."""

ALL = sorted(CONFIGS.glob("*.yaml"))
each_config = pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """The configs, with the data that their script writes."""
    place = tmp_path_factory.mktemp("place") / "configs"
    shutil.copytree(CONFIGS, place)
    subprocess.run([sys.executable, place / "make_data.py"], check=True)
    return place


def test_every_config_is_trained_here():
    assert [path.name for path in ALL] == sorted(REACHED)


@each_config
def test_a_config_validates(path):
    assert json.loads(invoke("validate", path, "--json").stdout) == {"ok": True, "problems": []}


@pytest.mark.tensorflow
@each_config
def test_every_shape_of_a_config_agrees_with_its_forward_pass(path, place):
    document = json.loads(invoke("inspect-shapes", place / path.name, "--json", "--trust").stdout)
    assert document["problems"] == []
    assert all(row["agrees"] for row in document["layers"])


@pytest.mark.tensorflow
@each_config
def test_a_config_builds_with_the_parameters_that_were_counted(path, place):
    document = json.loads(invoke("build", place / path.name, "--json", "--trust").stdout)
    assert document["ok"] is True
    assert document["trainable"] > 0


@pytest.fixture(scope="module")
def trained(place, tmp_path_factory):
    """Return the run of a config; each is trained once."""

    @cache
    def trained(name):
        epochs = FEWER_EPOCHS.get(name) if os.environ.get("LAYERCLI_ALL_EPOCHS") != "1" else None
        options = [] if epochs is None else ["--set", f"train.epochs={epochs}"]
        return train(place / name, tmp_path_factory.mktemp("trained") / "run", "--trust", *options)

    return trained


@pytest.mark.slow
@each_config
def test_a_config_trains_to_a_sensible_result(path, trained):
    run = trained(path.name)
    assert run.result.exit_code == 0, run.result.output
    metric, bound = REACHED[path.name]
    reached = run.summary["test"][metric]
    assert reached <= bound if metric.endswith("error") else reached >= bound


@pytest.mark.slow
@pytest.mark.parametrize("name", ["digits_residual", "digits_transformer"])
@pytest.mark.parametrize("form", ["saved_model", "onnx", "litert"])
def test_exported_run_has_the_same_outputs(name, form, trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = invoke("export", trained(f"{name}.yaml").path, "-f", form, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["compared"]["largest_difference"] < 1e-4
