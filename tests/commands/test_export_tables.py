"""``layercli export`` of a table with numbers and texts: the file answers as ``predict`` does, also for missing values."""

import csv
import json

import numpy as np
import pytest
import tensorflow as tf

from tests.running import invoke, problems, train

CONFIG = """
name: prices
data:
  type: csv
  path: rows.csv
  target: sold
  target_type: labels
  inputs: {numbers: [size, age (years)], class: class}
  missing: {numbers: median}
  split: {test: 0.2}
model:
  inputs: {numbers: [2], class: {shape: [1], dtype: string}}
  layers:
    - {type: Normalization, name: scaled, inputs: numbers}
    - {type: StringLookup, name: kind, inputs: class, output_mode: one_hot}
    - {type: Concatenate, name: all, inputs: [scaled, kind]}
    - {type: Dense, units: 1, activation: sigmoid}
train: {loss: binary_crossentropy, epochs: 1, batch_size: 8}
"""
NEW = "size,age (years),class\n10,3,flat\n,7,house\n25,,\n12,1,boat\n"
"""Rows with missing numbers, a missing text and an unknown one."""
SIZES, AGES = [10, np.nan, 25, 12], [3, 7, np.nan, 1]
CLASSES = ["flat", "house", "", "boat"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("prices")
    lines = ["size,age (years),class,sold"]
    for row in range(60):
        size = "" if row % 7 == 0 else row % 29
        lines.append(f"{size},{row % 11},{'flat' if row % 3 else 'house'},{'yes' if row % 2 else 'no'}")
    (path / "rows.csv").write_text("\n".join(lines) + "\n")
    (path / "prices.yaml").write_text(CONFIG)
    (path / "new.csv").write_text(NEW)
    assert train(path / "prices.yaml", path / "run").result.exit_code == 0
    return path


@pytest.fixture(scope="module")
def predicted(folder):
    """The probability of ``yes`` of each new row."""
    output = folder / "predictions.csv"
    result = invoke("predict", folder / "run", "--input", folder / "new.csv", "--output", output)
    assert result.exit_code == 0, result.output
    with output.open() as file:
        return [float(row["probability_yes"]) for row in csv.DictReader(file)]


def exported(folder, form, name):
    result = invoke("export", folder / "run", "-f", form, "-o", folder / name, "--json")
    assert result.exit_code == 0, result.output
    done = json.loads(result.stdout)
    description = json.loads((folder / f"{name}.json").read_text())
    assert str(folder / f"{name}.json") in done["also"]
    return done, description


def test_saved_model_takes_columns_and_texts(folder, predicted):
    done, description = exported(folder, "saved_model", "served")
    assert "missing values" in done["compared"]["edges"]
    assert done["problems"] == []
    columns = description["signatures"]["columns"]
    assert [(entry["name"], entry["column"], entry["dtype"]) for entry in columns] == [
        ("size", "size", "float32"),
        ("age__years_", "age (years)", "float32"),
        ("class_", "class", "string"),
    ]
    [output] = description["outputs"]
    assert (output["name"], output["classes"]) == ("output_0", ["no", "yes"])
    serve = tf.saved_model.load(str(folder / "served")).signatures["columns"]
    outputs = serve(
        size=tf.constant(SIZES, tf.float32),
        age__years_=tf.constant(AGES, tf.float32),
        class_=tf.constant(CLASSES),
    )
    assert outputs["output_0"].numpy()[:, 0] == pytest.approx(predicted, abs=1e-6)


def test_onnx_takes_texts_and_missing_numbers(folder, predicted):
    import onnxruntime

    done, description = exported(folder, "onnx", "prices.onnx")
    assert done["problems"] == []
    inputs = {entry["name"]: entry for entry in description["inputs"]}
    assert inputs["class"]["dtype"] == "string"
    assert [entry["column"] for entry in inputs["numbers"]["columns"]] == ["size", "age (years)"]
    session = onnxruntime.InferenceSession(str(folder / "prices.onnx"))
    assert {value.name: value.type for value in session.get_inputs()} == {
        "numbers": "tensor(float)",
        "class": "tensor(string)",
    }
    numbers = np.stack([SIZES, AGES], axis=1).astype(np.float32)
    texts = np.array(CLASSES, dtype=object)[:, None]
    [outputs] = session.run(None, {"numbers": numbers, "class": texts})
    assert outputs[:, 0] == pytest.approx(predicted, abs=1e-6)
    properties = session.get_modelmeta().custom_metadata_map
    assert json.loads(properties["layercli"]) == description


def test_litert_takes_the_index_of_each_text(folder, predicted):
    from ai_edge_litert.interpreter import Interpreter

    done, description = exported(folder, "litert", "prices.tflite")
    assert [problem["code"] for problem in done["problems"]] == ["preparation-outside"]
    inputs = {entry["name"]: entry for entry in description["inputs"]}
    lookup = inputs["class_"]["lookup"]
    assert lookup == {"words": ["[UNK]", "flat", "house"], "unknown": 0}
    indices = [lookup["words"].index(word) if word in lookup["words"] else 0 for word in CLASSES]
    runner = Interpreter(model_path=str(folder / "prices.tflite")).get_signature_runner()
    outputs = runner(
        numbers=np.stack([SIZES, AGES], axis=1).astype(np.float32),
        class_=np.array(indices, dtype=np.int64)[:, None],
    )
    assert outputs["output_0"][:, 0] == pytest.approx(predicted, abs=1e-6)


def test_keras_file_names_the_missing_preparation(folder):
    done, description = exported(folder, "keras", "prices.keras")
    [problem] = done["problems"]
    assert problem["code"] == "preparation-outside"
    assert problem["message"] == (
        "The export does not contain what `layercli predict` does before the model. "
        "Write a missing value of `size` as 15.5. And 1 more."
    )
    assert description["preparation"] == [
        "Write a missing value of `size` as 15.5.",
        "Write a missing value of `age (years)` as 4.5.",
    ]


def test_evaluation_of_no_rows_is_refused(folder):
    (folder / "empty.csv").write_text("size,age (years),class,sold\n")
    result = invoke("evaluate", folder / "run", "--data", folder / "empty.csv", "--json")
    assert [code for code, _ in problems(result)] == ["unreadable-data"]


WINDOWS = """
data: {type: csv, path: series.csv, target: y, inputs: {past: [a, y]}, windows: {length: 3, horizon: 1},
  missing: {numbers: median}, split: {test: 0.2}}
model: {inputs: {past: [3, 2]}, layers: [Flatten, {type: Dense, units: 1}]}
train: {loss: mean_squared_error, epochs: 1}
"""


@pytest.mark.parametrize("form", ["saved_model", "onnx"])
def test_missing_values_in_windows_are_replaced(folder, form):
    rows = [f"{'' if row % 5 == 0 else row % 9},{row % 4}" for row in range(40)]
    (folder / "series.csv").write_text("\n".join(["a,y", *rows]) + "\n")
    (folder / "series.yaml").write_text(WINDOWS)
    run = folder / f"series-{form}"
    assert train(folder / "series.yaml", run).result.exit_code == 0
    output = folder / f"windows{'.onnx' if form == 'onnx' else ''}"
    result = invoke("export", run, "-f", form, "-o", output, "--json")
    assert result.exit_code == 0, result.output
    assert "missing values" in json.loads(result.stdout)["compared"]["edges"]
    description = json.loads((folder / f"{output.name}.json").read_text())
    assert "signatures" not in description
    assert [entry["column"] for entry in description["inputs"][0]["columns"]] == ["a", "y"]
    (folder / "short.csv").write_text("a,y\n1,2\n2,3\n3,4\n")
    few = invoke("evaluate", run, "--data", folder / "short.csv", "--json")
    assert [code for code, _ in problems(few)] == ["unreadable-data"]
    assert "an evaluation needs 4 consecutive rows of a series." in few.stdout
