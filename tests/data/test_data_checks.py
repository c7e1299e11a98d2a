"""Data that does not match the model is reported before training."""

import json

import numpy as np
import pytest
from pyarrow import feather, parquet
from pyarrow.csv import ConvertOptions, read_csv

from layercli.config.data.section import DATA_TYPES
from layercli.data.checks import check_examples, check_readable_inputs
from layercli.data.constant_columns import check_constant_columns
from layercli.data.examples import Examples
from layercli.data.reader_state import ReaderState
from layercli.data.statistics import compute_statistics
from layercli.data.types import DataError
from layercli.formats.registry import load_dataset, load_new_dataset
from tests.formats.helpers import MODEL, X, Y, csv, save
from tests.running import invoke


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def train(place, data, model=MODEL):
    """Return whether training succeeds, or the code and message of each problem."""
    (place / "c.yaml").write_text(f"data: {json.dumps(data)}\n{model}")
    result = invoke("train", "c.yaml", "--json", "--run-dir", "run")
    document = json.loads(result.stdout)
    return document["ok"] or [(found["code"], found["message"]) for found in document["problems"]]


def test_all_data_problems_are_reported_before_training(place):
    x = X.copy()
    x[2, 1] = np.nan
    y = Y.copy()
    y[4] = 7
    assert train(place, save(place, x=x, y=y) | {"features": "x"}) == [
        ("not-finite", "The input at [1] is missing in row 3."),
        ("bad-label", "Labels must be below 3, because the output has 3 units; got 7 in row 5."),
    ]
    assert not (place / "run").exists()


@pytest.mark.tensorflow
def test_column_with_missing_value_is_named(place):
    text = "a,b,y\n1,2,0\n2,,1\n3,4,2\n"
    several = MODEL.replace("input: [2]", "inputs: {ab: [2]}")
    assert train(place, csv(place, text, inputs={"ab": ["a", "b"]}), several) == [
        ("not-finite", f"`b` is missing in {place / 't.csv'}, line 3.")
    ]
    assert (
        train(place, csv(place, text, inputs={"ab": ["a", "b"]}, missing={"numbers": "median"}), several)
        is True
    )


INFINITE_AS_MISSING = {"values": ["default", "inf", "-inf", "1e300"], "numbers": "median"}


@pytest.mark.parametrize(("stream", "number"), [("never", "inf"), ("always", "inf"), ("never", "1e300")])
def test_rows_are_located_in_the_file(place, monkeypatch, stream, number):
    monkeypatch.setenv("XDG_CACHE_HOME", str(place / "cache"))
    text = f"a,b,y\n1,2,0.5\n2,3,\n3,{number},2\n4,5,2\n"
    keys = {"stream": stream, "target_type": "numbers"}
    dropped = load_dataset(DATA_TYPES.parse(csv(place, text, missing={"columns": {"y": "drop"}}, **keys)))
    assert [dropped.locate_row("b", row) for row in range(3)] == [f"t.csv, line {line}" for line in (2, 4, 5)]
    data = DATA_TYPES.parse(csv(place, text.replace("3,\n", "3,1\n"), **keys))
    dataset = load_dataset(data)
    found = check_examples(compute_statistics(dataset), data, dataset.locate_row)
    assert [(finding.message, finding.hint) for finding in found] == [
        (
            "`b` is infinite in t.csv, line 4.",
            'Replace them in the file, or read them as missing: `missing: {values: [default, inf, "-inf"], numbers: median}`. '
            'Numbers above 3.4e38 are infinite in float32; add them to `values` as the file has them, such as "1e300".',
        )
    ]
    followed = csv(place, text.replace("3,\n", "3,1\n"), missing=INFINITE_AS_MISSING, **keys)
    dataset = load_dataset(DATA_TYPES.parse(followed))
    assert not [*check_examples(compute_statistics(dataset), DATA_TYPES.parse(followed), dataset.locate_row)]


