"""A learning rate is written into a config; every other character stays."""

import pytest

from layercli.api import load
from layercli.errors import LayercliError
from layercli.workflows.rate_change import change_rate

HEAD = """\
# a comment
data: {type: sklearn, dataset: iris}
model: {layers: [{type: Dense, units: 3, activation: softmax}]}
"""


@pytest.fixture
def change(tmp_path):
    def change(train, *overrides):
        path = tmp_path / "config.yaml"
        path.write_text(HEAD + train)
        changed = change_rate(str(path), load(path, overrides=overrides), 0.0123, overrides)
        assert changed.startswith(HEAD)
        return changed.removeprefix(HEAD)

    return change


LOSS = "loss: sparse_categorical_crossentropy"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("optimizer: Adam  # why", "optimizer: {type: Adam, learning_rate: 0.0123}  # why"),
        (
            "optimizer: {type: SGD, momentum: 0.9}",
            "optimizer: {type: SGD, momentum: 0.9, learning_rate: 0.0123}",
        ),
        ("optimizer: {type: SGD, learning_rate: 1e-3}", "optimizer: {type: SGD, learning_rate: 0.0123}"),
        (
            "optimizer:\n    type: Adam\n    learning_rate:\n      type: CosineDecay\n      initial_learning_rate: 1\n"
            "      decay_steps: 9",
            "optimizer:\n    type: Adam\n    learning_rate: 0.0123",
        ),
        ("optimizer: {type: SGD, }", "optimizer: {type: SGD, learning_rate: 0.0123, }"),
        (
            "optimizer: {\n    type: SGD  # not Adam, why\n  }",
            "optimizer: {\n    type: SGD, learning_rate: 0.0123  # not Adam, why\n  }",
        ),
    ],
)
def test_only_the_rate_changes(change, before, after):
    assert change(f"train:\n  {before}\n  {LOSS}\n").rstrip() == f"train:\n  {after}\n  {LOSS}"


def test_default_optimizer_is_written_with_its_rate(change):
    assert (
        change(f"train: {{{LOSS}}}\n")
        == f"train: {{{LOSS}, optimizer: {{type: RMSprop, learning_rate: 0.0123}}}}\n"
    )


def test_first_stage_has_the_tested_optimizer(change):
    stages = "stages: [{epochs: 1, optimizer: Adam}, {epochs: 1, optimizer: SGD}]"
    assert "{epochs: 1, optimizer: {type: Adam, learning_rate: 0.0123}}" in change(
        f"train: {{{LOSS}, {stages}}}\n"
    )


def test_rate_that_the_file_does_not_decide_is_refused(change, tmp_path):
    with pytest.raises(LayercliError, match="in another file, in a variable or in `--set`"):
        change(f"train: {{{LOSS}}}\n", "train.optimizer=Adam")
    (tmp_path / "base.yaml").write_text(f"{HEAD}train: {{optimizer: Adam, {LOSS}}}\n")
    child = tmp_path / "child.yaml"
    child.write_text("extends: base.yaml\n")
    with pytest.raises(LayercliError, match="in another file"):
        change_rate(str(child), load(child), 0.0123, ())
