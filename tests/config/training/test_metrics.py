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
    """Return the log names of metrics for a model with one output."""
    return list(collect_log_names(TrainSection.model_construct(loss="mse", metrics=metrics)))[1:]


RESOLVED_BY_KERAS = sorted(name for name in ALL_OBJECTS_DICT if METRICS.find(name))


@pytest.fixture(autouse=True)
def _a_fresh_count_of_names():
    reset_uids()


def test_catalogue_covers_all_keras_metrics():
    assert_complete(METRICS, keras.metrics)


@pytest.mark.parametrize("name", METRICS.names)
def test_arguments_and_defaults_match_keras(name):
    assert_same_arguments(METRICS, keras.metrics, name)


@pytest.mark.parametrize("name", METRICS.names)
def test_built_metric_matches_keras(name):
    assert_built_alike(METRICS, keras.metrics, name)


@pytest.mark.parametrize("name", METRICS.names)
def test_plain_form_round_trip(name):
    assert_round_trip(METRICS, name)


@pytest.mark.parametrize("name", METRICS.names)
def test_direction_matches_keras(name):
    arguments = required(METRICS.load(name))
    theirs = getattr(getattr(keras.metrics, name)(**arguments), "_direction", None)
    assert (
        metric_direction(parse_metric({"type": name, **arguments}))
        == {"up": "max", "down": "min", None: None}[theirs]
    )


@pytest.mark.parametrize("name", [*METRICS.names, "Mean2DOf3", "HTTPServer"])
def test_snake_case_matches_keras(name):
    assert snake_case(name) == to_snake_case(name)


def test_catalogue_covers_all_names_that_keras_resolves():
    unknown = {name for name in ALL_OBJECTS_DICT if METRICS.find(name) is None}
    assert {METRICS.find(name) for name in RESOLVED_BY_KERAS} == set(METRICS.names)
    assert all(refusal(MetricField, name)["code"] == "refused-type" for name in unknown)


@pytest.mark.parametrize("alias", sorted(set(METRICS.aliases) - {"acc"}))
def test_aliases_exist_in_keras(alias):
    assert keras.metrics.get(alias)


@pytest.mark.parametrize("name", [*SHAPE_DEPENDENT_METRICS, "ACC", "Accuracy"])
def test_shape_dependent_metric_stays_a_name(name):
    assert TypeAdapter(MetricField).validate_python(name) == name


@pytest.mark.parametrize("name", ["crossentropy", "ce"])
def test_bare_crossentropy_is_not_a_metric_as_in_keras(name):
    with pytest.raises(ValueError, match="Could not interpret metric"):
        keras.metrics.get(name)
    assert "sparse_categorical_crossentropy" in refusal(MetricField, name)["hint"]


def history_keys(metrics, *, sparse=False):
    """Return the keys of these metrics in a Keras history."""
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
def test_log_name_of_a_bare_name_matches_keras(sparse):
    names = [name for name in NEEDS_NO_ARGUMENT if is_sparse(name) is sparse] + ["accuracy", "acc", "ACC"]
    names = list(dict.fromkeys(names))
    parsed = [parse_metric(name) for name in names]
    expected = history_keys(names, sparse=sparse)
    assert with_validation(logged_names(parsed)) == expected
    assert history_keys(build(parsed), sparse=sparse) == expected


@pytest.mark.parametrize("sparse", [False, True])
def test_log_name_of_an_instance_matches_keras(sparse):
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
def test_instance_name_equals_its_log_name(name):
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
def test_duplicate_names_are_numbered_as_in_keras(declared):
    parsed = [parse_metric(value) for value in declared]
    keras.metrics.AUC()  # what was built before does not count
    assert with_validation(logged_names(parsed)) == history_keys(build(parsed))


def test_log_name_of_an_unusual_spelling():
    assert metric_log_name(parse_metric("MeanSquared-Error")) == "MeanSquared-Error"


@pytest.mark.parametrize("name", ["Mean", "Sum"])
def test_metric_unusable_in_training_is_rejected(name):
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
def test_arguments_rejected_by_keras(name, arguments, at):
    declared = required(METRICS.load(name)) | arguments
    with pytest.raises((ValueError, TypeError)):
        getattr(keras.metrics, name)(**declared)
    error = refusal(MetricField, {"type": name, **declared})
    assert error["at"][0] == at
    assert at in error["message"]


@pytest.mark.parametrize(
    "name", ["loss", "val_auc", "learning_rate", "epoch", "", "a b", "../x", "x" * 101, 5]
)
def test_name_in_conflict_with_the_history_is_rejected(name):
    assert refusal(MetricField, {"type": "AUC", "name": name})["code"] == "bad-name"


def test_label_weights_need_one_weight_per_label():
    value = {"type": "AUC", "multi_label": True, "num_labels": 3, "label_weights": [1, 2]}
    assert refusal(MetricField, value)["at"] == ("label_weights",)


def test_bare_name_with_a_missing_argument():
    assert refusal(MetricField, "mean_io_u")["code"] == "missing-key"


@pytest.mark.parametrize(
    ("written", "meant"),
    [("accurcy", "accuracy"), ("binary_accurcy", "BinaryAccuracy"), ("pecision", "Precision")],
)
def test_misspelt_metric_has_a_suggestion(written, meant):
    assert refusal(MetricField, written)["hint"] == f"Did you mean `{meant}`?"