@pytest.mark.parametrize("stream", ["never", "always"])
@pytest.mark.parametrize(
    ("weights", "received"),
    [
        ("1,inf,1", "must be a finite number of at least 0, got inf in t.csv, line 3."),
        ("1,1,-2", "must be a finite number of at least 0, got -2 in t.csv, line 4."),
        ("1,,-2", "is missing in t.csv, line 3 (2 such weights in total)."),
        ("1,0,2", None),
    ],
)
def test_weights_of_a_table_are_checked(place, monkeypatch, stream, weights, received):
    monkeypatch.setenv("XDG_CACHE_HOME", str(place / "cache"))
    rows = "".join(f"{row},{row},{weight}\n" for row, weight in enumerate(weights.split(",")))
    data = DATA_TYPES.parse(csv(place, f"a,y,w\n{rows}", weights="w", stream=stream, target_type="numbers"))
    dataset = load_dataset(data)
    found = [*check_examples(compute_statistics(dataset), data, dataset.locate_row)]
    assert [(finding.path, finding.message) for finding in found] == (
        [] if received is None else [(("data", "weights"), f"The weight `w` {received}")]
    )


FAULTY_ROWS = """when,age,note,id,kind,keep
2020-01-01,1,2,1,x,1
2020-01-02,3,n.v.,2,y,
2020-01-03,4,5,,,1
bad,,5,4.5,x,1
2020-01-05,,5,5,y,1
2020-01-06,7,9,6,,1
"""
FAULTY_MODEL = """model:
  inputs: {numbers: [4], note: [1], ids: {shape: [1], dtype: int64}}
  layers:
    - {type: Embedding, inputs: ids, name: vector, input_dim: 10, output_dim: 2}
    - {type: Flatten, name: flat}
    - {type: Concatenate, inputs: [numbers, flat, note]}
    - {type: Dense, units: 2, activation: softmax}
train: {loss: sparse_categorical_crossentropy}
"""


@pytest.mark.parametrize("stream", ["never", "always"])
@pytest.mark.parametrize("kind", ["csv", "parquet", "feather", "jsonl"])
def test_faults_of_targets_and_inputs_are_reported_together(place, monkeypatch, kind, stream):
    monkeypatch.setenv("XDG_CACHE_HOME", str(place / "cache"))
    data = csv(place, FAULTY_ROWS, stream=stream, target="kind") | {
        "type": kind,
        "path": f"t.{kind}",
        "inputs": {"numbers": ["when", "age", "keep"], "note": "note", "ids": "id"},
        "dates": {"when": ["year", "elapsed"]},
        "missing": {"columns": {"keep": "drop"}},
    }
    table = read_csv(place / "t.csv", convert_options=ConvertOptions(strings_can_be_null=True))
    if kind == "parquet":
        parquet.write_table(table, place / "t.parquet", row_group_size=2)
    elif kind == "feather":
        feather.write_feather(table, place / "t.feather")
    elif kind == "jsonl":
        (place / "t.jsonl").write_text("\n".join(map(json.dumps, table.to_pylist())))
    place_of = f"{place / data['path']}, {'line' if kind in ('csv', 'jsonl') else 'row'}"
    third, fourth = (f"{place_of} {row + (kind == 'csv')}" for row in (3, 4))
    assert train(place, data, FAULTY_MODEL) == [
        ("unreadable-data", f'The column `when` must contain dates, got "bad" in {fourth}.'),
        ("unreadable-data", f"`id` is missing in {third}; the model input has an integer dtype."),
        ("unreadable-data", f"`id` is not an integer in {fourth}; the model input has an integer dtype."),
        ("unreadable-data", f"The target `kind` is missing in {third} (2 rows affected)."),
        ("not-finite", f"`age` is missing in {fourth} (2 missing values in total)."),
        ("input-mismatch", "`model.inputs.note` has dtype float32, but the data contains text."),
    ]


