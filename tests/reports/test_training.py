import io

from rich.console import Console

from layercli.reports.training import print_training_summary

SUMMARY = {
    "run": "runs/digits/1",
    "epochs": 12,
    "seconds": 65.0,
    "examples_per_second": 20345.6,
    "parameters": 4810,
    "best": {"monitor": "val_loss", "epoch": 9, "loss": 0.5, "accuracy": 0.875, "val_loss": 0.25},
    "history": {
        "loss": [0.7] * 8 + [0.5, 0.7, 0.7, 0.4],
        "accuracy": [0.875] * 11 + [0.9],
        "val_loss": [0.5] * 8 + [0.25, 1.5, 1, None],
    },
    "test": {"loss": 0.125, "accuracy": 0.975},
    "restored_epoch": 9,
}


def format_summary(summary, next_commands=(), **known):
    console = Console(file=io.StringIO(), width=60, markup=False, highlight=False)
    print_training_summary(console, summary, next_commands, **known)
    return console.file.getvalue().splitlines()


def test_smoke_test_counts_no_epoch():
    lines = format_summary(SUMMARY | {"run": None, "epochs": 1, "restored_epoch": None})
    assert lines[0] == "The smoke test took 1 m 05 s; 4,810 parameters."
    assert not any("epoch" in line for line in lines)


def test_lora_states_how_many_parameters_are_trainable():
    lines = format_summary(SUMMARY | {"lora": {}, "trainable_parameters": 1234})
    assert lines[0].endswith("; 4,810 parameters, 1,234 of them trainable.")


def test_summary_shows_time_best_epoch_metrics_and_next_commands():
    lines = [line.rstrip() for line in format_summary(SUMMARY, ["layercli evaluate r"]) if line.strip()]
    assert lines[:2] == [
        "Trained 12 epochs in 1 m 05 s, 20,346 examples/s; 4,810 parameters.",
        "Best epoch: 9 (val_loss 0.2500)",
    ]
    assert lines[2].split() == ["metric", "training", "validation", "test"]
    assert [line.split() for line in lines[4:6]] == [
        ["loss", "0.5000", "0.2500", "0.1250"],
        ["accuracy", "0.8750", "0.9750"],
    ]
    assert lines[6:9] == ["Model: runs/digits/1/model.keras", "Next:", "  layercli evaluate r"]


def test_summary_without_restored_weights_shows_last_epoch():
    summary = {key: value for key, value in SUMMARY.items() if key != "restored_epoch"}
    lines = [" ".join(line.split()) for line in format_summary(summary) if line.strip()]
    assert lines[1:3] == [
        "Best epoch: 9 (val_loss 0.2500)",
        "The model has the last epoch's weights; EarlyStopping with `restore_best_weights: true` keeps the best ones.",
    ]
    assert lines[5:7] == ["loss 0.4000 nan 0.1250", "accuracy 0.9000 0.9750"]
    assert "The model has the last epoch's weights." in format_summary(summary, has_schedule=True)


def test_metric_of_each_class_has_a_row_for_each_value():
    history = {"loss": [0.5], "f1_score": [[0.25, 0.5, 1.0]]}
    lines = format_summary(
        SUMMARY | {"epochs": 1, "best": {}, "test": {}, "history": history, "restored_epoch": None}
    )
    cells = [line.split() for line in lines if line.strip()]
    start = cells.index(["f1_score", "0.2500"])
    assert cells[start : start + 3] == [["f1_score", "0.2500"], ["0.5000"], ["1.0000"]]


def test_constant_prediction_is_a_column_with_its_meaning():
    baseline = {"set": "test", "predicts": "majority", "metrics": {"loss": 2.25, "accuracy": 0.125}}
    lines = [" ".join(line.split()) for line in format_summary(SUMMARY | {"baseline": baseline})]
    assert "metric training validation test majority" in lines
    assert "accuracy 0.8750 0.9750 0.1250" in lines
    meaning = (
        "majority: a model that always predicts the frequencies of the training classes, on the test set."
    )
    assert meaning in lines


def test_reason_of_the_end_is_printed_once():
    reason = "EarlyStopping stopped the training after epoch 12."
    lines = format_summary(SUMMARY | {"stop_reason": reason, "notes": [reason, "Another note."]})
    assert lines.count(reason) == 1
    assert lines[1] == reason
    assert "Another note." in lines


def test_summary_omits_missing_parts():
    lines = format_summary(SUMMARY | {"epochs": 1, "best": {}, "test": {}, "history": {}, "run": "r" * 80})
    assert lines[:2] == [
        "Trained 1 epoch in 1 m 05 s, 20,346 examples/s; 4,810 parameters.",
        f"Model: {'r' * 80}/model.keras",
    ]
    lines = [line.split() for line in format_summary(SUMMARY | {"best": {}, "history": {}})]
    assert ["metric", "test"] in lines
    assert ["accuracy", "0.9750"] in lines


def test_names_that_do_not_fit_stay_whole():
    name = "segmentation_head_sparse_categorical_accuracy"
    history = {"loss": [0.5], name: [0.25], f"val_{name}": [0.125]}
    summary = SUMMARY | {"epochs": 1, "best": {}, "test": {name: 0.375}, "history": history}
    lines = format_summary(summary | {"restored_epoch": None})
    assert lines[lines.index(name) + 1] == "  training 0.2500  validation 0.1250  test 0.3750"
