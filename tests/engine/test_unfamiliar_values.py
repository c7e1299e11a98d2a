"""Warnings about values of new examples that a model cannot have learned."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from layercli.engine.unfamiliar_values import _RangeCheck
from tests.running import invoke, train, write_config

HEADER = "size,city,code,note,price\n"
ROWS = [
    f"{size},{['Bern', 'Chur', 'Basel'][size % 3]},{size % 4},old house,{size * 3}" for size in range(30, 90)
]
LAYERS = [
    {"type": "Normalization", "inputs": "size", "name": "scaled"},
    {"type": "StringLookup", "inputs": "city", "output_mode": "one_hot", "name": "cities"},
    {"type": "IntegerLookup", "inputs": "code", "output_mode": "one_hot", "name": "codes"},
    {"type": "TextVectorization", "inputs": "note", "output_mode": "multi_hot", "name": "words"},
    {"type": "Concatenate", "inputs": ["scaled", "cities", "codes", "words"]},
    {"type": "Dense", "units": 1},
]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on sizes 30 to 89, three cities, codes 0 to 3 and one text."""
    place = tmp_path_factory.mktemp("run")
    (place / "t.csv").write_text(HEADER + "\n".join(ROWS) + "\n")
    inputs = ("size", "city", "code", "note")
    dtypes = {"city": "string", "note": "string", "code": "int32"}
    config = write_config(
        place,
        LAYERS,
        data={"type": "csv", "path": "t.csv", "target": "price", "inputs": {name: name for name in inputs}},
        model={
            "inputs": {name: {"shape": [1], "dtype": dtypes.get(name, "float32")} for name in inputs},
            "layers": LAYERS,
        },
        train={"epochs": 1, "loss": "mean_squared_error"},
    )
    found = train(config, place / "run")
    assert found.result.exit_code == 0, found.result.output
    return found.path


def predict(run, path, rows, header=HEADER):
    path.write_text(header + "\n".join(rows) + "\n")
    return invoke("predict", run, "--input", path, "--output", "-")


def test_predict_warns_once_for_each_column(run, tmp_path):
    rows = [
        "50,Bern,1,old barn,",
        "60,Genf,7,old,",
        "x,Rom,1,old,",
        "70,Genf,8,neues Haus,",
        "7000,Chur,1,old,",
    ]
    result = predict(run, tmp_path / "new.csv", rows)
    assert result.exit_code == 0
    assert [line.split(",")[0] for line in result.stdout.splitlines()] == ["row", "1", "2", "3", "4", "5"]
    warnings = [line for line in result.stderr.splitlines() if line.startswith("warning")]
    assert warnings[1:] == [
        "warning: `size` is outside the range of the training data in 1 of 5 examples; the first is 7000 in row 5. "
        "[outside-training]",
        'warning: `city` has a value that the model does not know in 2 of 5 examples; the first is "Genf" in row 2. '
        "[unlearned-value]",
        "warning: `code` has a value that the model does not know in 2 of 5 examples; the first is 7 in row 2. "
        "[unlearned-value]",
        'warning: `note` has no word that the model knows in 1 of 5 examples; the first is "neues Haus" in row 4. '
        "[unlearned-value]",
    ]


def test_familiar_values_have_no_warning(run, tmp_path):
    rows = [f"{size},Bern,1,old," for size in (30, 89, 110)]
    assert predict(run, tmp_path / "new.csv", rows).stderr == ""


def test_single_example_is_named_without_counts(run, tmp_path):
    result = predict(run, tmp_path / "new.csv", ["50,Genf,1,old,"])
    assert result.stderr.startswith(
        'warning: `city` has a value that the model does not know: "Genf" in row 1. [unlearned-value]\n'
    )
    assert "the vocabulary of `cities`" in result.stderr


def test_range_is_the_farthest_that_the_examples_allow(run, tmp_path):
    # mean 59.5 and deviation 17.3 of at most 60 examples: none can be farther than sqrt(59) * 17.3 = 133 from it
    for size, is_outside in ((185, False), (200, True), (-65, False), (-80, True)):
        result = predict(run, tmp_path / "new.csv", [f"{size},Bern,1,old,"])
        assert ("outside-training" in result.stderr) == is_outside, size


def test_evaluate_warns_about_new_files(run, tmp_path):
    (tmp_path / "new.csv").write_text(HEADER + "50,Bern,1,old,150\n60,Genf,1,old,180\n")
    result = invoke("evaluate", run, "--data", tmp_path / "new.csv", "--json")
    assert [problem["message"] for problem in json.loads(result.stdout)["problems"]] == [
        '`city` has a value that the model does not know in 1 of 2 examples; the first is "Genf" in row 2.'
    ]


def test_negative_variance_of_a_foreign_file_is_not_a_warning_of_numpy():
    layer = SimpleNamespace(mean=np.zeros(1), variance=np.array([-1.0]))
    check = _RangeCheck(None, layer, "x", 10)
    assert check.is_unfamiliar(np.array([[0.0], [1.0]])).tolist() == [[False], [True]]
