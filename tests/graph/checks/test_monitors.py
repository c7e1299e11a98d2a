"""Monitors of callbacks, and callbacks that conflict with the optimizer."""

import pytest

from layercli.check import check_config

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
            "Add validation examples with `data: {split: {validation: 0.1}}`, or set `monitor: loss`.",
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
