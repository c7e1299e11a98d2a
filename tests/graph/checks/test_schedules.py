"""A learning-rate schedule that reaches 0 before the training ends."""

import pytest

from layercli.check import check_config, require_valid
from layercli.config.data.section import DataFacts
from layercli.graph.checks.schedules import check_schedule_length

# 150 examples, 120 of them to train on: 8 steps an epoch, and 80 steps in all
CONFIG = """
data: {type: sklearn, dataset: iris, split: {SPLIT}}
model: {layers: [{type: Dense, units: 3, activation: softmax}]}
train:
  epochs: 10
  batch_size: 16
  loss: sparse_categorical_crossentropy
  optimizer: {type: Adam, learning_rate: {SCHEDULE}}
"""
HALF = "type: CosineDecay, initial_learning_rate: 0.1, decay_steps: 40"
SPLIT = "validation: 0.1, test: 15"


def find_idle_epochs(schedule, split=SPLIT, config=CONFIG):
    text = config.replace("SCHEDULE", schedule).replace("SPLIT", split)
    return [
        (problem.line, problem.message, problem.hint)
        for problem in check_config("c.yaml", text=text).problems
        if problem.code == "idle-epochs"
    ]


def test_epochs_after_the_end_of_the_schedule_are_reported():
    assert find_idle_epochs(HALF) == [
        (
            8,
            "The learning rate is 0 from epoch 6 of 10 on, so the model learns nothing there: `decay_steps` is 40, but the "
            "training has 80 steps.",
            "Set `decay_steps: 80`; an epoch has 8 steps.",
        )
    ]
    assert find_idle_epochs(HALF.replace("40", "80")) == []


@pytest.mark.parametrize(
    ("schedule", "hint"),
    [
        (f"{HALF}, warmup_target: 0.2, warmup_steps: 20", "Set `decay_steps: 60`; an epoch has 8 steps."),
        (
            "type: PolynomialDecay, initial_learning_rate: 0.1, decay_steps: 40, end_learning_rate: 0",
            "Set `decay_steps: 80`; an epoch has 8 steps.",
        ),
        (
            f"{HALF}, warmup_steps: 40",
            "Set `decay_steps: 80`; an epoch has 8 steps.",
        ),  # no warm-up: no target
    ],
)
def test_hint_fits_the_schedule(schedule, hint):
    (found,) = find_idle_epochs(schedule)
    assert found[2] == hint
    fixed = schedule.replace("decay_steps: 40", hint.partition("`")[2].partition("`")[0])
    assert find_idle_epochs(fixed) == []


@pytest.mark.parametrize(
    "schedule",
    [
        f"{HALF}, alpha: 0.1",
        f"{HALF}, warmup_target: 0.2, warmup_steps: 40",
        HALF.replace("40", "73"),  # less than a tenth
        "type: PolynomialDecay, initial_learning_rate: 0.1, decay_steps: 40",
        "type: PolynomialDecay, initial_learning_rate: 0.1, decay_steps: 40, end_learning_rate: 0, cycle: true",
        "type: ExponentialDecay, initial_learning_rate: 0.1, decay_steps: 40, decay_rate: 0.5",
        "type: CosineDecayRestarts, initial_learning_rate: 0.1, first_decay_steps: 40",
    ],
)
def test_schedule_that_does_not_end_at_0_is_accepted(schedule):
    assert find_idle_epochs(schedule) == []


def test_size_of_a_fold_counts():
    (found,) = find_idle_epochs(HALF, split="fold: {number: 1, folds: 5}, validation: 0.4")
    assert (
        found[2] == "Set `decay_steps: 50`; an epoch has 5 steps."
    )  # 150 - 30, and 72 of these 120 examples


def test_stages_have_steps_that_are_not_known():
    config = CONFIG.replace("  epochs: 10\n", "  stages: [{epochs: 10}]\n")
    assert find_idle_epochs(HALF, config=config) == []


def test_one_example_is_not_the_whole_data():
    (found,) = find_idle_epochs(HALF, split="validation: 1")
    assert found[2] == "Set `decay_steps: 100`; an epoch has 10 steps."  # 149 examples


@pytest.mark.parametrize("split", ["column: part", "test: [u.csv]", ""])
def test_training_set_that_the_config_does_not_count_is_accepted(split):
    data = f"{{type: csv, path: t.csv, target: y, split: {{{split}}}}}"
    text = CONFIG.replace("{type: sklearn, dataset: iris, split: {SPLIT}}", data).replace("SCHEDULE", HALF)
    text = text.replace("model: {", "model: {input: [4], ")
    config = require_valid(check_config("c.yaml", text=text)).config
    findings = list(check_schedule_length(config, DataFacts(150, (4,))))
    assert [finding.code for finding in findings] == ([] if split else ["idle-epochs"])
