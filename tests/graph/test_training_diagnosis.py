"""Warnings from statistics of layers: their codes, their lines, and none for healthy trainings."""

from typing import NamedTuple

import pytest

from layercli.check import check_config, require_valid
from layercli.graph.training_diagnosis import TrainingFacts, diagnose_training

CONFIG = """
data: {type: csv, path: t.csv, target: y}
model:
  input: [4]
  layers:
    - {type: Dense, name: first, units: 16, activation: relu}
    - {type: Dense, name: second, units: 16, activation: tanh}
    - {type: Dense, name: head, units: 3, activation: softmax}
train:
  epochs: 5
  optimizer: {type: Adam, learning_rate: 0.01}
  loss: sparse_categorical_crossentropy
"""
HEALTHY = {
    "mean": 0.1,
    "std": 1.0,
    "dead": None,
    "saturated": None,
    "gradient_norm": 0.1,
    "weight_norm": 4.0,
    "update_ratio": 0.002,
}
LOSSES = [1.0, 0.8, 0.6, 0.5, 0.4]


class Warned(NamedTuple):
    code: str
    line: int
    text: str
    hint: str


def record(epoch, **layers):
    """A record in which these layers differ from healthy ones; ``input`` is the scale of the inputs."""
    scale = layers.pop("input", 1.0)
    rows = [{"layer": name, **HEALTHY, **layers.get(name, {})} for name in ("first", "second", "head")]
    return {"epoch": epoch, "inputs": [{"input": "input", "mean": 0.0, "std": scale}], "layers": rows}


def diagnose(config=CONFIG, first=None, last=None, **facts):
    """Return code, line and message of each warning."""
    valid = require_valid(check_config("config.yaml", text=config))
    recent = [record(epoch, **(last or first or {})) for epoch in (3, 4, 5)]
    known = {"history": {"loss": LOSSES}, "first": record(0, **(first or {})), "constant_loss": 1.1}
    findings = diagnose_training(
        valid.shapes,
        valid.config.train,
        TrainingFacts(**{**known, "recent": recent, **facts}),
        frozen=valid.config.model.freeze,
    )
    problems = [valid.problem_from_finding(finding) for finding in findings]
    assert all(problem.severity == "warning" and problem.hint for problem in problems)
    return [Warned(problem.code, problem.line, problem.message, problem.hint) for problem in problems]


def places(warnings):
    return [(warning.code, warning.line) for warning in warnings]


def test_healthy_training_has_no_warnings():
    assert diagnose() == []
    early = {"update_ratio": 0.25}
    assert (
        diagnose(first={"first": early}, last={"first": {"dead": 0.49}, "second": {"saturated": 0.4}}) == []
    )


def test_dead_units_are_named_in_the_first_layer_only():
    dead = {"first": {"dead": 1.0, "gradient_norm": 0.0}, "head": {"dead": 1.0}}
    (warning,) = diagnose(first={"first": {"update_ratio": 0.001}}, last=dead)
    assert warning[:2] == ("dead-units", 6)
    assert warning.text.startswith("100 % of the units of `first` are dead since training")


def test_units_that_start_dead_are_named_at_their_initializer():
    config = CONFIG.replace("relu}", "relu,\n       bias_initializer: {type: Constant, value: -9}}")
    assert places(diagnose(config, first={"first": {"dead": 0.5}})) == [("dead-units", 7)]


def test_dead_units_of_an_activation_layer_are_those_of_the_layer_before():
    config = CONFIG.replace(
        "type: Dense, name: second, units: 16, activation: tanh", "type: ReLU, name: second"
    )
    config = config.replace(", activation: relu", "")
    no_weights = dict.fromkeys(("gradient_norm", "weight_norm", "update_ratio"))
    assert places(diagnose(config, first={"second": {"dead": 0.9, **no_weights}})) == [("dead-units", 6)]


def test_saturated_hidden_units_are_named_but_not_those_of_outputs():
    assert places(diagnose(first={"second": {"saturated": 0.5}})) == [("saturated", 7)]
    assert diagnose(CONFIG.replace("softmax", "sigmoid"), first={"head": {"saturated": 1.0}}) == []


