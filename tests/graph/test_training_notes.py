import math

import pytest

from layercli.config.training.section import TrainSection
from layercli.graph.training_notes import EarlyStop, describe_training

HELD_OUT = (80, 10, 10)


def notes(losses=(), val_losses=None, *, loss="mean_squared_error", epochs=50, sizes=HELD_OUT, **facts):
    history = {"loss": list(losses)} | ({} if val_losses is None else {"val_loss": list(val_losses)})
    train = TrainSection.model_validate({"loss": loss, "epochs": epochs})
    return describe_training(history, train, split_sizes=sizes, best=facts.pop("best", {}), **facts)


def test_a_good_training_has_no_notes():
    assert notes([2.3, 0.9, 0.5, 0.4], [1.5, 0.8, 0.6, 0.58]) == []


def test_early_stop_names_the_monitor_and_the_best_epoch():
    stop = EarlyStop(17, 12, 0.320149, "val_loss")
    assert notes([1, 0.5], [1, 0.5], early_stop=stop) == [
        "EarlyStopping stopped the training after epoch 17: `val_loss` had not improved for 5 epochs, "
        "since epoch 12 (0.3201)."
    ]
    stop = EarlyStop(3, 2, 0.75, "val_accuracy", min_delta=0.01)
    assert notes([1, 0.5], [1, 0.5], early_stop=stop) == [
        "EarlyStopping stopped the training after epoch 3: `val_accuracy` had not improved by more than 0.01 for 1 epoch, "
        "since epoch 2 (0.75)."
    ]


def test_early_stop_below_the_baseline_says_so():
    stop = EarlyStop(4, 3, 0.8, "val_accuracy", missed_baseline=0.9)
    assert notes([1, 0.5], [1, 0.5], early_stop=stop) == [
        "EarlyStopping stopped the training after epoch 4: `val_accuracy` was not better than `baseline` 0.9 in any epoch; "
        "the best value was 0.8, in epoch 3."
    ]


def test_early_stop_without_a_finite_value():
    stop = EarlyStop(3, 1, math.inf, "val_loss", missed_baseline=0.9)
    assert notes([1, 0.5], [math.nan, math.nan], early_stop=stop) == [
        "EarlyStopping stopped the training after epoch 3: `val_loss` was not a finite number in any epoch."
    ]


def test_training_that_ends_at_its_first_epoch():
    assert notes([1.0], [1.0], epochs=1) == [
        "The training ended after its first epoch, since `epochs` is 1. Most models need more epochs."
    ]
    assert notes([1.0], [1.0]) == [
        "The training ended after its first epoch, although `epochs` is 50. Most models need more epochs."
    ]


FIRST = {"epoch": 1, "monitor": "val_loss", "val_loss": 1.0}


def test_first_epoch_that_is_the_best():
    (note,) = notes([1.0, 1.1, 1.2], [1.0, 1.1, 1.2], best=FIRST)
    assert note.startswith(
        "The first epoch was the best by `val_loss`: more epochs did not improve the model."
    )
    (note,) = notes([1.0, 1.1, 1.2], [1.0, 1.1, 1.2], best=FIRST, restored_epoch=1)
    assert "by `val_loss`, and the saved model has its weights: more" in note
    assert notes([1.0, 1.1], [1.0, 1.1], best=FIRST) == []  # too few epochs to tell


def test_no_held_out_examples():
    (note,) = notes([2.0, 1.0], sizes=(100, 0, 0))
    assert note.startswith(
        "No examples are held out, so no metric shows how well the model predicts new examples."
    )
    assert note.endswith("Add `split: {validation: 0.1}` to `data`.")
    (note,) = notes([2.0, 1.0], sizes=(90, 0, 10))
    assert note.startswith("There is no validation set")


