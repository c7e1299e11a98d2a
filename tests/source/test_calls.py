"""Python in place of YAML."""

import pytest

from layercli.errors import LayercliError
from layercli.source.load import load_yaml


@pytest.fixture
def read(tmp_path):
    return lambda text: load_yaml(str(tmp_path / "c.yaml"), text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: {b: (3, 3), c: (64,), d: 1}", {"b": "(3, 3)", "c": "(64,)", "d": 1}),
        ("a: {b: (3, 3), c: (3, 3)}", {"b": "(3, 3)", "c": "(3, 3)"}),
        ("a: {b: (1, 2, 3)}", {"b": "(1, 2, 3)"}),
        ("a: {b: LSTM(3, return_sequences=True), c: 1}", {"b": "LSTM(3, return_sequences=True)", "c": 1}),
        (
            'a: [L.Dense(3, activation="relu"), Dropout(0.1)]',
            ['L.Dense(3, activation="relu")', "Dropout(0.1)"],
        ),
        ("a: [(3, 3), 2]", ["(3, 3)", 2]),
        ("a: ['(3', '3)']", ["(3", "3)"]),
        ("a:\n- (3\n- 3)", ["(3", "3)"]),
        ("a: {b: '(3', 3): null}", {"b": "(3", "3)": None}),
        ("a: [(3, {b: 1}]", ["(3", {"b": 1}]),
    ],
)
def test_parts_of_a_call_in_brackets_are_one_text(read, text, value):
    assert read(text).to_plain() == {"a": value}


@pytest.mark.parametrize(
    ("text", "line", "title"),
    [
        (
            'import keras\nmodel = keras.Sequential([\n    keras.layers.Dense(32, activation="relu"),\n])\n',
            1,
            "Python script",
        ),
        ("# a model\nfrom tensorflow import keras\n", 2, "Python script"),
        ("model = keras.Sequential([\n  layers.Dense(3)])\nmodel.fit(x, y)\n", 1, "Python script"),
        ("class Net(nn.Module):\n    def __init__(self): ...\n", 1, "Python script"),
        ('{"cells": [],\n "nbformat": 4}\n', 1, "Jupyter notebook"),
    ],
)
def test_script_has_one_problem_with_the_way_to_convert_it(read, text, line, title):
    with pytest.raises(LayercliError) as caught:
        read(text)
    (problem,) = caught.value.problems
    assert (problem.code, problem.line) == ("other-file-type", line)
    assert problem.message == f"A config must be YAML, but this is a {title}."
    assert ("layercli import model.keras" in str(problem.hint)) == ("nn.Module" not in text)


@pytest.mark.parametrize(
    "text", ["name: import keras\n", "model: {layers: []}\nimport: x\n", "{}", '{"nbformat_minor": 1}']
)
def test_mapping_is_not_taken_for_a_script(read, text):
    read(text)