@pytest.mark.parametrize(
    ("first", "last", "code"),
    [
        ({"first": {"update_ratio": 0.31}}, {}, "exploding-gradient"),
        ({}, {"second": {"update_ratio": 0.06}}, "exploding-gradient"),
        ({"first": {"update_ratio": 0.03, "dead": 0.1}}, {"first": {"dead": 0.6}}, "exploding-gradient"),
        ({"first": {"update_ratio": 0.03}}, {"second": {"saturated": 0.6}}, "exploding-gradient"),
        ({"first": {"update_ratio": 0.03}}, {"head": {"saturated": 0.6}}, None),
    ],
)
def test_high_rate_is_named_at_the_rate(first, last, code):
    assert places(diagnose(first=first, last=last)) == ([(code, 11)] if code else [])


def test_kernel_that_starts_at_zero_does_not_show_a_high_rate():
    zero = {"head": {"weight_norm": 0.0, "update_ratio": None}}
    assert diagnose(first=zero, last={"head": {"update_ratio": 0.09}}) == []


def test_high_rate_is_the_reason_if_the_loss_is_stuck_or_infinite():
    stuck = {"loss": [1.2, 1.1, 1.1, 1.1, 1.1]}
    high = {"first": {"update_ratio": 0.11}}
    assert places(diagnose(first=high, last={}, history=stuck)) == [("not-learning", 11)]
    nan = {"loss": [1.0, float("nan")]}
    diverged = diagnose(first=high, last={}, history=nan, is_diverged=True)
    assert places(diverged) == [("exploding-gradient", 11)]
    assert diverged[0].text.endswith("a step changes the weights by 11 %; about 0.1 % is usual.")


def test_low_rate_is_named_if_the_loss_is_stuck():
    low = {name: {"update_ratio": 1e-7} for name in ("first", "second", "head")}
    assert diagnose(first=low) == []
    assert places(diagnose(first=low, history={"loss": [1.1] * 3})) == [("not-learning", 11)]


def test_large_initial_weights_are_named_at_their_initializer():
    config = CONFIG.replace("tanh}", "tanh,\n       kernel_initializer: {type: RandomNormal, stddev: 50}}")
    large = {"weight_norm": 50.0 * 16}  # 256 weights; each output sums 16 of them: a factor of 200
    (warning,) = diagnose(config, first={"second": large})
    assert warning[:3] == (
        "exploding-gradient",
        8,
        "The initial weights of `second` are too large: they multiply its input by about 200.",
    )
    limit = {"weight_norm": 5.0 * 16}  # a factor of 20
    assert diagnose(config, first={"second": limit}) == []
    assert places(diagnose(config, first={"second": {**large, "saturated": 1.0}})) == [("saturated", 8)]
    assert diagnose(config, first={"second": large}, pretrained=["second"]) == []


@pytest.mark.parametrize(
    ("scale", "expected"),
    [
        (19.0, []),
        (21.0, [("exploding-gradient", 6)]),
        (1e-4, [("vanishing-gradient", 6)]),
        (0.002, []),
    ],
)
def test_unscaled_inputs_are_named_at_the_first_layer(scale, expected):
    assert places(diagnose(first={"input": scale})) == expected
    normalized = CONFIG.replace("  layers:\n", "  layers:\n    - {type: BatchNormalization, name: norm}\n")
    assert diagnose(normalized, first={"input": scale}) == []


def test_unscaled_inputs_are_named_by_what_they_do_to_the_first_layer():
    (warning,) = diagnose(first={"input": 21.0}, last={"input": 21.0, "first": {"saturated": 0.95}})
    assert (warning.code, warning.line) == ("saturated", 6)
    assert (
        "The inputs of `first` are not scaled: their typical size is 21, which is too large" in warning.text
    )


