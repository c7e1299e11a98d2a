"""``layercli export`` of a table with numbers and texts: the file answers as ``predict`` does, also for missing values."""

import csv
import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from tests.exported_model import prepare_inputs, run_litert, run_saved_model
from tests.running import invoke, problems, train

SCHEMA = json.loads((Path(__file__).parents[2] / "docs/export-description.schema.json").read_text())

CONFIG = """
name: prices
data:
  type: csv
  path: rows.csv
  target: sold
  target_type: labels
  inputs: {numbers: [size, age (years), built, garage], class: class}
  dates: {built: [year, weekday, elapsed]}
  missing: {numbers: median, texts: flat}
  split: {test: 0.2}
model:
  inputs: {numbers: [6], class: {shape: [1], dtype: string}}
  layers:
    - {type: Normalization, name: scaled, inputs: numbers}
    - {type: StringLookup, name: kind, inputs: class, output_mode: one_hot}
    - {type: Concatenate, name: all, inputs: [scaled, kind]}
    - {type: Dense, units: 1, activation: sigmoid}
train: {loss: binary_crossentropy, epochs: 1, batch_size: 8}
"""
NEW = """size,age (years),class,built,garage
10,3,flat,31.12.1999, YES
,7,house,?,no
25,,,1.2.2003,n/a
12,1, boat ,29.02.2004,off
"""
"""Rows with missing numbers, a missing text and an unknown one, blanks around texts, dates and boolean words."""


ROWS = list(csv.DictReader(NEW.splitlines()))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("prices")
    lines = ["size,age (years),class,built,garage,sold"]
    for row in range(60):
        size = "" if row % 7 == 0 else row % 29
        date = "" if row % 13 == 3 else f"{1 + row % 27:02}.0{1 + row % 9}.{1990 + row}"
        kind, garage, sold = (
            ("house", "flat", "flat")[row % 3],
            ("on", "off")[row % 2],
            ("no", "yes")[row % 2],
        )
        lines.append(f"{size},{row % 11},{kind},{date},{garage},{sold}")
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
    jsonschema.validate(description, SCHEMA)
    assert "missing values" in done["compared"]["edges"]
    return done, description


def test_saved_model_takes_columns_and_texts(folder, predicted):
    done, description = exported(folder, "saved_model", "served")
    assert done["problems"] == []
    columns = description["signatures"]["columns"]
    assert [(entry["name"], entry["column"], entry["dtype"]) for entry in columns] == [
        ("size", "size", "float32"),
        ("age__years_", "age (years)", "float32"),
        ("built", "built", "string"),
        ("garage", "garage", "string"),
        ("class_", "class", "string"),
    ]
    [output] = description["outputs"]
    assert (output["name"], output["classes"], output["kind"]) == ("output_0", ["no", "yes"], "two")
    nan = np.nan
    arguments = {
        "size": np.array([10, nan, 25, 12], np.float32),
        "age__years_": np.array([3, 7, nan, 1], np.float32),
        "class_": ["flat", "house", "", " boat "],
        "built": ["31.12.1999", "?", "1.2.2003", "29.02.2004"],
        "garage": [" YES", "no", "n/a", "off"],
    }
    outputs = run_saved_model(folder / "served", arguments, "columns")
    assert outputs["output_0"][:, 0] == pytest.approx(predicted, abs=1e-6)
    classes = [b"yes" if probability > 0.5 else b"no" for probability in predicted]
    assert outputs["output_0_class"].tolist() == classes


