import keras
import numpy as np
import pytest
from keras.src.metrics import ALL_OBJECTS_DICT
from keras.src.utils.naming import reset_uids, to_snake_case
from pydantic import TypeAdapter

from layercli.config.training.log_names import collect_log_names
from layercli.config.training.metrics import metric_direction, metric_log_name
from layercli.config.training.registry import METRICS, SHAPE_DEPENDENT_METRICS, parse_metric
from layercli.config.training.section import TrainSection
from layercli.config.training.types import MetricField
from layercli.engine.keras_objects import keras_object
from layercli.schema.component import Component, snake_case
from tests.config.against_keras import (
    assert_built_alike,
    assert_complete,
    assert_round_trip,
    assert_same_arguments,
    refusal,
    required,
)


def logged_names(metrics):
    """The names of these metrics, of a model with one output."""
    return list(collect_log_names(TrainSection.model_construct(loss="mse", metrics=metrics)))[1:]


RESOLVED_BY_KERAS = sorted(name for name in ALL_OBJECTS_DICT if METRICS.find(name))


@pytest.fixture(autouse=True)
def _a_fresh_count_of_names():
    reset_uids()


def test_every_metric_of_keras_is_described_or_refused():
    assert_complete(METRICS, keras.metrics)


@pytest.mark.parametrize("name", METRICS.names)
def test_arguments_and_defaults_are_those_of_keras(name):
    assert_same_arguments(METRICS, keras.metrics, name)


@pytest.mark.parametrize("name", METRICS.names)
def test_a_metric_is_built_as_keras_builds_it(name):
    assert_built_alike(METRICS, keras.metrics, name)


@pytest.mark.parametrize("name", METRICS.names)
def test_what_is_written_out_is_read_back(name):
    assert_round_trip(METRICS, name)


@pytest.mark.parametrize("name", METRICS.names)
def test_the_direction_is_the_one_that_keras_tells(name):
    arguments = required(METRICS.load(name))
    theirs = getattr(getattr(keras.metrics, name)(**arguments), "_direction", None)
    assert (
        metric_direction(parse_metric({"type": name, **arguments}))
        == {"up": "max", "down": "min", None: None}[theirs]
    )


@pytest.mark.parametrize("name", [*METRICS.names, "Mean2DOf3", "HTTPServer"])
def test_snake_case_is_that_of_keras(name):
    assert snake_case(name) == to_snake_case(name)


def test_every_name_that_keras_resolves_is_resolved_or_refused():
    unknown = {name for name in ALL_OBJECTS_DICT if METRICS.find(name) is None}
    assert {METRICS.find(name) for name in RESOLVED_BY_KERAS} == set(METRICS.names)
    assert all(refusal(MetricField, name)["code"] == "refused-type" for name in unknown)


@pytest.mark.parametrize("alias", METRICS.aliases)
def test_no_alias_is_known_here_that_keras_does_not_know(alias):
    assert keras.metrics.get(alias)


@pytest.mark.parametrize("name", [*SHAPE_DEPENDENT_METRICS, "ACC", "Accuracy"])
def test_a_metric_that_keras_chooses_by_shapes_stays_a_name(name):
    assert TypeAdapter(MetricField).validate_python(name) == name


@pytest.mark.parametrize("name", ["crossentropy", "ce"])
def test_the_choice_among_crossentropies_is_for_losses_alone_as_in_keras(name):
    with pytest.raises(ValueError, match="Could not interpret metric"):
        keras.metrics.get(name)
    assert "sparse_categorical_crossentropy" in refusal(MetricField, name)["hint"]


def history_keys(metrics, *, sparse=False):
    """The keys under which Keras records these metrics in a training."""
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, activation="softmax")])
    loss = "sparse_categorical_crossentropy" if sparse else "categorical_crossentropy"
    model.compile("sgd", loss, metrics=metrics, run_eagerly=True)
    labels = np.array([0, 1, 2, 3] * 2)
    x, y = np.random.default_rng(0).random((8, 3)), labels if sparse else np.eye(4)[labels]
    keys = model.fit(x, y, validation_data=(x, y), verbose=0).history.keys()
    return sorted(key for key in keys if key not in ("loss", "val_loss"))


def with_validation(names):
    return sorted([*names, *(f"val_{name}" for name in names)])


def build(metrics):
    return [
        keras_object(metric, namespace=keras.metrics) if isinstance(metric, Component) else metric
        for metric in metrics
    ]


def is_sparse(name):
    return name.lower().startswith("sparse")


NEEDS_NO_ARGUMENT = [name for name in RESOLVED_BY_KERAS if not required(METRICS.load(METRICS.find(name)))]


@pytest.mark.parametrize("sparse", [False, True])
def test_a_bare_name_is_logged_as_keras_logs_it(sparse):
    names = [name for name in NEEDS_NO_ARGUMENT if is_sparse(name) is sparse] + ["accuracy", "acc", "ACC"]
    names = list(dict.fromkeys(names))
    parsed = [parse_metric(name) for name in names]
    expected = history_keys(names, sparse=sparse)
    assert with_validation(logged_names(parsed)) == expected
    assert history_keys(build(parsed), sparse=sparse) == expected


