from dataclasses import replace

import keras
import pytest
from pydantic import TypeAdapter, ValidationError

from layercli.config.training.callbacks import RESERVED_RUN_FILES, get_monitor
from layercli.config.training.registry import CALLBACKS
from layercli.config.training.types import CallbackField
from layercli.engine.keras_objects import keras_object
from layercli.runs import directory as runs
from tests.config.against_keras import (
    assert_complete,
    assert_round_trip,
    assert_same_arguments,
    refusal,
    required,
)

KERAS = [name for name in CALLBACKS.names if name != "MLflow"]
"""The callbacks of Keras."""


def test_catalogue_covers_all_keras_callbacks():
    assert_complete(replace(CALLBACKS, modules=dict.fromkeys(KERAS, "callbacks")), keras.callbacks)


@pytest.mark.parametrize("name", KERAS)
def test_arguments_and_defaults_match_keras(name):
    assert_same_arguments(CALLBACKS, keras.callbacks, name)


@pytest.mark.parametrize("name", KERAS)
def test_built_callback_matches_keras(name):
    arguments = required(CALLBACKS.load(name))
    theirs = getattr(keras.callbacks, name)(**arguments)
    for home in (keras.callbacks, None):
        ours = keras_object(CALLBACKS.parse({"type": name, **arguments}), namespace=home)
        assert type(ours) is type(theirs)
        assert vars(ours) == vars(theirs)


@pytest.mark.parametrize("name", CALLBACKS.names)
def test_plain_form_round_trip(name):
    assert_round_trip(CALLBACKS, name)


@pytest.mark.parametrize("name", CALLBACKS.unavailable)
def test_unavailable_callback_has_a_hint(name):
    error = refusal(CallbackField, name)
    assert error["code"] == "refused-type"
    assert error["hint"]


@pytest.mark.parametrize(
    ("name", "arguments", "at"),
    [
        ("ReduceLROnPlateau", {"factor": 1.0}, "factor"),
        ("TensorBoard", {"profile_batch": -1}, "profile_batch"),
        ("TensorBoard", {"profile_batch": [5, 2]}, "profile_batch"),
        ("TensorBoard", {"profile_batch": [1, 2, 3]}, "profile_batch"),
        ("EarlyStopping", {"monitors": "loss"}, "monitors"),
    ],
)
def test_arguments_rejected_by_keras(name, arguments, at):
    with pytest.raises((ValueError, TypeError)):
        getattr(keras.callbacks, name)(**arguments)
    error = refusal(CallbackField, {"type": name, **arguments})
    assert error["at"][0] == at
    assert at in error["message"]


def test_mode_with_a_keras_warning_is_rejected():
    with pytest.warns(UserWarning, match="unknown"):
        keras.callbacks.EarlyStopping(mode="less")
    assert refusal(CallbackField, {"type": "EarlyStopping", "mode": "less"})["at"] == ("mode",)


@pytest.mark.parametrize(
    ("name", "arguments", "at"),
    [
        ("EarlyStopping", {"patience": -1}, "patience"),
        ("EarlyStopping", {"monitor": ""}, "monitor"),
        ("ReduceLROnPlateau", {"factor": 0}, "factor"),
        ("ReduceLROnPlateau", {"min_lr": -1}, "min_lr"),
        ("CSVLogger", {"filename": "a.csv", "separator": ";;"}, "separator"),
        ("CSVLogger", {"filename": "a.csv", "separator": "\n"}, "separator"),
        ("CSVLogger", {}, "filename"),
        ("TensorBoard", {"update_freq": 0}, "update_freq"),
        ("TensorBoard", {"update_freq": "step"}, "update_freq"),
        ("TensorBoard", {"update_freq": []}, "update_freq"),
        ("TensorBoard", {"profile_batch": "2,3"}, "profile_batch"),
        ("TensorBoard", {"profile_batch": [1, 1001]}, "profile_batch"),
    ],
)
def test_arguments_that_fail_late_are_rejected(name, arguments, at):
    assert refusal(CallbackField, {"type": name, **arguments})["at"][0] == at


