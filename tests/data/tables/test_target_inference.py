"""Target inference for tables with a target for each of several outputs."""

import json
from datetime import datetime

import numpy as np
import pyarrow as pa
import pytest
import yaml
from pyarrow import csv

from layercli.config.data.section import DATA_TYPES, SplitConfig
from layercli.data.examples import load_examples
from layercli.data.tables import windows
from layercli.data.tables.dates import convert_date_column
from layercli.data.types import DataError
from layercli.formats.csv import reader as csv_reader
from layercli.formats.registry import load_dataset
from tests.running import invoke

ROWS = 240


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(csv_reader, "_MAX_GROUP_ROWS", 50)
    rng = np.random.default_rng(0)
    csv.write_csv(
        pa.table(
            {
                "i": np.arange(ROWS),
                "a": rng.normal(size=ROWS),
                "kind": rng.choice(["p", "q", "r"], ROWS, p=[0.7, 0.2, 0.1]),
                "on": rng.integers(0, 2, ROWS),
                "size": rng.normal(size=ROWS),
            }
        ),
        "t.csv",
    )
    return tmp_path


def section(stream="never", **keys):
    target = {"sort": "kind", "state": "on", "weight": "size"}
    return DATA_TYPES.parse({"type": "csv", "path": "t.csv", "target": target, "stream": stream} | keys)


@pytest.mark.parametrize("stream", ["never", "always"])
def test_each_output_has_its_target(stream):
    source = load_dataset(section(stream))
    found = load_examples(source)
    assert found.columns == {None: ("i", "a")}
    assert {name: array.dtype for name, array in found.targets} == {
        "sort": np.int32,
        "state": np.int32,
        "weight": np.float32,
    }
    assert (found.class_names_of("sort"), found.class_names_of("state")) == (("p", "q", "r"), None)
    facts = source.facts()
    assert [facts.target_of(name).classes for name in ("sort", "state", "weight")] == [3, 2, None]
    numbers = load_dataset(section(stream, target_type={"state": "numbers"}))
    assert numbers.facts().target_of("state").classes is None


@pytest.mark.parametrize("shuffle", [True, False])
def test_stratified_splits_of_several_targets_streamed_and_in_memory(shuffle):
    split = SplitConfig(validation=0.25, test=0.25, stratify=True)
    both = [load_dataset(section(how)).split(split, seed=2, shuffle=shuffle) for how in ("never", "always")]
    assert both[0].table_plan == both[1].table_plan
    for one, other in zip(*(parts.subsets for parts in both), strict=True):
        one, other = load_examples(one), load_examples(other)
        rows = [np.argsort(each.x[:, 0], kind="stable") for each in (one, other)]
        one, other = one.take(rows[0]), other.take(rows[1])
        np.testing.assert_array_equal(one.x, other.x)
        for name, array in one.targets:
            np.testing.assert_array_equal(array, other.y[name])
    each = [
        np.bincount(load_examples(part).y["sort"] * 2 + load_examples(part).y["state"], minlength=6)
        for part in both[0].subsets
    ]
    assert np.abs(each[0] - 2 * each[1]).max() <= 3
    assert np.abs(each[1] - each[2]).max() <= 1


@pytest.mark.parametrize("stream", ["never", "always"])
def test_windows_have_the_targets_of_their_target_row(stream, monkeypatch):
    monkeypatch.setattr(windows, "_MAX_MEMORY_BYTES", 0)
    rows = load_examples(load_dataset(section()))
    found = load_examples(
        load_dataset(section(stream, inputs={"x": ["i", "size"]}, windows={"length": 3, "horizon": 2}))
    )
    assert found.x["x"].shape == (ROWS - 4, 3, 2)
    for name, array in found.targets:
        np.testing.assert_array_equal(array, rows.y[name][4:])
        assert array.dtype == rows.y[name].dtype


@pytest.mark.parametrize("stream", ["never", "always"])
def test_errors_of_all_targets_are_reported_together(place, stream):
    (place / "t.csv").write_text("a,u,v\n1,,x\n2,y,\n3,y,x\n")
    with pytest.raises(DataError) as caught:
        load_dataset(section(stream, target={"one": "u", "two": "v"}))
    assert [(found.path, found.message) for found in caught.value.findings] == [
        (("data", "target", "one"), "The target `u` is missing in t.csv, line 2."),
        (("data", "target", "two"), "The target `v` is missing in t.csv, line 3."),
    ]
    with pytest.raises(DataError, match='Unknown column "w"'):
        load_dataset(section(stream, target={"one": "u", "two": "w"}))