def test_overfitting_since_the_epoch_with_the_lowest_validation_loss():
    assert notes([1.0, 0.6, 0.4, 0.3, 0.2], [1.1, 0.8, 0.7, 0.8, 0.95]) == [
        "Overfitting since epoch 3: from there to epoch 5 the training loss fell from 0.4 to 0.2, "
        "and the validation loss rose from 0.7 to 0.95."
    ]


@pytest.mark.parametrize(
    ("losses", "val_losses"),
    [
        ([1.0, 0.6, 0.4, 0.3], [1.1, 0.8, 0.7, 0.95]),  # one bad epoch
        ([1.0, 0.6, 0.4, 0.3, 0.2], [1.1, 0.8, 0.7, 0.75, 0.76]),  # less than 10 percent
        ([1.0, 0.6, 0.4, 0.3, 0.2], [1.1, 0.8, 0.7, 0.95, 0.75]),  # it came back
        ([1.0, 0.6, 0.4, 0.5, 0.6], [1.1, 0.8, 0.7, 0.9, 1.0]),  # both rise
        ([0.1, 0.1, 0.1], [0.39, 0.39, 0.39]),  # less than four times
        ([0.0, 0.0, 0.0], [0.0, 0.0, 0.0]),
        ([-0.9, -0.95, -0.99], [-0.5, -0.4, -0.1]),  # a cosine similarity
        ([1.0, 0.5, 0.2], [math.nan, 5.0, 9.0]),
        ([1.0, 0.5, 0.2], [None, 5.0, 9.0]),
        ([], []),
    ],
)
def test_histories_without_a_clear_sign_have_no_notes(losses, val_losses):
    assert notes(losses, val_losses) == []


def test_validation_loss_far_above_the_training_loss():
    assert notes([9.0, 1.0, 0.5], [9.0, 4.0, 2.1]) == [
        "The validation loss (2.1) is far above the training loss (0.5): "
        "the model fits the training examples much better than new ones."
    ]


def test_validation_loss_above_every_training_loss_blames_the_data():
    assert notes([40_050.0, 36_650.0], [1.366e13, 1.616e14]) == [
        "The validation loss (1.616e+14) is far above the training loss (3.665e+04) of every epoch, "
        "so the validation examples differ from the training examples. Check the columns with `layercli inspect-data`."
    ]


def test_losses_are_those_of_the_saved_model():
    losses, val_losses = [1.0, 0.9, 0.2], [1.0, 0.9, 1.2]
    assert len(notes(losses, val_losses)) == 1
    assert notes(losses, val_losses, restored_epoch=2) == []


@pytest.mark.parametrize(
    "loss", ["sparse_categorical_crossentropy", "BinaryCrossentropy", {"a": "binary_crossentropy"}]
)
def test_small_crossentropies_do_not_count(loss):
    assert notes([0.5, 0.01, 0.001], [0.5, 0.05, 0.045], loss=loss) == []
    assert notes([0.5, 0.01, 0.001], [0.5, 0.05, 0.052], loss=loss) != []
    assert notes([0.5, 0.01, 0.001], [0.5, 0.05, 0.045]) != []


def test_slow_steady_rise_of_the_validation_loss_is_named():
    losses, rising = [0.5, 0.45, 0.44, 0.43, 0.42, 0.41], [0.52, 0.5, 0.505, 0.51, 0.52, 0.525]
    assert notes(losses, rising) == [
        "Overfitting may start at epoch 2: from there to epoch 6 the validation loss rose from 0.5 to 0.525, while the "
        "training loss fell from 0.45 to 0.41."
    ]
    assert notes(losses, [0.52, 0.5, 0.51, 0.505, 0.515, 0.51]) == []  # it rises and falls
    assert notes(losses, [0.52, 0.5, 0.501, 0.502, 0.503, 0.504]) == []  # too little
    assert notes([0.5, 0.45, 0.45, 0.45, 0.46, 0.46], rising) == []  # the training loss does not fall
    assert notes(losses[:5], rising[:5]) == []  # too few epochs
