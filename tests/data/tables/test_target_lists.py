"""A target of several columns: one array with a value for each column, in memory and streamed."""

import json

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from layercli.config.data.section import DATA_TYPES
from layercli.data.examples import Splits
from layercli.data.labels import ConvertedForm
from layercli.data.reader_state import ReaderState
from layercli.data.tables.plan import TablePlan, TargetPlan
from layercli.data.types import DataError
from layercli.formats.registry import load_dataset, load_new_dataset
from layercli.graph.target_meaning import TargetMeaning
from tests.running import invoke

PRICES, RENTS, SOLD = [3.5, 1.0, 2.0, 7.25], [10, 20, 30, 40], [True, False, False, True]
BOTH = [[3.5, 10], [1, 20], [2, 30], [7.25, 40]]
each_reading = pytest.mark.parametrize("stream", ["never", "always"])


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    columns = {"size": [1.0, 2, 3, 4], "price": PRICES, "rent": RENTS, "sold": SOLD}
    parquet.write_table(pa.table(columns), "t.parquet")
    return tmp_path


def load(target, stream="never", path="t.parquet", **keys):
    data = {"type": "parquet", "path": path, "target": target, "stream": stream} | keys
    return load_dataset(DATA_TYPES.parse(data), memory=1 << 30)


def all_of(dataset):
    return next(dataset.batches(100))


@each_reading
def test_values_of_each_column_side_by_side(stream):
    dataset = load(["price", "rent"], stream, inputs={"x": ["size"]})
    examples = all_of(dataset)
    assert examples.y.tolist() == BOTH
    assert examples.y.dtype == np.float32
    assert examples.target_columns == {None: ("price", "rent")}
    assert dataset.facts().target.shape == (2,)
    assert (dataset.facts().target.classes, dataset.facts().target.kind) == (None, None)


@each_reading
def test_target_columns_are_not_inputs(stream):
    assert all_of(load(["price", "rent"], stream)).columns == {None: ("size", "sold")}


@each_reading
def test_columns_of_an_autoencoder_are_inputs_and_targets(stream):
    examples = all_of(load(["price", "rent"], stream, inputs={"x": ["price", "rent"]}))
    assert examples.y.tolist() == examples.x["x"].tolist() == BOTH
    examples = all_of(load(["price", "rent"], stream, inputs={"x": ["rent", "price"]}))
    assert (examples.y.tolist(), examples.x["x"][1].tolist()) == (BOTH, [20, 1])


@pytest.mark.parametrize(
    "inputs", [{"x": ["price"]}, {"x": ["size", "rent"]}, {"x": ["size", "price", "rent"]}]
)
def test_single_target_columns_cannot_be_inputs(inputs):
    with pytest.raises(ValueError, match="is the target; it cannot be part of the input `x`"):
        load(["price", "rent"], inputs=inputs)
    with pytest.raises(ValueError, match="`price` is the target; it cannot be part of the input `x`"):
        load("price", inputs={"x": ["price", "size"]})


@each_reading
def test_one_of_several_outputs_has_several_columns(stream):
    examples = all_of(load({"money": ["price", "rent"], "sale": "sold"}, stream))
    assert examples.y["money"].tolist() == BOTH
    assert examples.y["sale"].tolist() == [1, 0, 0, 1]
    assert examples.class_names == {"sale": ("false", "true")}


@each_reading
def test_true_and_false_are_1_and_0(stream):
    assert all_of(load(["sold", "rent"], stream)).y.tolist() == [[1, 10], [0, 20], [0, 30], [1, 40]]


@each_reading
def test_rows_without_a_target_are_reported_or_dropped(stream):
    columns = {"size": [1.0, 2, 3], "price": [3.5, 1.0, 2.0], "rent": [10, None, 30]}
    parquet.write_table(pa.table(columns), "gaps.parquet")
    with pytest.raises(DataError) as caught:
        load(["price", "rent"], stream, "gaps.parquet")
    (finding,) = caught.value.findings
    assert finding.message.startswith("The target `rent` is missing in gaps.parquet, row 2")
    assert finding.path == ("data", "target", 1)
    dropped = load(["price", "rent"], stream, "gaps.parquet", missing={"columns": {"rent": "drop"}})
    assert all_of(dropped).y.tolist() == [[3.5, 10], [2, 30]]


@each_reading
def test_text_is_reported_at_its_column(stream):
    parquet.write_table(pa.table({"size": [1.0, 2], "price": [1.0, 2], "kind": ["p", "q"]}), "text.parquet")
    with pytest.raises(DataError) as caught:
        load(["price", "kind"], stream, "text.parquet")
    (finding,) = caught.value.findings
    assert finding.message == (
        "The target `kind` must contain numbers, because the target has several columns; got text (text.parquet, which has "
        '"p").'
    )
    assert finding.path == ("data", "target", 1)


