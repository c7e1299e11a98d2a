import inspect

import keras
import pytest
from keras.src.losses import ALL_OBJECTS_DICT
from pydantic import TypeAdapter

from layercli.config.training.registry import LOSSES, SHAPE_DEPENDENT_LOSSES, parse_loss
from layercli.config.training.types import LossField
from layercli.engine.keras_objects import keras_object
from layercli.schema.component import Component
from tests.config.against_keras import (
    assert_built_alike,
    assert_complete,
    assert_round_trip,
    assert_same_arguments,
    refusal,
    required,
)

RESOLVED_BY_KERAS = sorted(name for name in ALL_OBJECTS_DICT if name not in ("Loss", "LossFunctionWrapper"))


def test_catalogue_covers_all_keras_losses():
    assert_complete(LOSSES, keras.losses)


@pytest.mark.parametrize("name", LOSSES.names)
def test_arguments_and_defaults_match_keras(name):
    assert_same_arguments(LOSSES, keras.losses, name)


@pytest.mark.parametrize("name", LOSSES.names)
def test_built_loss_matches_keras(name):
    assert_built_alike(LOSSES, keras.losses, name)


@pytest.mark.parametrize("name", LOSSES.names)
def test_plain_form_round_trip(name):
    assert_round_trip(LOSSES, name)


@pytest.mark.parametrize("name", RESOLVED_BY_KERAS)
def test_names_resolve_to_the_same_loss_as_in_keras(name):
    theirs = keras.losses.get(name)
    ours = keras_object(parse_loss(name), namespace=keras.losses)
    if isinstance(theirs, keras.losses.Loss):
        assert type(ours) is type(theirs)
        return
    assert ours.fn is theirs
    defaults = {
        key: p.default for key, p in inspect.signature(theirs).parameters.items() if p.default is not p.empty
    }
    assert {key: defaults[key] for key in ours._fn_kwargs} == ours._fn_kwargs


@pytest.mark.parametrize("alias", LOSSES.aliases)
def test_aliases_exist_in_keras(alias):
    assert keras.losses.get(alias)


@pytest.mark.parametrize("name", [*SHAPE_DEPENDENT_LOSSES, "CE"])
def test_shape_dependent_loss_stays_a_name(name):
    assert TypeAdapter(LossField).validate_python(name) == name
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, activation="softmax")])
    model.compile(loss=name)
    model.compute_loss(y=keras.ops.ones((4,)), y_pred=keras.ops.ones((4, 3)))
    assert model._compile_loss._flat_losses[0].loss.fn is keras.losses.sparse_categorical_crossentropy


def test_shape_dependent_loss_has_no_arguments():
    assert TypeAdapter(LossField).validate_python({"type": "crossentropy"}) == "crossentropy"
    error = refusal(LossField, {"type": "crossentropy", "from_logits": True})
    assert error["code"] == "refused-type"
    assert "CategoricalCrossentropy for one-hot targets" in error["hint"]


@pytest.mark.parametrize(
    ("name", "arguments", "at"),
    [
        ("CategoricalGeneralizedCrossEntropy", {"q": 0.0}, "q"),
        ("CategoricalGeneralizedCrossEntropy", {"q": 1.0}, "q"),
        ("MeanSquaredError", {"reduction": "average"}, "reduction"),
        ("MeanSquaredError", {"dtype": "float31"}, "dtype"),
        ("MeanSquaredError", {"delta": 1.0}, "delta"),
    ],
)
def test_arguments_rejected_by_keras(name, arguments, at):
    with pytest.raises((ValueError, TypeError)):
        getattr(keras.losses, name)(**arguments)
    error = refusal(LossField, {"type": name, **arguments})
    assert error["at"][0] == at
    assert at in error["message"]


@pytest.mark.parametrize(
    ("name", "arguments", "at"),
    [
        ("BinaryCrossentropy", {"label_smoothing": 1.1}, "label_smoothing"),
        ("BinaryCrossentropy", {"axis": True}, "axis"),
        ("BinaryFocalCrossentropy", {"alpha": -0.1}, "alpha"),
        ("CategoricalFocalCrossentropy", {"alpha": [0.1, -1]}, "alpha"),
        ("CategoricalFocalCrossentropy", {"alpha": [[0.1]]}, "alpha"),
        ("CategoricalFocalCrossentropy", {"alpha": "much"}, "alpha"),
        ("Huber", {"delta": 0}, "delta"),
        ("Dice", {"axis": ["one"]}, "axis"),
        ("Huber", {"name": "a/../b"}, "name"),
    ],
)
def test_meaningless_arguments_are_rejected(name, arguments, at):
    assert refusal(LossField, {"type": name, **arguments})["at"][0] == at


@pytest.mark.parametrize(
    "value",
    [
        {"type": "CategoricalFocalCrossentropy", "alpha": [0.1, 0.9]},
        {"type": "Dice", "axis": [1, 2], "name": None},
        {
            "type": "sparse_categorical_crossentropy",
            "from_logits": True,
            "ignore_class": -1,
            "dtype": "float64",
        },
    ],
)
def test_keras_receives_the_declared_arguments(value):
    declared = parse_loss(value)
    assert isinstance(declared, Component)
    config = keras_object(declared, namespace=keras.losses).get_config()
    declared_arguments = {key: item for key, item in value.items() if key in config and key != "name"}
    assert {key: config[key] for key in declared_arguments} == declared_arguments


@pytest.mark.parametrize("name", LOSSES.names)
def test_examples_are_valid(name):
    assert parse_loss({"type": name, **required(LOSSES.load(name))})


def test_base_class_has_a_hint():
    assert refusal(LossField, "Loss")["hint"]
