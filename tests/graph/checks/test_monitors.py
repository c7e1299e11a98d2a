"""Monitors of callbacks, and callbacks that conflict with the optimizer."""

import math

import pytest

from layercli.check import check_config
from layercli.config.training.section import TrainSection
from layercli.graph.best_epoch import find_best_epoch, monitor_direction

CONFIG = """
data: {{type: sklearn, dataset: iris{split}}}
model:
  layers: [{{type: Dense, units: 3, activation: softmax}}]
train:
  loss: sparse_categorical_crossentropy
  optimizer: {optimizer}
  metrics: [accuracy, {{type: SparseCategoricalAccuracy, name: right}}]
  callbacks: [{callback}]
"""


@pytest.fixture
def problems(tmp_path):
    def problems(callback, *, split=", split: {validation: 0.2}", optimizer="Adam"):
        path = tmp_path / "c.yaml"
        path.write_text(CONFIG.format(callback=callback, split=split, optimizer=optimizer))
        return [
            (found.code, found.line, found.message, found.hint) for found in check_config(str(path)).problems
        ]

    return problems


@pytest.mark.parametrize("monitor", ["loss", "val_loss", "accuracy", "val_accuracy", "right", "val_right"])
@pytest.mark.parametrize("kind", ["EarlyStopping", "ReduceLROnPlateau"])
def test_logged_names_are_valid_monitors(problems, kind, monitor):
    assert problems(f"{{type: {kind}, monitor: {monitor}}}") == []


def test_misspelt_monitor_has_a_suggestion(problems):
    assert problems("{type: EarlyStopping, monitor: val_acuracy}") == [
        (
            "unknown-monitor",
            9,
            "EarlyStopping monitors `val_acuracy`, which training does not log.",
            "Did you mean `val_accuracy`?",
        )
    ]


def test_unknown_monitor_hint_lists_logged_names(problems):
    ((_, _, _, hint),) = problems("{type: EarlyStopping, monitor: zzz}")
    assert hint == "Training logs `loss`, `accuracy`, `right`, `val_loss`, `val_accuracy`, `val_right`."


@pytest.mark.parametrize("split", ["", ", split: {test: 0.2}", ", split: {validation: 0}"])
def test_validation_loss_requires_validation_examples(problems, split):
    assert problems("EarlyStopping", split=split) == [
        (
            "unknown-monitor",
            9,
            "EarlyStopping monitors `val_loss`, but there are no validation examples.",
            "Add validation examples with a `split` such as {validation: 0.1}, or set `monitor: loss`.",
        )
    ]


def test_malformed_data_causes_no_monitor_problem(problems):
    found = problems("EarlyStopping", split=", split: {validaton: 0.2}")
    assert [code for code, *_ in found] == ["unknown-key"]


def test_plateau_with_a_schedule_is_rejected(problems):
    schedule = "{type: SGD, learning_rate: {type: CosineDecay, initial_learning_rate: 0.1, decay_steps: 9}}"
    ((code, line, _, _),) = problems("ReduceLROnPlateau", optimizer=schedule)
    assert (code, line) == ("schedule-clash", 9)


def test_swap_ema_weights_requires_use_ema(problems):
    ((code, _, _, hint),) = problems("SwapEMAWeights")
    assert (code, hint) == ("missing-key", "Set `use_ema: true` on the optimizer.")
    assert problems("SwapEMAWeights", optimizer="{type: Adam, use_ema: true}") == []


HISTORY = [
    {"epoch": 1, "seconds": 0.5, "loss": 0.9, "val_loss": 0.7, "accuracy": 0.5, "val_accuracy": 0.6},
    {"epoch": 2, "seconds": 0.5, "loss": 0.8, "val_loss": 0.4, "accuracy": 0.9, "val_accuracy": 0.8},
    {"epoch": 3, "seconds": 0.5, "loss": 0.7, "val_loss": 0.5, "accuracy": 0.7, "val_accuracy": 0.9},
    {"epoch": 4, "seconds": 0.5, "loss": 0.6, "val_loss": 0.6, "accuracy": 0.4, "val_accuracy": 0.3},
]


def train_section(*callbacks):
    keys = {"loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"], "callbacks": list(callbacks)}
    return TrainSection.model_validate(keys)


@pytest.mark.parametrize(
    ("callback", "monitor", "epoch"),
    [
        ({"type": "EarlyStopping"}, "val_loss", 2),
        ({"type": "EarlyStopping", "monitor": "loss"}, "loss", 4),
        ({"type": "EarlyStopping", "monitor": "val_accuracy"}, "val_accuracy", 3),
        ({"type": "EarlyStopping", "monitor": "accuracy"}, "accuracy", 2),
        ({"type": "EarlyStopping", "monitor": "accuracy", "mode": "min"}, "accuracy", 4),
        ({"type": "EarlyStopping", "monitor": "val_loss", "mode": "max"}, "val_loss", 1),
        ({"type": "ReduceLROnPlateau", "monitor": "val_accuracy"}, "val_accuracy", 3),
        ({"type": "EarlyStopping", "monitor": "unlogged", "mode": "max"}, "val_loss", 2),
    ],
)
def test_best_epoch_follows_monitor_and_mode(callback, monitor, epoch):
    best = find_best_epoch(HISTORY, train_section(callback))
    assert (best["monitor"], best["epoch"], best[monitor]) == (monitor, epoch, HISTORY[epoch - 1][monitor])
    assert "seconds" not in best


def test_best_epoch_follows_the_first_callback_with_a_monitor():
    by_accuracy = {"type": "EarlyStopping", "monitor": "val_accuracy"}
    by_loss = {"type": "EarlyStopping", "monitor": "loss"}
    callbacks = ({"type": "TerminateOnNaN"}, by_accuracy, by_loss)
    assert find_best_epoch(HISTORY, train_section(*callbacks))["epoch"] == 3


@pytest.mark.parametrize("train", [None, train_section()])
def test_best_epoch_without_callbacks_uses_the_validation_loss(train):
    assert find_best_epoch(HISTORY, train)["epoch"] == 2
    without = [{name: record[name] for name in ("epoch", "loss", "accuracy")} for record in HISTORY]
    assert find_best_epoch(without, train) == {"monitor": "loss", "epoch": 4, "loss": 0.6, "accuracy": 0.4}
    assert find_best_epoch([], train) == {}


def test_first_of_equal_epochs_is_the_best():
    records = [{"epoch": epoch, "loss": 0.25} for epoch in (1, 2, 3)]
    assert find_best_epoch(records, None)["epoch"] == 1


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("missing", [math.nan, math.inf, -math.inf, None, "NaN"])
def test_epoch_without_a_finite_value_is_never_the_best(missing, mode):
    train = train_section({"type": "EarlyStopping", "monitor": "accuracy", "mode": mode})
    values = [missing, 3.0, missing, 2.0, 2.5, missing]
    records = [{"epoch": epoch, "accuracy": value} for epoch, value in enumerate(values, start=1)]
    best = {"min": {"epoch": 4, "accuracy": 2.0}, "max": {"epoch": 2, "accuracy": 3.0}}[mode]
    assert find_best_epoch(records, train) == {"monitor": "accuracy", **best}
    assert find_best_epoch([{"epoch": 1, "accuracy": missing}], train) == {}


def test_monitor_direction_is_the_one_of_keras():
    train = train_section()
    names = ("loss", "val_loss", "accuracy", "val_accuracy", "other")
    assert [monitor_direction(name, train) for name in names] == ["min", "min", "max", "max", None]