def test_frozen_random_layer_is_named_where_it_is_frozen():
    frozen = {"second": dict.fromkeys(("gradient_norm", "weight_norm", "update_ratio"))}
    own = CONFIG.replace("tanh}", "tanh,\n       trainable: false}")
    assert places(diagnose(own, first=frozen)) == [("not-learning", 8)]
    listed = CONFIG.replace("  layers:\n", "  freeze:\n    - sec*\n  layers:\n")
    assert places(diagnose(listed, first=frozen)) == [("not-learning", 6)]
    assert diagnose(listed, first=frozen, pretrained=["second"]) == []
    no_kernel = {"second": {**frozen["second"]}}
    normalization = CONFIG.replace(
        "{type: Dense, name: second, units: 16, activation: tanh}",
        "{type: BatchNormalization, name: second, trainable: false, gamma_initializer: random_normal}",
    )
    assert diagnose(normalization, first=no_kernel) == []
    identity = own.replace("trainable: false", "trainable: false, kernel_initializer: identity")
    assert diagnose(identity, first=frozen) == []


def test_vanishing_gradient_is_named_at_the_first_layer():
    small = {"first": {"gradient_norm": 9e-7}, "second": {"gradient_norm": 1.1e-6}}
    (warning,) = diagnose(first=small)
    assert warning[:2] == ("vanishing-gradient", 6)
    (warning,) = diagnose(first={"first": {"gradient_norm": 0.0}, "second": {"gradient_norm": 0.0}})
    assert warning.text == "The gradient of `first` and of 1 more is 0, so the weights do not change."


def test_loss_that_is_not_below_a_constant_prediction_is_reported():
    assert places(diagnose(history={"loss": [1.2, 1.1, 1.095]})) == [("not-learning", 12)]
    assert diagnose(history={"loss": [1.2, 1.09, 1.08]}) == []
    assert diagnose(history={"loss": [30.0, 25.0, 20.0]}) == []  # far above, but it falls
    assert diagnose(history={"loss": [1.2, 1.1]}) == []
    assert diagnose(history={"loss": [1.2, 1.1, 1.1]}, constant_loss=None) == []


def test_overfitting_is_reported_unless_the_best_weights_are_saved():
    history = {"loss": LOSSES, "val_loss": [0.9, 0.8, 0.9, 1.1, 1.3]}
    assert places(diagnose(history=history)) == [("overfitting", 10)]
    assert diagnose(history=history, has_best_weights=True) == []


def test_overfitting_with_a_schedule_has_no_advice_to_stop_early():
    history = {"loss": LOSSES, "val_loss": [0.9, 0.8, 0.9, 1.1, 1.3]}
    assert "EarlyStopping" in diagnose(history=history)[0].hint
    schedule = "{type: CosineDecay, initial_learning_rate: 0.01, decay_steps: 50}"
    scheduled = CONFIG.replace("learning_rate: 0.01", f"learning_rate: {schedule}")
    (warning,) = diagnose(scheduled, history=history)
    assert "EarlyStopping" not in warning.hint
    assert "fewer epochs" in warning.hint


def test_faults_of_targets_are_named_at_the_data():
    assert places(diagnose(constant_targets=[None])) == [("not-learning", 2)]
    (warning,) = diagnose(conflicting_examples=12, examples=1000)
    assert warning[:2] == ("label-noise-suspected", 2)
    assert warning.text.startswith("12 of 1,000 training examples have the inputs of another")


def test_values_that_are_not_finite_cause_no_warnings():
    unknown = {"first": {"mean": 1e9, "std": None}, "second": {"mean": None, "std": 1e9}}
    assert diagnose(first=unknown) == []


def test_unscaled_inputs_are_named_at_a_single_output_layer():
    start = CONFIG.index("    - {type: Dense, name: first")
    config = (
        CONFIG[:start]
        + "    - {type: Dense, name: head, units: 3, activation: sigmoid}\n"
        + CONFIG[CONFIG.index("train:") :]
    )
    assert places(diagnose(config, first={"input": 50.0, "head": {"saturated": 1.0}})) == [
        ("exploding-gradient", 6)
    ]