@pytest.mark.parametrize("stream", ["never", "always"])
def test_faults_of_new_targets_and_inputs_are_reported_together(place, monkeypatch, stream):
    monkeypatch.setenv("XDG_CACHE_HOME", str(place / "cache"))
    data = DATA_TYPES.parse(csv(place, "a,b,y\n1,2,x\n2,3,z\n", stream=stream))
    state = ReaderState.from_dataset(load_dataset(data))
    (place / "new.csv").write_text("a,b,y\n1,,x\n2,3,w\n,inf,z\n")
    with pytest.raises(DataError) as caught:
        load_new_dataset(data, ["new.csv"], state, has_targets=True)
    assert [found.message for found in caught.value.findings] == [
        'The target `y` has the class "w", which is not in the training data (new.csv, line 3).'
    ]
    assert [found.message for found in check_readable_inputs(caught.value, data)] == [
        "`a` is missing in new.csv, line 4.",
        "`b` is missing in new.csv, line 2.",
        "`b` is infinite in new.csv, line 4.",
    ]


def test_input_name_and_shape_mismatches_are_reported(place):
    several = MODEL.replace("input: [2]", "inputs: {ab: [3], c: [1]}").replace(
        "softmax}", "softmax, inputs: ab}\n    - {type: Concatenate, inputs: [dense, c]}"
    )
    table = "a,b,y\n1,2,0\n2,3,1\n3,4,2\n"
    codes = train(place, csv(place, table, inputs={"ab": ["a", "b"], "c": "a"}), several)
    assert codes == [
        (
            "input-mismatch",
            "`model.inputs.ab` declares shape (3,), but an example of the data has shape (2,).",
        )
    ]
    codes = train(place, csv(place, table, inputs={"ab": ["a", "b"], "d": "a"}), several)
    assert ("input-mismatch", "The data has an input `d`, which is not an input of the model.") in codes
    assert ("input-mismatch", "The data has no examples for the model's input `c`.") in codes


def test_long_lists_of_columns_are_shortened():
    data = DATA_TYPES.parse({"type": "sklearn", "dataset": "iris"})
    x = np.ones((3, 10), "float32")
    x[:, 9] = [1, 2, 3]
    examples = Examples(x, np.array([0, 1, 1]), columns={None: tuple("abcdefghij")})

    def messages():
        statistics = compute_statistics(examples)
        constant = check_constant_columns(statistics, data, model_inputs=["input"], is_normalized=False)
        return [
            found.message for found in (*check_examples(statistics, data, examples.locate_row), *constant)
        ]

    listed = "`a`, `b`, `c`, `d`, `e`, `f`, `g`, `h`"
    assert messages() == [
        f"{listed} and 1 more are the same in every example, so nothing can be learned from them."
    ]
    x[:, 8] = [1, 2, 3]
    assert messages()[0].startswith(f"{listed} are the same in every example")
    x[1:] = np.nan
    assert messages() == [
        *(f"`{name}` is missing in row 2 (2 missing values in total)." for name in "abcdefgh"),
        "2 more columns have 4 missing values.",
    ]


@pytest.mark.tensorflow
def test_target_shape_mismatch_is_refused(place):
    data = save(place, x=X, y=X[:, :1]) | {"features": "x"}
    model = MODEL.replace("sparse_categorical_crossentropy", "mse").replace(", activation: softmax", "")
    assert train(place, data, model) == [
        ("wrong-units", "The target is one number, but the model's output has 3 units.")
    ]
    assert train(place, data, model.replace("units: 3", "units: 1")) is True


@pytest.mark.tensorflow
def test_config_of_a_run_finds_its_data_from_any_folder(place, monkeypatch):
    (place / "deep").mkdir()
    data = save(place / "deep", x=X, y=Y) | {"features": "x"}
    (place / "deep" / "base.yaml").write_text(f"data: {json.dumps(data)}\n{MODEL}")
    (place / "own.yaml").write_text("extends: deep/base.yaml\nname: own\n")
    assert json.loads(invoke("train", "own.yaml", "--json", "--run-dir", "run").stdout)["ok"]
    monkeypatch.chdir("/")
    assert json.loads(
        invoke("train", place / "run" / "config.yaml", "--json", "--run-dir", place / "again").stdout
    )["ok"]
