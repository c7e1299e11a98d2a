"""Streamed tables equal tables in memory, in any order and from any batch."""

import json
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import csv, parquet

from layercli.config.data.section import DATA_TYPES, SplitConfig
from layercli.data import split as split_module
from layercli.data.examples import ShuffleSeed, load_examples
from layercli.data.reader_state import ReaderState
from layercli.data.tables import streamed as streamed_module
from layercli.data.tables.plan import TablePlan
from layercli.data.tables.row_groups import RowGroups
from layercli.data.tables.streamed import StreamedRows
from layercli.data.types import DataError
from layercli.formats.csv import reader as csv_reader
from layercli.formats.registry import load_dataset

ROWS = 5_000


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A table as a CSV file and as two Parquet files with row groups of several sizes; blocks and buffers are small."""
    place = tmp_path_factory.mktemp("tables")
    rng = np.random.default_rng(0)
    table = pa.table(
        {
            "id": np.arange(ROWS),
            "a": pa.array(rng.normal(size=ROWS).astype(np.float32), mask=rng.random(ROWS) < 0.1),
            "b": pa.array(rng.integers(0, 9, ROWS), mask=rng.random(ROWS) < 0.05),
            "t": rng.choice(["x", " y", "?"], ROWS),
            "w": rng.random(ROWS).astype(np.float32),
            "y": rng.choice(["p", "q", "r"], ROWS, p=[0.6, 0.3, 0.1]),
        }
    )
    csv.write_csv(table, place / "t.csv")
    parquet.write_table(table[:1800], place / "t1.parquet", row_group_size=700)
    parquet.write_table(table[1800:], place / "t2.parquet", row_group_size=450)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(place / "cache"))
        patch.setattr(csv_reader, "_MAX_GROUP_ROWS", 600)
        patch.setattr(csv_reader, "_BLOCK_BYTES", 20_000)
        for module in (split_module, streamed_module):
            patch.setattr(module, "BLOCK_ROWS", 1024)
        patch.setattr(streamed_module, "_BUFFER_ROWS", 1500)
        yield place


def section(place, kind, **keys):
    """Return a data section for the table in files of this kind."""
    path = str(place / ("t.csv" if kind == "csv" else "t?.parquet"))
    keys = {
        "inputs": {"n": ["id", "a", "b"], "t": "t"},
        "weights": "w",
        "missing": {"numbers": "mean"},
    } | keys
    return DATA_TYPES.parse({"type": kind, "path": path, "target": "y"} | keys)


def streamed(place, kind="parquet", **keys):
    found = load_dataset(section(place, kind, stream="always", **keys))
    assert isinstance(found, StreamedRows)
    return found


@pytest.fixture(scope="module")
def stream(place):
    """Return the Parquet files as a streamed table, for tests that draw many examples."""
    return streamed(place)


@pytest.fixture(scope="module")
def train(stream):
    """Return the training set of the streamed table."""
    return stream.split(SplitConfig(test=0.2), seed=1, shuffle=True).train


@pytest.fixture(scope="module")
def class_shares(stream):
    """Return the fraction of each class in the streamed table."""
    return np.bincount(load_examples(stream).y) / ROWS


def ids(part, **order):
    return [int(row) for batch in part.batches(64, **order) for row in batch.x["n"][:, 0]]


def assert_alike(one, other, *, ordered=True):
    """Check that both subsets have the same examples."""
    one, other = load_examples(one), load_examples(other)
    rows = [np.argsort(each.x["n"][:, 0], kind="stable") for each in (one, other)]
    one, other = (one, other) if ordered else (one.take(rows[0]), other.take(rows[1]))
    for name in one.x:
        np.testing.assert_array_equal(one.x[name], other.x[name])
        assert one.x[name].dtype == other.x[name].dtype
    np.testing.assert_array_equal(one.y, other.y)
    np.testing.assert_allclose(one.weights, other.weights, rtol=1e-6)
    assert (one.class_names, one.columns, one.y.dtype) == (other.class_names, other.columns, other.y.dtype)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_streamed_table_equals_table_in_memory(place, kind):
    memory = load_dataset(section(place, kind))
    found = streamed(place, kind)
    assert_alike(memory, found)
    assert memory.facts() == found.facts()
    assert memory.plan == found.plan


@pytest.mark.parametrize(
    ("numbers", "stratify", "shuffle"),
    [
        *(("median", stratify, shuffle) for stratify in (True, False) for shuffle in (True, False)),
        ("mean", True, False),
        ("mean", False, True),
        ("zero", False, False),
        ("drop", True, True),
    ],
)
def test_streamed_splits_and_fill_values_equal_those_in_memory(place, numbers, stratify, shuffle):
    keys = {"missing": {"numbers": numbers, "texts": "none", "columns": {"b": -1}}}
    split = SplitConfig(validation=0.13, test=700, stratify=stratify)
    memory = load_dataset(section(place, "csv", **keys)).split(split, seed=3, shuffle=shuffle)
    stream = streamed(place, "parquet", **keys).split(split, seed=3, shuffle=shuffle)
    for one, other in zip(memory.subsets, stream.subsets, strict=True):
        assert_alike(one, other, ordered=not shuffle and not stratify)
        assert not np.isnan(load_examples(other).x["n"]).any()
        assert "none" in load_examples(other).x["t"]
    assert memory.table_plan == stream.table_plan
    if numbers in ("median", "mean"):
        values = csv.read_csv(place / "t.csv")["a"].to_numpy()[ids(stream.train)]
        expected = np.nanmedian(values) if numbers == "median" else np.nanmean(values)
        assert stream.table_plan.fill_values["a"] == pytest.approx(expected, rel=1e-5)


@settings(max_examples=12)
@given(
    validation=st.floats(0, 0.4),
    test=st.integers(0, 2000),
    seed=st.integers(0, 2**31 - 1),
    shuffle=st.booleans(),
    stratify=st.booleans(),
)
def test_every_row_is_in_exactly_one_split(stream, class_shares, validation, test, seed, shuffle, stratify):
    split = SplitConfig(validation=validation, test=test, stratify=stratify)
    parts = stream.split(split, seed=seed, shuffle=shuffle)
    assert tuple(map(len, parts.subsets)) == split.counts(ROWS)
    assert sorted(row for part in parts.subsets for row in ids(part)) == list(range(ROWS))
    if stratify:
        for part in parts.subsets:
            shares = np.bincount(load_examples(part).y, minlength=3) / max(len(part), 1)
            assert np.all(np.abs(shares - class_shares) * len(part) <= 2) or not len(part)


@settings(max_examples=15)
@given(
    size=st.integers(1, 3000),
    start=st.integers(0, 60),
    seed=st.integers(0, 99),
    epoch=st.integers(0, 9),
    shuffle=st.booleans(),
)
def test_pass_from_any_batch_is_the_end_of_a_full_pass(train, size, start, seed, epoch, shuffle):
    order = ShuffleSeed(seed, epoch) if shuffle else None
    everything = [batch.x["n"][:, 0].tolist() for batch in train.batches(size, shuffle=order)]
    assert sum(map(len, everything)) == len(train)
    assert all(len(batch) == size for batch in everything[:-1])
    assert [
        batch.x["n"][:, 0].tolist() for batch in train.batches(size, shuffle=order, start=start)
    ] == everything[start:]


def test_shuffle_depends_only_on_seed_and_epoch(place):
    part = streamed(place).split(SplitConfig(test=0.2), seed=1, shuffle=True).train
    first = ids(part, shuffle=ShuffleSeed(1, 0))
    assert first == ids(part, shuffle=ShuffleSeed(1, 0))
    assert sorted(first) == sorted(ids(part)) == ids(part)
    others = [ids(part, shuffle=ShuffleSeed(*order)) for order in ((1, 1), (2, 0))]
    assert len({tuple(order) for order in (first, ids(part), *others)}) == 4
    moved = np.abs(np.argsort(np.argsort(first)) - np.arange(len(first)))
    assert np.mean(moved) > 1000  # rows move more than one row group


def test_rows_before_the_first_batch_are_not_read(place, monkeypatch):
    part = streamed(place).split(SplitConfig(), seed=1, shuffle=True).train
    read_groups = []
    read_table = RowGroups.read_table
    monkeypatch.setattr(
        RowGroups,
        "read_table",
        lambda self, number, columns: read_groups.append(number) or read_table(self, number, columns),
    )
    list(part.batches(100, shuffle=ShuffleSeed(1, 0), start=48))
    assert len(read_groups) <= 4  # of 11


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_digest_depends_on_data_and_seed(place, kind):
    split = SplitConfig(test=0.2)
    parts = streamed(place, kind).split(split, seed=1, shuffle=True)
    assert parts.fingerprint() == streamed(place, kind).split(split, seed=1, shuffle=True).fingerprint()
    others = [
        streamed(place, kind).split(split, seed=2, shuffle=True),
        streamed(place, kind, missing={"numbers": "zero"}).split(split, seed=1, shuffle=True),
    ]
    assert len({parts.fingerprint(), *(other.fingerprint() for other in others)}) == 3


def test_csv_is_converted_again_only_after_a_change(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    made = []
    convert = csv_reader.CsvFiles._convert_to_parquet
    monkeypatch.setattr(
        csv_reader.CsvFiles,
        "_convert_to_parquet",
        lambda self, *args: made.append(1) or convert(self, *args),
    )
    (tmp_path / "t.csv").write_text("a,y\n1,0\n2,1\n")
    data = {"type": "csv", "path": str(tmp_path / "t.csv"), "target": "y", "stream": "always"}
    assert load_examples(load_dataset(DATA_TYPES.parse(data))).x.tolist() == [[1], [2]]
    load_dataset(DATA_TYPES.parse(data))
    assert len(made) == 1
    load_dataset(DATA_TYPES.parse(data | {"missing": {"values": ["0"], "columns": {"y": "drop"}}}))
    assert len(made) == 2
    (tmp_path / "t.csv").write_text("a,y\n1,0\n3,1\n")
    assert load_examples(load_dataset(DATA_TYPES.parse(data))).x.tolist() == [[1], [3]]
    assert len(made) == 3


def test_column_type_is_inferred_from_all_rows(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(csv_reader, "_BLOCK_BYTES", 1000)
    lines = [f"{n},{n},?,{n},{n % 2}" for n in range(500)] + ["x,0.5,7,,0"]
    (tmp_path / "t.csv").write_text("\n".join(["text,number,late,whole,y", *lines]))
    inputs = {"t": "text", "n": ["number", "late", "whole"]}
    data = {"type": "csv", "path": str(tmp_path / "t.csv"), "target": "y", "inputs": inputs}
    memory, stream = (load_dataset(DATA_TYPES.parse(data | {"stream": how})) for how in ("never", "always"))
    for name in inputs:
        np.testing.assert_array_equal(load_examples(stream).x[name], memory.x[name])
    assert memory.x["n"][-1, :2].tolist() == [0.5, 7]
    assert memory.facts() == stream.facts()


@pytest.mark.parametrize("how", ["never", "always"])
@pytest.mark.parametrize(
    ("text", "keys", "message"),
    [
        ("a,y\n1,0\n\n2\n", {}, "t.csv cannot be read: line 4 has 1 value, but there are 2 columns."),
        ('a,y\n"1\n",0\n2,1,3\n', {}, "t.csv cannot be read: line 4 has 3 values, but there are 2 columns."),
        ("a,y\n1,0\n2,\n", {}, "The target `y` is missing in t.csv, line 3."),
        (
            "a,y\n1,0\nzwei,1\n",
            {},
            'The column `a` must contain numbers, got text (t.csv, line 3 has "zwei"); '
            "an input with several columns takes only numbers.",
        ),
        (
            "a,y\n1,0\nzwei,1\n",
            {"types": {"a": "number"}},
            'The column `a` must contain numbers, got text (t.csv, line 3 has "zwei").',
        ),
        (
            b"a,y\n1,0\n\xff,1\n",
            {},
            "t.csv cannot be read: line 3, column 1 has the byte ff, which is not utf-8.",
        ),
        ("a,y\n1,0\n", {"weights": "z"}, 'Unknown column "z".'),
        (
            "a,y\n1,0\n",
            {"missing": {"columns": {"a": "often"}}},
            "`missing` of the number column `a` must be a number, or one of refuse, median, mean, zero, drop; "
            'got "often".',
        ),
    ],
)
def test_table_errors_have_line_numbers(tmp_path, monkeypatch, how, text, keys, message):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError) as caught:
        load_dataset(DATA_TYPES.parse({"type": "csv", "path": "t.csv", "target": "y", "stream": how} | keys))
    assert [found.message for found in caught.value.findings] == [message]


@pytest.mark.parametrize("how", ["never", "always"])
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_new_files_use_columns_classes_and_fill_values_of_training(place, tmp_path, monkeypatch, kind, how):
    from layercli.formats.csv import reader as of_csv
    from layercli.formats.parquet import reader as of_parquet

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    data = section(place, kind, missing={"numbers": "median", "columns": {"a": "drop"}})
    plan = load_dataset(data).split(SplitConfig(test=0.2), seed=1, shuffle=True).table_plan
    plan = TablePlan.from_json(json.loads(json.dumps(plan.to_json())))
    new = pa.table({"a": [None, 1.0], "id": [5, None], "t": ["7", None], "b": [None, 2]})
    write = csv.write_csv if kind == "csv" else parquet.write_table
    write(new, tmp_path / f"n.{kind}")
    data = data.with_arguments(path=[str(tmp_path / f"n.{kind}")], stream=how)
    module = of_csv if kind == "csv" else of_parquet
    found = load_examples(
        module.read_new_dataset(data, data.path, ReaderState({}, table_plan=plan), None, has_targets=False)
    )
    expected = [[5, np.nan, plan.fill_values["b"]], [plan.fill_values["id"], 1, 2]]
    np.testing.assert_array_equal(found.x["n"], np.array(expected, np.float32))
    assert found.x["t"].tolist() == [["7"], [""]]
    with pytest.raises(DataError, match='Missing column "y"; the model'):
        module.read_new_dataset(data, data.path, ReaderState({}, table_plan=plan), None, has_targets=True)
    write(
        new.append_column("y", pa.array(["r", "q"])).append_column("w", pa.array([1, 2])),
        tmp_path / f"n.{kind}",
    )
    found = load_examples(
        module.read_new_dataset(data, data.path, ReaderState({}, table_plan=plan), None, has_targets=True)
    )
    assert (found.y.tolist(), found.class_names, found.weights.tolist()) == ([1], ("p", "q", "r"), [2])
    write(
        new.append_column("y", pa.array(["z", "z"])).append_column("w", pa.array([1, 2])),
        tmp_path / f"n.{kind}",
    )
    with pytest.raises(DataError, match='The target `y` has the class "z", which'):
        load_examples(
            module.read_new_dataset(data, data.path, ReaderState({}, table_plan=plan), None, has_targets=True)
        )


def test_large_table_is_streamed_unless_stream_is_never(place):
    size = sum(path.stat().st_size for path in place.glob("t?.parquet"))
    assert isinstance(load_dataset(section(place, "parquet"), memory=size), StreamedRows)
    assert not isinstance(load_dataset(section(place, "parquet"), memory=100 * size), StreamedRows)
    with pytest.raises(DataError, match="this machine has 1,000 bytes of memory"):
        load_dataset(section(place, "parquet", stream="never"), memory=1000)


def test_large_row_groups_are_split_before_streaming(place, monkeypatch):
    from layercli.formats.parquet import reader as of_parquet

    monkeypatch.setattr(of_parquet, "_MAX_GROUP_BYTES", 1000)
    assert_alike(load_dataset(section(place, "parquet")), streamed(place))
    assert Counter(path.suffix for path in streamed(place).row_groups.files) == {".parquet": 2}
    assert all(path.parent.name == "tables" for path in streamed(place).row_groups.files)


@pytest.mark.parametrize("how", ["never", "always"])
def test_table_without_rows_is_an_error(tmp_path, monkeypatch, how):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "t.csv").write_text("a,b,y\n")
    data = {"type": "csv", "path": str(tmp_path / "t.csv"), "target": "y", "stream": how}
    with pytest.raises(DataError, match=r"t\.csv has no rows of values"):
        load_dataset(DATA_TYPES.parse(data))


@pytest.mark.parametrize("how", ["never", "always"])
def test_column_without_values_in_one_file(tmp_path, monkeypatch, how):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "t1.csv").write_text("a,t,y\n?,?,0\n")
    (tmp_path / "t2.csv").write_text("a,t,y\n2.5,x,1\n")
    data = {"type": "csv", "path": str(tmp_path / "t*.csv"), "target": "y", "inputs": {"a": "a", "t": "t"}}
    found = load_examples(load_dataset(DATA_TYPES.parse(data | {"stream": how})))
    assert (found.x["t"].tolist(), found.y.tolist()) == ([[""], ["x"]], [0, 1])
    np.testing.assert_array_equal(found.x["a"], [[np.nan], [2.5]])