@pytest.mark.tensorflow
@pytest.mark.parametrize("stream", ["never", "always"])
def test_train_evaluate_and_predict_with_several_targets(place, stream):
    document = {
        "data": {
            "type": "csv",
            "path": "t.csv",
            "stream": stream,
            "inputs": {"x": ["a"]},
            "target": {"sort": "kind", "weight": "size"},
            "split": {"validation": 0.1, "test": 0.1, "stratify": True},
        },
        "model": {
            "inputs": {"x": [1]},
            "layers": [
                {"type": "Dense", "name": "hidden", "units": 4},
                {"type": "Dense", "name": "sort", "units": 3, "activation": "softmax"},
                {"type": "Dense", "name": "weight", "units": 1, "inputs": "hidden"},
            ],
            "outputs": ["sort", "weight"],
        },
        "train": {"epochs": 1, "loss": {"sort": "sparse_categorical_crossentropy", "weight": "mse"}},
    }
    (place / "c.yaml").write_text(yaml.safe_dump(document))
    looked = json.loads(invoke("inspect-data", "c.yaml", "--json").stdout)
    assert looked["problems"] == []
    assert [row["name"] for row in looked["targets"]] == ["sort", "weight"]
    assert {row["target"] for row in looked["classes"]} == {"sort"}
    done = invoke("train", "c.yaml", "--json", "--run-dir", "run")
    assert done.exit_code == 0, done.output
    found = json.loads(invoke("evaluate", "run", "--data", "t.csv", "--json").stdout)
    assert (found["examples"], sorted(found["metrics"])) == (ROWS, ["loss", "sort_loss", "weight_loss"])
    assert invoke("predict", "run", "-i", "t.csv", "-o", "p.jsonl").exit_code == 0
    first = json.loads((place / "p.jsonl").read_text().splitlines()[0])
    assert first["sort_class"] in ("p", "q", "r")
    assert isinstance(first["weight_prediction"], float)


def test_nan_is_a_missing_label():
    from pyarrow import parquet

    columns = {"x": [1.0, 2, 3], "k": [0.0, float("nan"), 1.0]}
    parquet.write_table(pa.table(columns), "n.parquet")
    data = DATA_TYPES.parse({"type": "parquet", "path": "n.parquet", "target": "k", "target_type": "labels"})
    with pytest.raises(DataError) as caught:
        load_dataset(data)
    assert caught.value.findings[0].message.startswith("The target `k` is missing in n.parquet, row 2")


@pytest.mark.parametrize("stream", ["never", "always"])
@pytest.mark.parametrize(
    "keys",
    [
        {"split": {"test": 0.2, "group": "g"}},
        {"split": {"test": 0.2, "order": "g"}},
        {"split": {"column": "g"}},
        {"windows": {"length": 2, "time": "g"}},
        {"windows": {"length": 2, "by": "g"}},
    ],
)
def test_lists_cannot_split_or_order_rows(keys, stream):
    from pyarrow import parquet

    parquet.write_table(pa.table({"x": [1.0, 2] * 9, "g": [[1], [2]] * 9, "k": [0, 1] * 9}), "g.parquet")
    data = {"type": "parquet", "path": "g.parquet", "target": "k", "inputs": {"a": "x"}, "stream": stream}
    with pytest.raises(DataError) as caught:
        load_dataset(DATA_TYPES.parse(data | keys))
    [found] = caught.value.findings
    [(section, choices)] = keys.items()
    assert found.message == "`g` must have one value for each row, got list<element: int64>."
    assert found.path[:2] == ("data", section)
    assert found.path[2] in choices


def test_dates_that_microseconds_cannot_hold_are_missing():
    far = pa.chunked_array([pa.array([10**15, 0, -(10**15)], pa.timestamp("s"))])
    days = pa.chunked_array([pa.array([2**31 - 1, 1, -(2**31)], pa.date32())])
    assert convert_date_column(far, None).to_pylist() == [None, datetime(1970, 1, 1), None]
    assert convert_date_column(days, None).to_pylist() == [None, datetime(1970, 1, 2), None]
