import subprocess
import sys

import keras
import pytest
from pydantic import TypeAdapter, ValidationError

from layercli.config.training.registry import OPTIMIZERS
from layercli.config.training.types import OptimizerField
from layercli.engine.keras_objects import keras_object
from tests.config.against_keras import (
    assert_built_alike,
    assert_complete,
    assert_round_trip,
    assert_same_arguments,
    refusal,
)

SCHEDULE = {"type": "CosineDecay", "initial_learning_rate": 0.1, "decay_steps": 10}


def test_catalogue_covers_all_keras_optimizers():
    assert_complete(OPTIMIZERS, keras.optimizers)


@pytest.mark.parametrize("name", OPTIMIZERS.names)
def test_arguments_and_defaults_match_keras(name):
    assert_same_arguments(OPTIMIZERS, keras.optimizers, name, left_out=("name",))


@pytest.mark.parametrize("name", OPTIMIZERS.names)
def test_built_optimizer_matches_keras(name):
    assert_built_alike(OPTIMIZERS, keras.optimizers, name, apart_from=("name",))


@pytest.mark.parametrize("name", OPTIMIZERS.names)
def test_plain_form_round_trip(name):
    assert_round_trip(OPTIMIZERS, name)


@pytest.mark.parametrize("name", OPTIMIZERS.names)
def test_names_are_case_insensitive(name):
    assert type(OPTIMIZERS.parse(name.lower())).__name__ == name


def test_optimizer_with_a_schedule():
    built = keras_object(
        OPTIMIZERS.parse({"type": "Adam", "learning_rate": SCHEDULE}), namespace=keras.optimizers
    )
    assert built.get_config()["learning_rate"]["class_name"] == "CosineDecay"


def test_plain_form_of_a_schedule_round_trip():
    declared = OPTIMIZERS.parse({"type": "Adam", "learning_rate": SCHEDULE})
    assert OPTIMIZERS.parse(declared.to_plain()) == declared
    assert declared.to_plain()["learning_rate"]["type"] == "CosineDecay"


def test_integer_learning_rate():
    built = keras_object(OPTIMIZERS.parse({"type": "SGD", "learning_rate": 1, "momentum": 1}))
    assert built.get_config()["learning_rate"] == 1.0


REFUSED_BY_KERAS = [
    ("Adam", {"learning_rate": None}, "learning_rate"),
    ("Adam", {"learning_rate": True}, "learning_rate"),
    ("Adam", {"clipnorm": 1.0, "clipvalue": 1.0}, "clipvalue"),
    ("Adam", {"clipnorm": 1.0, "global_clipnorm": 1.0}, "global_clipnorm"),
    ("Adam", {"clipvalue": 1.0, "global_clipnorm": 1.0}, "global_clipnorm"),
    ("Adam", {"use_ema": True, "ema_momentum": 1.1}, "ema_momentum"),
    ("Adam", {"use_ema": True, "ema_momentum": -0.1}, "ema_momentum"),
    ("Adam", {"use_ema": True, "ema_overwrite_frequency": -1}, "ema_overwrite_frequency"),
    ("Adam", {"use_ema": True, "ema_overwrite_frequency": 1.5}, "ema_overwrite_frequency"),
    ("Adam", {"gradient_accumulation_steps": 1}, "gradient_accumulation_steps"),
    ("Adam", {"unknown": 1}, "unknown"),
    ("AdamW", {"weight_decay": None}, "weight_decay"),
    ("SGD", {"momentum": 1.5}, "momentum"),
    ("SGD", {"momentum": -0.5}, "momentum"),
    ("Lion", {"beta_1": 0.0}, "beta_1"),
    ("Lion", {"beta_1": 1.5}, "beta_1"),
    ("Ftrl", {"initial_accumulator_value": -0.1}, "initial_accumulator_value"),
    ("Ftrl", {"learning_rate_power": 0.5}, "learning_rate_power"),
    ("Ftrl", {"l1_regularization_strength": -1.0}, "l1_regularization_strength"),
    ("Ftrl", {"l2_regularization_strength": -1.0}, "l2_regularization_strength"),
    ("Ftrl", {"l2_shrinkage_regularization_strength": -1.0}, "l2_shrinkage_regularization_strength"),
]


