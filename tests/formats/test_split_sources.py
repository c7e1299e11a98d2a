"""Sets by a column or from separate files, for every type of data, in memory and streamed."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import csv as arrow_csv
from pyarrow import parquet

from layercli.config.data.section import DATA_TYPES
from layercli.data.examples import load_examples
from layercli.data.types import DataError
from layercli.formats.registry import load_dataset
from tests.formats.helpers import image


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def split(seed=1, **section):
    data = DATA_TYPES.parse(section)
    return load_dataset(data).split(data.split, seed=seed, shuffle=data.shuffle)


def values(splits, column=0):
    """Return the values of an input column of each set."""
    return [sorted(load_examples(subset).x[:, column].tolist()) for subset in splits.subsets]


def errors(**section):
    with pytest.raises(DataError) as caught:
        split(**section)
    return [(finding.code, finding.message) for finding in caught.value.findings]


def write_table(path, columns):
    table = pa.table(columns)
    if path.suffix == ".parquet":
        parquet.write_table(table, path, row_group_size=3)
    else:
        arrow_csv.write_csv(table, path)


TABLES = [("csv", "never"), ("csv", "always"), ("parquet", "never"), ("parquet", "always")]
tables = pytest.mark.parametrize(("kind", "stream"), TABLES)


@pytest.mark.parametrize("stream", ["never", "always"])
@pytest.mark.parametrize(("key", "value"), [("order", np.inf), ("order", np.nan), ("group", np.nan)])
def test_keys_that_are_not_finite_are_located(stream, key, value):
    columns = {"x": range(8), "y": range(8), "k": [0.0, 1.0, value, value, 4.0, 5.0, 6.0, value]}
    keys = {"split": {key: "k", "test": 0.2}, "target_type": "numbers"}
    received = "is missing" if np.isnan(value) else "must be a number or a date, got .inf"
    [(code, message)] = errors(**table("parquet", stream, columns, **keys))
    assert (code, message) == ("bad-split", f"`k` {received} in t.parquet, row 3, and in 2 more rows.")


def table(kind, stream, columns, **keys):
    write_table(Path(f"t.{kind}"), columns)
    return {"type": kind, "path": f"t.{kind}", "target": "y", "stream": stream} | keys


@tables
def test_split_column_of_a_table(kind, stream):
    columns = {"a": [1.0, 2, 3, 4], "part": ["train", "dev", " Test", "train"], "y": [0, 1, 0, 1]}
    splits = split(**table(kind, stream, columns, split={"column": "part"}))
    assert values(splits) == [[1, 4], [2], [3]]
    assert splits.train.empty_batch.x.shape == (0, 1)  # the split column is not an input


@tables
def test_groups_of_a_table(kind, stream):
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 9, 60)
    columns = {"a": groups.astype(float), "g": [f"p{group}" for group in groups], "y": groups % 2}
    data = table(
        kind, stream, columns, split={"group": "g", "test": 0.2, "validation": 0.2, "stratify": True}
    )
    train, validation, test = map(set, values(split(**data)))
    assert train | validation | test == set(range(9))
    assert sum(map(len, (train, validation, test))) == 9
    assert validation
    assert test


@tables
def test_dates_of_a_table_are_in_order(kind, stream):
    days = np.array(["2024-05-01", "2023-01-01", "2024-04-30", "2023-06-01"], dtype="datetime64[s]")
    columns = {"a": [1.0, 2, 3, 4], "when": days, "y": [0, 1, 0, 1]}
    splits = split(**table(kind, stream, columns, split={"order": "when", "test": 1, "validation": 1}))
    assert values(splits) == [[2, 4], [3], [1]]


@tables
def test_bad_split_values_of_a_table(kind, stream):
    columns = {"a": [1.0, 2, 3, 4], "part": ["train", "holdout", None, "holdout"], "y": [0, 1, 0, 1]}
    places = {"csv": ("t.csv, line 3", "t.csv, line 4"), "parquet": ("t.parquet, row 2", "t.parquet, row 3")}
    second, third = places[kind]
    found = errors(**table(kind, stream, columns, split={"column": "part"}))
    bad = f'`part` must be train, validation or test, got "holdout" in {second}, and in 1 more row.'
    assert sorted(found) == [("bad-split", f"`part` is missing in {third}."), ("bad-split", bad)]
    columns["g"], columns["when"] = [1, None, 2, 3], ["2024-01-01", "soon", "2024-01-03", "2024-01-02"]
    found = errors(**table(kind, stream, columns, inputs={"x": "a"}, split={"group": "g", "test": 1}))
    assert found == [("bad-split", f"`g` is missing in {second}.")]
    found = errors(**table(kind, stream, columns, inputs={"x": "a"}, split={"order": "when", "test": 1}))
    assert found == [("bad-split", f'`when` must be a number or a date, got "soon" in {second}.')]


@settings(max_examples=8, deadline=None)
@given(data=st.data())
@pytest.mark.parametrize("key", ["group", "order"])
@pytest.mark.parametrize("stream", ["never", "always"])
def test_sets_of_a_table_share_no_value(tmp_path_factory, key, stream, data):
    place = tmp_path_factory.mktemp("t")
    keys = data.draw(
        st.lists(st.integers(0, 9), min_size=8, max_size=30).filter(lambda found: len(set(found)) > 3)
    )
    write_table(
        place / "t.parquet",
        {"a": np.array(keys, dtype=float), "k": keys, "y": [0, 1] * 4 + [0] * (len(keys) - 8)},
    )
    section = {"type": "parquet", "path": str(place / "t.parquet"), "target": "y", "stream": stream}
    parts = values(split(**section, split={key: "k", "validation": 0.25, "test": 0.25}))
    assert sum(map(len, parts)) == len(keys)
    assert sum(len(set(part)) for part in parts) == len(set(keys))
    if key == "order":
        filled = [part for part in parts if part]
        assert all(before[-1] < after[0] for before, after in pairwise(filled))


@tables
def test_own_files_of_a_table_are_read_as_the_training_file(kind, stream, place):
    data = table(kind, stream, {"a": [1.0, None, 3], "y": ["n", "y", "n"]}, missing={"numbers": "mean"})
    (place / "test").mkdir()
    write_table(place / f"v.{kind}", {"y": ["y", "n"], "extra": [1, 2], "a": [None, 9.0]})
    write_table(place / "test" / f"1.{kind}", {"a": [5.0], "y": ["y"]})
    write_table(place / "test" / f"2.{kind}", {"a": [6.0], "y": ["n"]})
    splits = split(**data, split={"validation": f"v.{kind}", "test": "test"})
    assert values(splits) == [[1, 2, 3], [2, 9], [5, 6]]
    assert load_examples(splits.test).y.tolist() == [1, 0]
    assert splits.test.empty_batch.class_names == ("n", "y")
    mixed = split(**data, split={"validation": 1, "test": f"test/*.{kind}"})
    assert [len(subset) for subset in mixed.subsets] == [2, 1, 2]


@tables
def test_own_files_with_unknown_classes_and_columns(kind, stream, place):
    data = table(kind, stream, {"a": [1.0, 2, 3], "b": [1.0, 2, 3], "y": ["n", "y", "n"]})
    write_table(place / f"v.{kind}", {"a": [1.0, 2, 3], "b": [1.0, 2, 3], "y": ["n", "no", "maybe"]})
    write_table(place / f"w.{kind}", {"y": ["n"]})
    at = {"csv": "line {}", "parquet": "row {}"}[kind]
    second, third = (at.format(number + (kind == "csv")) for number in (2, 3))
    known = "which is not in the training data"
    assert errors(**data, split={"validation": f"v.{kind}", "test": f"w.{kind}"}) == [
        ("bad-label", f'The target `y` has the class "no", {known} (v.{kind}, {second}).'),
        ("bad-label", f'The target `y` has the class "maybe", {known} (v.{kind}, {third}).'),
        ("unreadable-data", 'Missing column "a"; the model was trained with it.'),
        ("unreadable-data", 'Missing column "b"; the model was trained with it.'),
    ]


def test_missing_own_files():
    data = table("csv", "never", {"a": [1.0, 2], "y": [0, 1]})
    assert errors(**data, split={"test": "gone.csv", "validation": "v*.csv"}) == [
        ("unreadable-data", "No file matches v*.csv."),
        ("unreadable-data", "gone.csv does not exist."),
    ]


def test_arrays_by_array_and_from_own_files(place):
    x = np.arange(8, dtype=np.float32).reshape(4, 2)
    days = np.array(["2024-01-04", "2024-01-01", "2024-01-02", "2024-01-03"], dtype="datetime64[D]")
    parts = np.array(["train", "test", "val", "train"])
    np.savez(place / "d.npz", x=x, y=np.array([0, 1, 0, 1]), days=days, parts=parts, who=[7, 8, 7, 9])
    np.savez(place / "v.npz", x=x[:2] + 50, y=np.array([1, 0]))
    data = {"type": "npz", "path": "d.npz", "features": "x", "target": "y"}
    assert values(split(**data, split={"column": "parts"})) == [[0, 6], [4], [2]]
    assert values(split(**data, split={"order": "days", "test": 1})) == [[2, 4, 6], [], [0]]
    assert values(split(**data, split={"validation": "v.npz", "test": 1, "order": "days"})) == [
        [2, 4, 6],
        [50, 52],
        [0],
    ]
    train, _, test = values(split(**data, split={"group": "who", "test": 0.5}))
    assert sorted(train + test) == [0, 2, 4, 6]
    assert {0.0, 4.0} <= set(train) or {0.0, 4.0} <= set(test)


def test_array_files_by_array_and_from_own_files(place):
    for name, array in {"x": np.eye(3), "y": np.arange(3), "g": np.array([1, 1, 2]), "v": np.eye(3)}.items():
        np.save(place / f"{name}.npy", array)
    data = {"type": "npy", "features": "x.npy", "target": "y.npy"}
    absolute = DATA_TYPES.parse(data | {"split": {"group": "g.npy", "test": 1}}).with_absolute_paths(place)
    assert absolute.split.group == str(place / "g.npy")
    parts = load_dataset(absolute).split(absolute.split, seed=1, shuffle=True)
    assert [len(subset) for subset in parts.subsets] == [2, 0, 1]
    splits = split(**data, split={"test": ["v.npy", "y.npy"]})
    assert [len(subset) for subset in splits.subsets] == [3, 0, 3]


def test_digest_of_lazy_own_arrays_depends_on_their_content(place):
    arrays = {"x": np.zeros((64, 64), np.float32), "y": np.arange(64) % 2}
    data = {"type": "npz", "path": "d.npz", "features": "x", "target": "y", "split": {"test": "v.npz"}}
    np.savez(place / "d.npz", **arrays)
    prints = set()
    for value in (1, 2):
        np.savez(place / "v.npz", x=arrays["x"] + value, y=arrays["y"])
        section = DATA_TYPES.parse(data)
        splits = load_dataset(section, memory=40_000).split(section.split, seed=1, shuffle=True)
        prints.add(splits.fingerprint())
    assert len(prints) == 2


def test_images_from_own_folders(place):
    for name, value in {
        "train/a/1.png": 1,
        "train/b/2.png": 2,
        "valid/b/3.png": 3,
        "test1/a/4.png": 4,
    }.items():
        image(place / name, value=value)
    data = {"type": "images", "path": "train"}
    splits = split(**data, split={"validation": "valid", "test": "test*"})
    assert [load_examples(subset).y.tolist() for subset in splits.subsets] == [[0, 1], [1], [0]]
    assert [load_examples(subset).x[:, 0, 0, 0].tolist() for subset in splits.subsets] == [[1, 2], [3], [4]]
    image(place / "valid/c/5.png")
    message = "valid contains the class c, which is not in the training data."
    assert errors(**data, split={"validation": "valid"}) == [("unreadable-data", message)]


def test_texts_from_own_folders_and_by_column(place):
    for name in ("train/a/1.txt", "train/b/2.txt", "test/b/3.txt"):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(name)
    splits = split(type="text", path="train", split={"test": "test"})
    assert load_examples(splits.test).x.tolist() == [["test/b/3.txt"]]
    (place / "t.csv").write_text("text,y,part\nhello,0,train\nbye,1,test\n")
    splits = split(type="text", path="t.csv", column="text", target="y", split={"column": "part"})
    assert load_examples(splits.test).x["input"].tolist() == [["bye"]]