@pytest.mark.parametrize("sparse", [False, True])
def test_an_instance_is_logged_as_keras_logs_it(sparse):
    # segmentation takes images; the names of its metrics are compared below
    kinds = [
        name
        for name in METRICS.names
        if METRICS.modules[name] != "segmentation_metrics" and is_sparse(name) is sparse
    ]
    theirs = [getattr(keras.metrics, name)(**required(METRICS.load(name))) for name in kinds]
    parsed = [parse_metric({"type": name, **required(METRICS.load(name))}) for name in kinds]
    assert with_validation(logged_names(parsed)) == history_keys(theirs, sparse=sparse)


@pytest.mark.parametrize("name", METRICS.names)
def test_an_instance_has_the_name_that_it_is_logged_under(name):
    arguments = required(METRICS.load(name))
    theirs = getattr(keras.metrics, name)(**arguments)
    assert metric_log_name(parse_metric({"type": name, **arguments})) == theirs.name


@pytest.mark.parametrize(
    "declared",
    [
        [{"type": "AUC"}, {"type": "AUC", "curve": "PR"}],
        ["mse", "mse", {"type": "AUC", "name": "mse"}],
        [{"type": "F1Score", "name": "f1"}, "f1_score"],
        [{"type": "MeanSquaredError", "name": None}],
    ],
)
def test_metrics_of_one_name_are_told_apart_as_keras_does(declared):
    parsed = [parse_metric(value) for value in declared]
    keras.metrics.AUC()  # what was built before does not count
    assert with_validation(logged_names(parsed)) == history_keys(build(parsed))


def test_a_spelling_that_keras_does_not_know_is_logged_as_it_is_written():
    assert metric_log_name(parse_metric("MeanSquared-Error")) == "MeanSquared-Error"


@pytest.mark.parametrize("name", ["Mean", "Sum"])
def test_a_metric_that_keras_cannot_train_with_is_refused(name):
    with pytest.raises(TypeError, match="multiple values"):
        history_keys([name])
    assert refusal(MetricField, name)["code"] == "refused-type"


@pytest.mark.parametrize(
    ("name", "arguments", "at"),
    [
        ("AUC", {"num_thresholds": 1}, "num_thresholds"),
        ("AUC", {"curve": "ROCK"}, "curve"),
        ("AUC", {"summation_method": "sum"}, "summation_method"),
        ("AUC", {"num_labels": 3}, "num_labels"),
        ("Precision", {"thresholds": 1.5}, "thresholds"),
        ("Recall", {"thresholds": [0.5, -0.1]}, "thresholds"),
        ("TruePositives", {"thresholds": [None]}, "thresholds"),
        ("PrecisionAtRecall", {"recall": 1.1}, "recall"),
        ("RecallAtPrecision", {"precision": -0.1}, "precision"),
        ("SensitivityAtSpecificity", {"specificity": 2}, "specificity"),
        ("SpecificityAtSensitivity", {"sensitivity": -1}, "sensitivity"),
        ("PrecisionAtRecall", {"num_thresholds": 0}, "num_thresholds"),
        ("F1Score", {"average": "mean"}, "average"),
        ("FBetaScore", {"beta": 0.0}, "beta"),
        ("F1Score", {"threshold": 0.0}, "threshold"),
        ("F1Score", {"threshold": 1.1}, "threshold"),
        ("R2Score", {"class_aggregation": "mean"}, "class_aggregation"),
        ("R2Score", {"num_regressors": -1}, "num_regressors"),
        ("IoU", {"num_classes": 2, "target_class_ids": [2]}, "target_class_ids"),
        ("OneHotIoU", {"num_classes": 2, "target_class_ids": [5]}, "target_class_ids"),
        ("BinaryIoU", {"target_class_ids": [2]}, "target_class_ids"),
        ("BinaryIoU", {"target_class_ids": []}, "target_class_ids"),
        ("MeanIoU", {"num_classes": 0}, "num_classes"),
        ("Accuracy", {"threshold": 1}, "threshold"),
    ],
)
def test_what_keras_refuses_is_refused_with_a_message(name, arguments, at):
    declared = required(METRICS.load(name)) | arguments
    with pytest.raises((ValueError, TypeError)):
        getattr(keras.metrics, name)(**declared)
    said = refusal(MetricField, {"type": name, **declared})
    assert said["at"][0] == at
    assert at in said["message"]


@pytest.mark.parametrize(
    "name", ["loss", "val_auc", "learning_rate", "epoch", "", "a b", "../x", "x" * 101, 5]
)
def test_a_name_that_would_spoil_the_history_is_refused(name):
    assert refusal(MetricField, {"type": "AUC", "name": name})["code"] == "bad-name"


def test_weights_are_as_many_as_labels():
    value = {"type": "AUC", "multi_label": True, "num_labels": 3, "label_weights": [1, 2]}
    assert refusal(MetricField, value)["at"] == ("label_weights",)


def test_a_missing_argument_of_a_bare_name_is_asked_for():
    assert refusal(MetricField, "mean_io_u")["code"] == "missing-key"


@pytest.mark.parametrize(
    ("written", "meant"),
    [("accurcy", "accuracy"), ("binary_accurcy", "BinaryAccuracy"), ("pecision", "Precision")],
)
def test_a_misspelt_metric_is_answered_with_the_right_one(written, meant):
    assert refusal(MetricField, written)["hint"] == f"Did you mean `{meant}`?"
