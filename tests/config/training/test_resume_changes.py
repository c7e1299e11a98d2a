"""Differences of two ``train`` sections, worked out by hand."""

import pytest

from layercli.config.training.resume_changes import ResumeChanges

SECTION = {
    "optimizer": {"type": "Adam", "learning_rate": 0.001, "beta_1": 0.9},
    "loss": "mse",
    "loss_weights": None,
    "metrics": ["mae"],
    "weighted_metrics": [],
    "batch_size": 32,
    "callbacks": [],
}


def changes(**new):
    return ResumeChanges.from_sections(SECTION, SECTION | new)


def test_equal_sections_keep_everything():
    found = changes()
    assert found == ResumeChanges(batch_sizes=(32, 32))
    assert found.summary == "Kept: weights, random numbers, the optimizer's state, the learning rate."


def test_new_learning_rate_keeps_the_optimizer():
    found = changes(optimizer=SECTION["optimizer"] | {"learning_rate": 0.01})
    assert (found.learning_rate, found.optimizer) == (0.01, None)
    assert found.summary == (
        "Kept: weights, random numbers, the optimizer's state. Reset: the learning rate 0.01."
    )
    schedule = {"type": "CosineDecay", "initial_learning_rate": 0.1}
    found = changes(optimizer=SECTION["optimizer"] | {"learning_rate": schedule})
    assert found.summary.endswith("Reset: the learning rate CosineDecay.")
    assert changes(optimizer=SECTION["optimizer"] | {"beta_1": 0.8}) == ResumeChanges(batch_sizes=(32, 32))


def test_new_optimizer_resets_its_state_and_rate():
    found = changes(optimizer={"type": "SGD", "learning_rate": 0.001})
    assert (found.learning_rate, found.optimizer) == (0.001, "SGD")
    assert found.summary == (
        "Kept: weights, random numbers. Reset: the optimizer SGD, the learning rate 0.001."
    )


@pytest.mark.parametrize("key", ["loss", "loss_weights", "metrics", "weighted_metrics"])
def test_new_losses_or_metrics_reset_those_of_the_epoch(key):
    found = changes(**{key: "other"})
    assert found.has_new_metrics
    assert found.summary.endswith("Reset: metrics of the current epoch.")


def test_callbacks_inherit_from_the_first_of_their_type_monitor_and_mode():
    def stop(monitor, **options):
        return {"type": "EarlyStopping", "monitor": monitor, "patience": 3, **options}

    before = [stop("loss"), stop("mae"), stop("loss"), {"type": "TerminateOnNaN"}]
    after = [
        stop("mae", patience=9),
        {"type": "CSVLogger"},
        stop("loss"),
        stop("loss", mode="max"),
        stop("loss"),
        stop("loss"),
        {"type": "TerminateOnNaN"},
    ]
    found = ResumeChanges.from_sections(SECTION | {"callbacks": before}, SECTION | {"callbacks": after})
    assert found.callback_sources == (
        ("EarlyStopping", 1),
        ("CSVLogger", None),
        ("EarlyStopping", 0),
        ("EarlyStopping", None),
        ("EarlyStopping", 2),
        ("EarlyStopping", None),
        ("TerminateOnNaN", 3),
    )


@pytest.mark.parametrize(
    ("old", "new", "step", "expected"), [(32, 32, 7, 7), (32, 64, 7, 3), (64, 32, 7, 14), (3, 2, 5, 7)]
)
def test_steps_cover_the_same_examples(old, new, step, expected):
    assert ResumeChanges(batch_sizes=(old, new)).map_step(step) == expected
