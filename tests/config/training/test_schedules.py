import keras
import pytest
from keras.optimizers import schedules

from layercli.config.training.registry import SCHEDULES
from layercli.config.training.types import OptimizerField
from tests.config.against_keras import (
    assert_built_alike,
    assert_complete,
    assert_round_trip,
    assert_same_arguments,
    refusal,
    required,
)


def test_catalogue_covers_all_keras_schedules():
    assert_complete(SCHEDULES, schedules)


@pytest.mark.parametrize("name", SCHEDULES.names)
def test_arguments_and_defaults_match_keras(name):
    assert_same_arguments(
        SCHEDULES, schedules, name, left_out=("name",)
    )  # the name of an op's scope, no more


@pytest.mark.parametrize("name", SCHEDULES.names)
def test_built_schedule_matches_keras(name):
    assert_built_alike(SCHEDULES, schedules, name)


@pytest.mark.parametrize("name", SCHEDULES.names)
def test_plain_form_round_trip(name):
    assert_round_trip(SCHEDULES, name)


REFUSED = [
    ("ExponentialDecay", {"decay_steps": 0}, "decay_steps"),
    ("InverseTimeDecay", {"decay_steps": -1}, "decay_steps"),
    ("PolynomialDecay", {"decay_steps": 0}, "decay_steps"),
    ("CosineDecay", {"decay_steps": 0}, "decay_steps"),
    ("CosineDecayRestarts", {"first_decay_steps": 0}, "first_decay_steps"),
    ("PiecewiseConstantDecay", {"values": [0.1]}, "values"),
    ("PiecewiseConstantDecay", {"boundaries": [], "values": [0.1]}, "boundaries"),
]


@pytest.mark.parametrize(("name", "arguments", "at"), REFUSED)
def test_arguments_rejected_by_keras(name, arguments, at):
    declared = required(SCHEDULES.load(name)) | arguments
    with pytest.raises((ValueError, IndexError)):
        getattr(schedules, name)(**declared)(5)
    error = refusal(OptimizerField, {"type": "SGD", "learning_rate": {"type": name, **declared}})
    assert error["at"][:2] == ("learning_rate", at)
    assert at in error["message"]


@pytest.mark.parametrize(
    ("name", "arguments", "at"),
    [
        ("PiecewiseConstantDecay", {"boundaries": [2000, 1000]}, "boundaries"),
        ("CosineDecay", {"initial_learning_rate": -1}, "initial_learning_rate"),
        ("CosineDecayRestarts", {"t_mul": 0.5}, "t_mul"),
        ("PolynomialDecay", {"power": -1}, "power"),
    ],
)
def test_arguments_with_invalid_rates_are_rejected(name, arguments, at):
    error = refusal(
        OptimizerField,
        {"type": "SGD", "learning_rate": {"type": name, **required(SCHEDULES.load(name)), **arguments}},
    )
    assert error["at"][:2] == ("learning_rate", at)


def test_number_of_piecewise_values_is_named():
    declared = {"type": "PiecewiseConstantDecay", "boundaries": [1, 2], "values": [0.1]}
    error = refusal(OptimizerField, {"type": "SGD", "learning_rate": declared})
    assert error["message"].endswith(": expected 3, got 1.")
    assert error["hint"] == "Set 3 values."


def test_integer_rate_equals_float_rate():
    declared = {"type": "ExponentialDecay", "initial_learning_rate": 1, "decay_steps": 10, "decay_rate": 0.5}
    schedule = SCHEDULES.parse(declared)
    built = schedules.ExponentialDecay(**schedule.arguments())
    assert float(keras.ops.convert_to_numpy(built(10))) == pytest.approx(0.5)