OUTSIDE = [
    "/etc/passwd",
    "../log.csv",
    "a/../../log.csv",
    "..",
    ".",
    "./a",
    "a//b",
    "~/log.csv",
    "~",
    "/",
    "",
    "C:/log.csv",
    "C:log.csv",
    "C:\\log.csv",
    "a\\..\\b",
    "\\\\host\\share",
    "//host/share",
    "log.csv:stream",
    "gs://bucket/log",
    "file:///etc/passwd",
    "$HOME/log",
    "%TEMP%/log",
    "NUL",
    "a/con.csv",
    ".hidden",
    "a\0b",
    "a\nb",
    "a/\u202e",
    "a ",
    "a/.. /b",
    "a/...",
    "x" * 201,
]


@pytest.mark.parametrize("path", [*OUTSIDE, 5, None, ["a"]])
def test_path_outside_the_run_directory_is_rejected(path):
    error = refusal(CallbackField, {"type": "CSVLogger", "filename": path})
    assert error["at"] == ("filename",)
    assert error["code"] in ("bad-path", "wrong-type")


@pytest.mark.parametrize("path", OUTSIDE)
@pytest.mark.parametrize("place", [("log_dir",), ("embeddings_metadata",), ("embeddings_metadata", "words")])
def test_tensorboard_path_outside_the_run_directory_is_rejected(place, path):
    value = {place[1]: path} if len(place) == 2 else path
    error = refusal(CallbackField, {"type": "TensorBoard", place[0]: value})
    assert error["at"] == (place[0],)


@pytest.mark.parametrize(
    "path", [*sorted(RESERVED_RUN_FILES), "Model.keras", "config.yaml/x", "my_layers.py", "lib/own.PY"]
)
def test_reserved_run_file_is_rejected(path):
    assert "layercli itself" in refusal(CallbackField, {"type": "CSVLogger", "filename": path})["message"]


def test_all_run_files_are_reserved():
    assert {runs.CONFIG, runs.MANIFEST, runs.HISTORY, runs.MODEL, runs.SUMMARY} <= RESERVED_RUN_FILES


@pytest.mark.parametrize("path", ["log.csv", "logs/my run-1.v2.csv", "a/b/c", "größe.csv", "_log"])
def test_path_inside_the_run_directory_is_unchanged(path):
    assert CALLBACKS.parse({"type": "CSVLogger", "filename": path}).arguments()["filename"] == path


def test_embeddings_metadata_is_copied_for_keras():
    declared = CALLBACKS.parse({"type": "TensorBoard", "embeddings_metadata": {"words": "words.tsv"}})
    keras_object(declared).embeddings_metadata.clear()
    assert declared.arguments()["embeddings_metadata"] == {"words": "words.tsv"}


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("EarlyStopping", "val_loss"),
        ({"type": "ReduceLROnPlateau", "monitor": "val_auc"}, "val_auc"),
        ("TerminateOnNaN", None),
        ("TensorBoard", None),
    ],
)
def test_get_monitor(value, name):
    assert get_monitor(TypeAdapter(CallbackField).validate_python(value)) == name


@pytest.mark.parametrize("value", ["epoch", "batch", 1, 2_147_483_647])
def test_update_freq_is_epoch_batch_or_a_positive_integer(value):
    callback = CALLBACKS.load("TensorBoard").model_validate({"log_dir": "logs", "update_freq": value})
    assert callback.update_freq == value


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (0, "out-of-range"),
        (-1, "out-of-range"),
        (2**31, "out-of-range"),
        (True, "unknown-value"),
        (1.0, "unknown-value"),
        ("step", "unknown-value"),
    ],
)
def test_other_values_of_update_freq_are_refused(value, code):
    with pytest.raises(ValidationError) as caught:
        CALLBACKS.load("TensorBoard").model_validate({"log_dir": "logs", "update_freq": value})
    assert caught.value.errors()[0]["type"] == code
