import pytest

from layercli.check import check_config, require_valid
from layercli.workflows.next_commands import format_train_command, list_next_commands

CSV = "{type: csv, path: t.csv, target: y}"
DIGITS = "{type: sklearn, dataset: digits}"
DENSE = "{type: Dense, units: 1}"


def commands(
    data=CSV, layers=DENSE, model_input="[64]", test=True, validation=True, run="runs/a/1", loss="mse"
):
    text = f"data: {data}\nmodel: {{input: {model_input}, layers: [{layers}]}}\ntrain: {{loss: {loss}}}\n"
    valid = require_valid(check_config("config.yaml", text=text))
    history = {"loss": [1.0]} | ({"val_loss": [1.0]} if validation else {})
    summary = {"run": run, "test": {"loss": 1.0} if test else {}, "history": history}
    return list_next_commands(valid, summary)


def test_commands_of_data_in_files():
    assert commands() == [
        "layercli evaluate runs/a/1",
        "layercli report runs/a/1",
        "layercli predict runs/a/1 --input FILE --output predictions.csv",
        "layercli export runs/a/1 --format onnx",
    ]


@pytest.mark.parametrize(
    ("test", "validation", "part"),
    [(True, True, "test"), (False, True, "validation"), (False, False, "train")],
)
def test_built_in_data_is_predicted_by_its_sets(test, validation, part):
    predict = f"layercli predict runs/a/1 --part {part} --output predictions.csv"
    found = commands(DIGITS, test=test, validation=validation)
    assert found[-2] == predict
    assert found[0].startswith("layercli evaluate") == test


def test_own_code_is_trusted():
    found = commands(layers=f"{{type: mine.py:Mine}}, {DENSE}")
    assert all(command.endswith(" --trust") for command in found)


def test_predicted_masks_are_written_to_a_folder():
    data = "{type: images, path: a, masks: {path: b}}"
    layers = "{type: Conv2D, filters: 3, kernel_size: 1, activation: softmax}"
    loss = "sparse_categorical_crossentropy"
    assert (
        "predict runs/a/1 --input FILE --output masks/" in commands(data, layers, "[50, 50, 1]", loss=loss)[2]
    )
    assert "--output predictions.csv" in commands(data, layers, "[50, 50, 1]")[2]


def test_outputs_with_many_numbers_are_written_as_arrays():
    data = "{type: npz, path: a.npz, features: x, target: y}"
    layers = "{type: Conv2D, filters: 3, kernel_size: 1}"
    assert "predictions.npz" in commands(data, layers, "[100, 100, 1]")[2]
    assert "predictions.csv" in commands(data, layers, "[50, 50, 1]")[2]


def test_a_path_with_spaces_is_quoted():
    assert commands(run="my runs/1")[0] == "layercli evaluate 'my runs/1'"


def test_training_keeps_the_changes_of_the_command_before():
    command = format_train_command("my data.yaml", ["train.batch_size=auto", "name=a b"], trust=True)
    assert command == "layercli train 'my data.yaml' --set train.batch_size=auto --set 'name=a b' --trust"
