"""Names under which training logs, as Keras logs them, and the limits of names."""

import pytest
from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from layercli.config.names import assign_names, parse_layer_name
from layercli.config.training.log_names import collect_limits, collect_log_names
from layercli.config.training.section import TrainSection
from layercli.config.training.types import parse_log_name


def names(outputs=(), **keys):
    return collect_log_names(TrainSection.model_validate({"loss": "mse"} | keys), outputs)


INFINITY = float("inf")


def list_limits(outputs=(), **keys):
    return collect_limits(TrainSection.model_validate({"loss": "mse"} | keys), outputs)


def test_smallest_and_largest_values_of_metrics():
    found = list_limits(
        metrics=["mae", "accuracy", "AUC", "R2Score", "Poisson", "CosineSimilarity", "TruePositives"]
    )
    assert list(found.values()) == [
        (0, INFINITY),
        (0, INFINITY),
        (0, 1),
        (0, 1),
        (-INFINITY, 1),
        (-INFINITY, INFINITY),
        (-1, 1),
        (0, INFINITY),
    ]
    assert list(list_limits(metrics=["BinaryIoU", "KLDivergence"]).values()) == [
        (0, INFINITY),
        (0, 1),
        (-INFINITY, INFINITY),
    ]


def test_losses_that_can_be_negative_have_no_smallest_value():
    assert list_limits(loss="ce") == {"loss": (0, INFINITY)}
    assert list_limits(loss="CosineSimilarity") == {"loss": (-INFINITY, INFINITY)}
    assert list_limits(loss="losses.py:focal") == {"loss": (-INFINITY, INFINITY)}
    mixed = list_limits(loss={"a": "mse", "b": "Poisson"}, outputs=["a", "b"])
    assert mixed == dict.fromkeys(["loss", "a_loss", "b_loss"], (-INFINITY, INFINITY))


def test_loss_and_metrics_with_their_direction():
    found = names(metrics=["mae", "accuracy", {"type": "Precision", "name": "p"}], weighted_metrics=["mae"])
    assert found == {"loss": "min", "mae": "min", "accuracy": "max", "p": "max", "weighted_mae": "min"}


def test_names_of_several_outputs_have_a_prefix():
    found = names(["a", "b"], loss={"a": "mse", "b": "mse"}, metrics={"a": ["mae"], "b": ["mae", "accuracy"]})
    assert found == {
        "loss": "min",
        "a_loss": "min",
        "b_loss": "min",
        "a_mae": "min",
        "b_mae": "min",
        "b_accuracy": "max",
    }
    assert list(names(["a"], loss={"a": "mse"}, metrics={"a": ["mae"]})) == ["loss", "mae"]


@pytest.mark.parametrize(("name", "is_valid"), [("a" * 100, True), ("a" * 101, False), ("a.b-c_d", True)])
def test_log_name_has_at_most_100_characters(name, is_valid):
    if is_valid:
        assert parse_log_name(name) == name
    else:
        with pytest.raises(PydanticCustomError, match="`name` must consist of letters"):
            parse_log_name(name)


@pytest.mark.parametrize("name", ["", ".a", "a b", "a/b", 3])
def test_invalid_log_name_is_refused(name):
    with pytest.raises((PydanticCustomError, ValidationError)):
        parse_log_name(name)
    assert parse_log_name(None) is None


def test_layer_name_has_at_most_250_characters():
    assert parse_layer_name("a" * 250) == "a" * 250
    for name in ("a" * 251, "input", "previous", "a/b", ""):
        with pytest.raises(PydanticCustomError):
            parse_layer_name(name)


def test_free_names_are_numbered_as_in_keras():
    requests = [(None, "dense"), (None, "dense"), ("dense_2", "dense"), (None, "dense"), (None, "flatten")]
    assert assign_names(requests) == ["dense", "dense_1", "dense_2", "dense_3", "flatten"]
    assert assign_names([(None, "dense"), (None, "dense")], ["dense"]) == ["dense_1", "dense_2"]
    assert assign_names([(None, "a_1"), (None, "a"), (None, "a")]) == ["a_1", "a", "a_2"]
