import io

from rich.console import Console

from layercli.reports.training import print_outcome

SUMMARY = {
    "run": "runs/digits/1", "epochs": 12, "seconds": 65.0, "examples_per_second": 20345.6,
    "best": {"monitor": "val_loss", "epoch": 9, "loss": 0.5, "val_loss": 0.25},
    "test": {"loss": 0.125, "accuracy": 0.975},
}  # fmt: skip


def shown(summary):
    console = Console(file=io.StringIO(), width=60, markup=False, highlight=False)
    print_outcome(console, summary)
    return console.file.getvalue().splitlines()


def test_the_outcome_is_the_time_the_best_epoch_the_test_and_the_model():
    assert shown(SUMMARY) == [
        "Trained 12 epochs in 1 m 05 s, 20,346 examples/s.",
        "Best epoch: 9 (val_loss 0.2500)",
        "Test: loss 0.1250  accuracy 0.9750",
        "Model: runs/digits/1/model.keras",
    ]


def test_what_there_was_not_is_left_out():
    assert shown(SUMMARY | {"epochs": 1, "best": {}, "test": {}, "run": "r" * 80}) == [
        "Trained 1 epoch in 1 m 05 s, 20,346 examples/s.",
        f"Model: {'r' * 80}/model.keras",
    ]
