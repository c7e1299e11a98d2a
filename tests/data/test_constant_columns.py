"""Columns with one value in all examples, or in the training examples only."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from tests.running import invoke

DENSE = {"type": "Dense", "units": 1}
TABLE = "year,month,hour,y\n" + "".join(f"{2013 + n // 8},{n % 3},{n % 5},{n}.5\n" for n in range(10))
EXPLODES = "Normalization divides it by almost zero, and the other values become huge"


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def make_config(*, size=3, layers=("Normalization", DENSE), model=None, **data):
    return {
        "data": {
            "type": "csv",
            "path": "t.csv",
            "target": "y",
            "shuffle": False,
            "split": {"validation": 0.2},
            **data,
        },
        "model": {**(model or {"input": [size]}), "layers": list(layers)},
        "train": {"loss": "mse"},
    }


def inspect(config, table=TABLE):
    """Return the problems of ``inspect-data``."""
    Path("t.csv").write_text(table)
    Path("c.yaml").write_text(yaml.safe_dump(config))
    result = invoke("inspect-data", "c.yaml", "--json")
    document = json.loads(result.stdout)
    assert document["ok"], result.stdout
    return document["problems"]


@pytest.mark.usefixtures("place")
def test_column_that_only_the_training_examples_share_is_a_warning():
    (problem,) = inspect(make_config())
    assert (problem["code"], problem["severity"]) == ("constant-in-training", "warning")
    assert (
        problem["message"] == f"`year` is 2013 in every training example, but not in all others: {EXPLODES}."
    )
    assert problem["hint"] == (
        "Leave it out: write `inputs: {input: [month, hour]}` in `data`, and reduce `model.input` to 2 columns; "
        "or split the examples at random: `shuffle: true`."
    )


@pytest.mark.usefixtures("place")
def test_both_fixes_of_the_hint_work():
    assert inspect(make_config(size=2, inputs={"input": ["month", "hour"]})) == []
    assert inspect(make_config(shuffle=True) | {"seed": 3}) == []


@pytest.mark.usefixtures("place")
def test_without_normalization_nothing_explodes():
    (problem,) = inspect(make_config(layers=[DENSE]))
    assert problem["message"].endswith("but not in all others: nothing can be learned from it.")
    known = {"type": "Normalization", "mean": [2013.0, 1.0, 2.0], "variance": [1.0, 1.0, 2.0]}
    (problem,) = inspect(make_config(layers=[known, DENSE]))
    assert problem["message"].endswith("nothing can be learned from it.")


@pytest.mark.usefixtures("place")
def test_normalization_inside_other_layers_counts():
    for layer in (
        {"type": "Pipeline", "layers": ["Normalization"]},
        {"type": "Pipeline", "layers": ["Identity", "Normalization"]},
    ):
        (problem,) = inspect(make_config(layers=[layer, DENSE]))
        assert EXPLODES in problem["message"]


@pytest.mark.usefixtures("place")
def test_several_columns_and_inputs_are_named():
    table = "a,b,c,word,y\n" + "".join(
        f"{n // 8},{n // 8 + 0.5},{n % 3},{'no' if n < 8 else 'yes'},{n}.5\n" for n in range(10)
    )
    layers = [
        {"type": "Normalization", "inputs": "numbers", "name": "scaled"},
        {"type": "StringLookup", "inputs": "text", "output_mode": "one_hot", "vocabulary": ["no", "yes"]},
        {"type": "Concatenate", "inputs": ["scaled", "previous"]},
        DENSE,
    ]
    model = {"inputs": {"numbers": [3], "text": {"shape": [1], "dtype": "string"}}}
    inputs = {"numbers": ["a", "b", "c"], "text": "word"}
    numbers, text = inspect(make_config(layers=layers, model=model, inputs=inputs), table)
    assert numbers["message"] == (
        "`a`, `b` have one value each in every training example, but not in all others: "
        "Normalization divides them by almost zero, and the other values become huge."
    )
    assert numbers["path"] == "data.inputs.numbers"
    assert (
        "write `inputs: {numbers: [c]}` in `data`, and reduce `model.inputs.numbers` to 1 column;"
        in numbers["hint"]
    )
    assert text["message"].startswith(
        '`word` is "no" in every training example, but not in all others: nothing'
    )
    assert text["hint"].startswith("Remove the input `text` from `data` and `model`;")


@pytest.mark.usefixtures("place")
def test_constant_column_is_not_harmless_with_normalization():
    table = TABLE.replace("2014", "2013")
    (problem,) = inspect(make_config(), table)
    assert problem["code"] == "constant-column"
    assert problem["message"] == (
        "`year` is the same in every example, so nothing can be learned from it. "
        "Normalization divides it by almost zero, so any other value later becomes huge."
    )
    assert problem["hint"].startswith("Leave it out: write `inputs: {input: [month, hour]}`")
    assert inspect(make_config(size=2, inputs={"input": ["month", "hour"]}), table) == []
    (problem,) = inspect(make_config(layers=[DENSE]), table)
    assert problem["hint"] == "Leave it out with `inputs`, or keep it; this is harmless."


@pytest.mark.usefixtures("place")
def test_constant_target_is_a_warning():
    table = "a,y\n1,2.5\n2,2.5\n3,2.5\n4,2.5\n5,2.5\n"
    (problem,) = inspect(make_config(size=1), table)
    assert (problem["code"], problem["path"]) == ("constant-column", "data.target")
    assert problem["message"] == "The target is the same in every example, so there is nothing to learn."


@pytest.mark.usefixtures("place")
def test_replaced_missing_numbers_count_as_the_replacement():
    table = TABLE.replace("2013,1", ",1", 1)
    (problem,) = inspect(make_config(missing={"numbers": "median"}), table)
    assert problem["message"].startswith("`year` is 2013 in every training example")


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("stream", ["always", "never"])
def test_streamed_tables_and_windows_are_checked(stream):
    (problem,) = inspect(make_config(stream=stream))
    assert problem["code"] == "constant-in-training"
    windows = {"length": 2, "horizon": 0}
    layers = ["Normalization", "Flatten", DENSE]
    config = make_config(layers=layers, model={"input": [2, 3]}, windows=windows, stream=stream)
    (problem,) = inspect(config)
    assert problem["message"].startswith("`year` is 2013")
    assert "shuffle" not in problem["hint"]  # windows are always split by time


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("layers", [["Normalization", DENSE], [DENSE]])
def test_arrays_without_column_names_are_checked_if_normalized(layers):
    x = np.arange(40.0).reshape(10, 4)
    x[:8, 2] = 5
    np.savez("d.npz", x=x, y=np.arange(10.0) + 0.5)
    data = {
        "type": "npz",
        "path": "d.npz",
        "features": "x",
        "target": "y",
        "shuffle": False,
        "split": {"validation": 2},
    }
    config = make_config(size=4, layers=layers) | {"data": data}
    problems = inspect(config)
    assert [problem["message"].partition(",")[0] for problem in problems] == (
        ["Column 2 of the input is 5 in every training example"] if len(layers) == 2 else []
    )


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(
    ("first", "last", "is_reported"),
    [
        (5.0001, 6, True),  # Keras's Normalization makes 57,000 of the last value
        (5.01, 6, False),  # 570
        (5.0001, 5.001, False),
        (5.0, 5.0001, True),  # the column is constant in training
    ],
)
def test_column_that_is_almost_constant_in_training(first, last, is_reported):
    rows = [f"{first if n == 0 else last if n == 39 else 5},{n % 3},{n}" for n in range(40)]
    found = inspect(make_config(size=2), "a,b,y\n" + "\n".join(rows) + "\n")
    assert [problem["code"] for problem in found] == ["constant-in-training"] * is_reported
    if first > 5 and is_reported:
        assert found[0]["message"] == (
            f"`a` is almost the same in every training example, but not in all others: {EXPLODES}."
        )
        assert found[0]["hint"].startswith("Leave it out: write `inputs: {input: [b]}`")


@pytest.mark.usefixtures("place")
def test_almost_constant_columns_are_harmless_without_normalization():
    rows = [f"{5.0001 if n == 0 else 6 if n == 39 else 5},{n % 3},{n}" for n in range(40)]
    assert inspect(make_config(size=2, layers=[DENSE]), "a,b,y\n" + "\n".join(rows) + "\n") == []