@each_reading
def test_windows_have_the_columns_of_a_later_row(stream):
    dataset = load(["price", "rent"], stream, inputs={"x": ["size"]}, windows={"length": 2})
    assert all_of(dataset).y.tolist() == BOTH[2:]


@each_reading
def test_one_hot_columns_become_labels_for_a_split(stream):
    columns = {"size": [1.0, 2, 3], "a": [0, 1, 0], "b": [1, 0, 0], "c": [0, 0, 1]}
    parquet.write_table(pa.table(columns), "classes.parquet")
    labels = load(["a", "b", "c"], stream, "classes.parquet").convert_targets(
        {None: ConvertedForm("labels", 3)}
    )
    assert all_of(labels).y.tolist() == [1, 0, 2]
    assert labels.plan.to_json()["targets"] == [[None, ["a", "b", "c"], None, None]]


def test_new_files_are_read_with_the_columns_of_training():
    data = DATA_TYPES.parse({"type": "parquet", "path": "t.parquet", "target": ["price", "rent"]})
    state = ReaderState({}, None, load_dataset(data, memory=None).plan)
    new = load_new_dataset(data, ["t.parquet"], state, memory=None, has_targets=True)
    assert all_of(new).y.tolist() == BOTH


def test_state_of_a_reader_reads_back():
    plan = TablePlan(
        inputs={None: ("size",)},
        text_columns=frozenset(),
        targets={
            "money": TargetPlan(("price", "rent")),
            "kind": TargetPlan(("a", "b")),
            "sale": TargetPlan(("sold",)),
        },
    )
    kinds = {"money": "numbers", "kind": "one-hot", "sale": "binary"}
    state = ReaderState.from_json(json.loads(json.dumps(ReaderState({}, None, plan, kinds).to_json())))
    assert (state.table_plan, state.target_kinds) == (plan, kinds)
    assert state.target_columns_of("money") == ("price", "rent")
    assert state.target_columns_of("sale") is None
    assert state.class_names_of("kind") == ("a", "b")
    assert state.class_names_of("money") is None
    older = {key: value for key, value in state.to_json().items() if key != "targets"}
    assert ReaderState.from_json(older).target_kinds == {}


def test_summary_has_a_row_for_each_column(place):
    (place / "c.yaml").write_text(
        "data: {type: parquet, path: t.parquet, target: [sold, late]}\n"
        "model: {input: [1], layers: [{type: Dense, units: 2, activation: sigmoid}]}\n"
        "train: {loss: binary_crossentropy}\n"
    )
    columns = {"size": [1.0, 2, 3, 4], "sold": SOLD, "late": [1, 1, 1, 1]}
    parquet.write_table(pa.table(columns), "t.parquet")
    document = json.loads(invoke("inspect-data", place / "c.yaml", "--json").stdout)
    assert [(each["name"], each["mean"], each["meaning"]) for each in document["targets"]] == [
        ("sold", 0.5, "multi-label"),
        ("late", 1, "multi-label"),
    ]
    assert [(each["name"], each["train"]) for each in document["classes"]] == [("sold", 2), ("late", 4)]
    messages = [problem["message"] for problem in document["problems"]]
    assert messages == ["The target `late` is the same in every example, so there is nothing to learn."]


def test_columns_of_a_text_table_are_its_target():
    parquet.write_table(pa.table({"review": ["good", "bad"], "stars": [5, 1], "age": [3.5, 2]}), "r.parquet")
    data = {"type": "text", "path": "r.parquet", "column": "review", "target": ["stars", "age"]}
    assert all_of(load_dataset(DATA_TYPES.parse(data), memory=None)).y.tolist() == [[5, 3.5], [1, 2]]


def test_meaning_of_each_target_is_kept():
    rows = load(["price", "rent"])
    splits = Splits(rows, rows, rows, table_plan=rows.plan, target_meanings={None: TargetMeaning("numbers")})
    assert ReaderState.from_splits(splits).target_kinds == {None: "numbers"}


@each_reading
@pytest.mark.parametrize("target", ["price", ["price", "rent"]])
def test_text_in_new_files_is_reported_where_training_had_numbers(target, stream):
    data = {
        "type": "parquet",
        "path": "t.parquet",
        "target": target,
        "stream": stream,
        "inputs": {"x": ["size"]},
    }
    data = DATA_TYPES.parse(data)
    state = ReaderState({}, None, load_dataset(data, memory=None).plan)
    parquet.write_table(pa.table({"size": [1.0], "price": ["cheap"], "rent": [3]}), "new.parquet")
    with pytest.raises(DataError) as caught:
        load_new_dataset(data, ["new.parquet"], state, memory=None, has_targets=True)
    (finding,) = caught.value.findings
    assert finding.message.startswith("`price` must contain numbers as in training, got text (")
    assert len(all_of(load_new_dataset(data, ["new.parquet"], state, memory=None, has_targets=False))) == 1