@pytest.mark.parametrize(("name", "arguments", "at"), REFUSED_BY_KERAS)
def test_arguments_rejected_by_keras(name, arguments, at):
    with pytest.raises((ValueError, TypeError)):
        getattr(keras.optimizers, name)(**arguments)
    error = refusal(OptimizerField, {"type": name, **arguments})
    assert error["at"][0] == at
    assert at in error["message"]


@pytest.mark.parametrize(
    ("name", "arguments", "at"),
    [
        ("Adam", {"beta_1": 1.0}, "beta_1"),
        ("Adam", {"beta_2": 1}, "beta_2"),
        ("Adam", {"clipnorm": 0}, "clipnorm"),
        ("Adam", {"learning_rate": -0.1}, "learning_rate"),
        ("Adam", {"learning_rate": float("nan")}, "learning_rate"),
        ("Adam", {"learning_rate": 10**400}, "learning_rate"),
        ("Adam", {"learning_rate": [0.1]}, "learning_rate"),
        ("RMSprop", {"rho": 1.1}, "rho"),
        ("ScheduleFreeAdamW", {"beta_1": 0}, "beta_1"),
        ("Muon", {"exclude_layers": ["("]}, "exclude_layers"),
    ],
)
def test_unusable_arguments_are_rejected(name, arguments, at):
    error = refusal(OptimizerField, {"type": name, **arguments})
    assert error["at"][0] == at


@pytest.mark.parametrize("rate", ["0.001", "1e-3", " 1"])
def test_quoted_number_has_a_hint(rate):
    error = refusal(OptimizerField, {"type": "Adam", "learning_rate": rate})
    assert error["hint"] == f"Remove the quotes: `{rate.strip()}`."


def test_misspelt_schedule_has_a_suggestion():
    error = refusal(OptimizerField, {"type": "Adam", "learning_rate": {"type": "CosineDecai"}})
    assert error["at"] == ("learning_rate", "type")
    assert "CosineDecay" in error["hint"]


@pytest.mark.parametrize("name", OPTIMIZERS.unavailable)
def test_unavailable_optimizer_has_a_hint(name):
    error = refusal(OptimizerField, name)
    assert error["code"] == "refused-type"
    assert error["hint"]


def test_lr_hint_names_learning_rate():
    assert "learning_rate" in refusal(OptimizerField, {"type": "Adam", "lr": 0.1})["hint"]


def test_misspelt_optimizer():
    with pytest.raises(ValidationError, match="There is no optimizer"):
        TypeAdapter(OptimizerField).validate_python("Adma")


@pytest.mark.parametrize(
    ("kind", "value", "module"),
    [
        ("Optimizer", "adam", "optimizers"),
        ("Loss", "mse", "losses"),
        ("Metric", "mse", "metrics"),
        ("Callback", "EarlyStopping", "callbacks"),
    ],
)
def test_bare_name_imports_one_module_and_no_framework(kind, value, module):
    code = f"""
import sys
from pydantic import TypeAdapter
from layercli.config.training import types
TypeAdapter(types.{kind}Field).validate_python({value!r})
from layercli.config.training.registry import CALLBACKS, LOSSES, METRICS, OPTIMIZERS, SCHEDULES
catalogues = (CALLBACKS, LOSSES, METRICS, OPTIMIZERS, SCHEDULES)
ours = {{module for catalogue in catalogues for module in catalogue.modules.values()}}
loaded = {{name for name in ours if "layercli.config.training." + name in sys.modules}}
assert loaded == {{{module!r}}}, loaded
assert not {{"tensorflow", "keras", "numpy"}} & sys.modules.keys()
"""
    subprocess.run([sys.executable, "-c", code], check=True)