def test_onnx_takes_texts_and_missing_numbers(folder, predicted):
    import onnx
    import onnxruntime

    done, description = exported(folder, "onnx", "prices.onnx")
    assert [problem["code"] for problem in done["problems"]] == ["preparation-outside"]
    assert description["preparation"] == [
        "Write `built.year` as the year of the date `built`.",
        "Write `built.weekday` as the weekday of the date `built`.",
        "Write `built.elapsed` as the days from 1990-01-01 to the date `built`.",
        "Write true, yes and on of `garage` as 1, and false, no and off as 0.",
    ]
    inputs = {entry["name"]: entry for entry in description["inputs"]}
    assert inputs["class"]["dtype"] == "string"
    columns = ["size", "age (years)", "built.year", "built.weekday", "built.elapsed", "garage"]
    assert [entry["column"] for entry in inputs["numbers"]["columns"]] == columns
    session = onnxruntime.InferenceSession(str(folder / "prices.onnx"))
    assert {value.name: value.type for value in session.get_inputs()} == {
        "numbers": "tensor(float)",
        "class": "tensor(string)",
    }
    prepared = prepare_inputs(description, ROWS)
    prepared["class"][2] = ""  # the file replaces missing texts, and missing numbers
    prepared["numbers"][1, 0] = prepared["numbers"][2, 1] = prepared["numbers"][1, 4] = np.nan
    [outputs] = session.run(None, prepared)
    assert outputs[:, 0] == pytest.approx(predicted, abs=1e-6)
    properties = session.get_modelmeta().custom_metadata_map
    assert json.loads(properties["layercli"]) == description
    model = onnx.load(folder / "prices.onnx")
    versions = {entry.domain: entry.version for entry in model.opset_import}
    assert (model.ir_version, versions) == (8, {"": 15, "ai.onnx.ml": 2})  # of ONNX 1.10


def test_litert_takes_the_index_of_each_text(folder, predicted):
    done, description = exported(folder, "litert", "prices.tflite")
    assert [problem["code"] for problem in done["problems"]] == ["preparation-outside"]
    inputs = {entry["name"]: entry for entry in description["inputs"]}
    lookup = inputs["class_"]["lookup"]
    assert lookup == {"words": ["[UNK]", "flat", "house"], "unknown": 0}
    assert "Write a missing value of `class` as flat." in description["preparation"]
    prepared = prepare_inputs(description, ROWS)
    assert prepared["class_"].tolist() == [[1], [2], [1], [0]]
    outputs = run_litert(folder / "prices.tflite", prepared)
    assert outputs["output_0"][:, 0] == pytest.approx(predicted, abs=1e-6)


@pytest.mark.usefixtures("warm_processes")
def test_keras_file_names_the_missing_preparation(folder):
    done, description = exported(folder, "keras", "prices.keras")
    [problem] = done["problems"]
    assert problem["code"] == "preparation-outside"
    assert problem["message"] == (
        "The export does not contain what `layercli predict` does before the model. "
        "Write `built.year` as the year of the date `built`. And 10 more."
    )
    assert "Write a missing value of `age (years)` as 4.5." in description["preparation"]


def test_evaluation_of_no_rows_is_refused(folder):
    (folder / "empty.csv").write_text("size,age (years),class,built,garage,sold\n")
    result = invoke("evaluate", folder / "run", "--data", folder / "empty.csv", "--json")
    assert [code for code, _ in problems(result)] == ["unreadable-data"]


WINDOWS = """
data: {type: csv, path: series.csv, target: y, inputs: {past: [a, y]}, windows: {length: 3, horizon: 1},
  missing: {numbers: median}, split: {test: 0.2}}
model: {inputs: {past: [3, 2]}, layers: [Normalization, {type: GRU, units: 2}, {type: Dense, units: 1}]}
train: {loss: mean_squared_error, epochs: 1}
"""


@pytest.mark.parametrize("form", ["saved_model", "onnx", "litert"])
def test_missing_values_in_windows_are_replaced(folder, form):
    rows = [f"{'' if row % 5 == 0 else row % 9},{row % 4}" for row in range(40)]
    (folder / "series.csv").write_text("\n".join(["a,y", *rows]) + "\n")
    (folder / "series.yaml").write_text(WINDOWS)
    run = folder / f"series-{form}"
    assert train(folder / "series.yaml", run).result.exit_code == 0
    suffix = {"onnx": ".onnx", "litert": ".tflite"}.get(form, "")
    output = folder / f"windows{suffix}"
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
