"""The tables of an evaluation in the terminal."""

from io import StringIO

import numpy as np
from rich.console import Console

from layercli.data.evaluation.classes import ClassResult
from layercli.reports.evaluation import print_results


def show(document, width=80):
    console = Console(file=StringIO(), width=width, markup=False, highlight=False)
    print_results(console, document)
    return console.file.getvalue()


def class_document(size, pairs):
    result = ClassResult(tuple(f"class {index}" for index in range(size)))
    for true, predicted in pairs:
        result.add(*map(_array, (true, predicted)))
    return result.to_json()


def _array(number):
    return np.array([number])


def test_wide_matrix_shows_the_most_confused_classes():
    document = class_document(20, [(index, index) for index in range(20)] + [(3, 4), (3, 4), (5, 6)])
    text = show(document)
    assert "Most confused classes" in text
    [line] = [line.split() for line in text.splitlines() if "class 3" in line and "class 4" in line]
    assert line == ["class", "3", "class", "4", "2", "3"]
    assert "true \\ predicted" in show(document, width=400)


def test_only_the_worst_of_many_classes_are_shown():
    document = class_document(40, [(index, index) for index in range(40)] + [(35, 0)])
    text = show(document)
    assert "The 30 of 40 classes with the lowest F1." in text
    assert "class 35" in text
    assert "class 39" not in text


def test_class_names_stay_text():
    result = ClassResult(("[red]\x1b[31m", "x" * 100))
    result.add(*map(_array, (0, 0)))
    text = show(result.to_json())
    assert "\x1b" not in text
    assert "[red]" in text
    assert max(map(len, text.splitlines())) <= 80


def test_undefined_curves_are_explained():
    document = class_document(2, [(1, 1)]) | {"scores": {"roc_auc": None, "pr_auc": None, "brier": 0.0}}
    text = show(document)
    assert "only one of the classes occurs" in text
    assert "Brier score 0.0000" in text
    assert "ROC-AUC 0" not in text


def test_results_of_numbers_stand_next_to_the_mean():
    errors = {"mae": 1.5, "rmse": 2.0, "r2": None, "quantiles": {"50": 1.0}}
    text = show({"errors": errors, "baseline": {"rmse": 4.0, "r2": 0.0}})
    rows = {line.split()[0]: line.split()[1:] for line in text.splitlines() if line.strip()}
    assert rows["MAE"] == ["1.5000", "-"]
    assert rows["RMSE"] == ["2.0000", "4.0000"]
    assert rows["R2"] == ["-", "0.0000"]
    assert rows["50"] == ["%", "of", "errors", "are", "below", "1.0000"]


def test_outputs_have_titles():
    errors = {"mae": 1.5, "rmse": 2.0, "r2": 0.5, "quantiles": {}}
    document = {"outputs": {"size": {"errors": errors, "baseline": {"rmse": 4.0}}, "kind": {}}}
    text = show(document)
    assert "Output size:" in text
    assert "kind" not in text


def test_last_value_stands_next_to_the_mean():
    errors = {"mae": 1.5, "rmse": 2.0, "r2": 0.5, "quantiles": {"90": 3.0}}
    naive = {"mae": 7.0, "rmse": 8.0, "r2": -0.25, "quantiles": {"90": 9.0}}
    row = {"target": "heat", "mae": 1.25, "rmse": 2.25, "r2": 0.75, "quantiles": {"90": 3.0}}
    row |= {"baseline": {"mae": 4.25, "rmse": 5.0}, "naive_forecast": {"mae": 6.25}}
    document = {
        "errors": errors,
        "baseline": {"mae": 3.5, "rmse": 4.0, "r2": -0.125},
        "naive_forecast": naive,
    }
    text = show(document | {"per_target": [row]})
    rows = {line.split()[0]: line.split()[1:] for line in text.splitlines() if line.strip()}
    assert rows["MAE"] == ["1.5000", "3.5000", "7.0000"]
    assert rows["R2"] == ["0.5000", "-0.1250", "-0.2500"]
    assert rows["90"] == ["%", "of", "errors", "are", "below", "3.0000", "9.0000"]
    assert rows["heat"] == ["1.2500", "2.2500", "0.7500", "4.2500", "6.2500"]
    assert max(map(len, text.splitlines())) <= 80


def test_last_class_stands_next_to_the_most_frequent():
    document = class_document(2, [(0, 0), (0, 0), (1, 0)]) | {"naive_forecast": {"accuracy": 0.25}}
    text = show(document)
    assert 'Always predicting "class 0" would have an accuracy of 0.6667.' in text
    assert "Repeating the last known class would have an accuracy of 0.2500." in text


def test_invalid_predictions_are_counted():
    assert "1,200 predictions are NaN or infinite" in show({"invalid_predictions": 1200})
