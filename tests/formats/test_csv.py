"""csv data: parsing, label inference, missing values."""

import gzip

import numpy as np
import pytest

from layercli.config.data.section import DATA_TYPES
from layercli.data.examples import load_examples
from layercli.formats.csv import reader
from layercli.formats.csv.reader import CsvFiles
from layercli.formats.registry import load_dataset
from tests.formats.helpers import csv, refusal


def test_table_with_quotes_blanks_and_missing_values(place):
    text = 'a, b ,name,y\n1, 2.5,"x, y" ,no\n3,?,z , yes\n\n4,5,NA,no\n'
    examples = load_dataset(
        DATA_TYPES.parse(csv(place, text, inputs={"numbers": ["a", "b"], "name": "name"}))
    )
    assert examples.class_names == ("no", "yes")
    assert examples.y.tolist() == [0, 1, 0]
    np.testing.assert_array_equal(
        examples.x["numbers"], np.array([[1, 2.5], [3, np.nan], [4, 5]], np.float32)
    )
    assert examples.x["name"].tolist() == [["x, y"], ["z"], [""]]


def test_gzipped_files_without_header_with_other_separator(place):
    for number in range(3):
        with gzip.open(place / f"part{number}.csv.gz", "wt") as file:
            file.write(f"{number};1\n{number};2\n")
    data = {"type": "csv", "path": "part*.csv.gz", "target": "y", "separator": ";", "columns": ["a", "y"]}
    examples = load_dataset(DATA_TYPES.parse(data))
    assert examples.x.ravel().tolist() == [0, 0, 1, 1, 2, 2]
    assert examples.y.dtype == np.float32  # integers from 1 are not labels
    assert load_dataset(DATA_TYPES.parse(data | {"target_type": "labels"})).class_names == ("1", "2")


def test_integers_without_gaps_are_labels_by_default(place):
    data = csv(place, "a,y\n1,0\n2,1\n3,2\n")
    assert load_dataset(DATA_TYPES.parse(data)).facts().classes == 3
    assert load_dataset(DATA_TYPES.parse(data | {"target_type": "numbers"})).facts().classes is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,y\n1,0\n2\n", "t.csv cannot be read: line 3 has 1 value, but there are 2 columns."),
        ("a,b\n1,0\n", 'Unknown column "y".'),
        ("a,y\n1,0\n2,\n", "The target `y` is missing in t.csv, line 3."),
        (
            "a,y\nx,0\n",
            'The column `a` must contain numbers, got text (t.csv, line 2 has "x"); '
            "an input with several columns takes only numbers.",
        ),
        ("y\n0\n", "The table has no input columns, only the target."),
        ("", "t.csv cannot be read: it is empty."),
    ],
)
def test_invalid_table(place, text, message):
    assert refusal(**csv(place, text))[1] == message


def test_file_without_the_columns_of_the_config_has_one_error(place):
    data = csv(place, "u,v,w\nx,y,z\n", inputs={"in": ["a", "b"]})
    assert refusal(**data) == (
        ("data", "path"),
        "The file has none of the columns that the config names: y, a, b.",
    )
    data |= {"dates": {"a": ["year"]}, "inputs": {"in": ["a.year", "b"]}}
    assert refusal(**data)[1].endswith("y, a, b.")


def test_missing_numbers_are_filled_with_training_mean(place):
    rows = "".join(f"{'NA' if n % 4 == 0 else n},{n % 2},{n % 3}\n" for n in range(40))
    data = csv(place, "a,b,y\n" + rows, missing={"numbers": "mean"}, split={"test": 0.5}, shuffle=False)
    parsed = DATA_TYPES.parse(data)
    parts = load_dataset(parsed).split(parsed.split, seed=0, shuffle=False)
    known = [n for n in range(20) if n % 4]
    assert parts.train.x[0, 0] == parts.test.x[0, 0] == pytest.approx(sum(known) / len(known))
    assert not np.isnan(parts.test.x).any()


BLOCK_ROWS = 90_000
"""More rows than are in the first block."""


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        ("2.5", "float32"),
        ("16777217.5", "float64"),
        ("", "float32"),
        ("inf", "float64"),
    ],
)
def test_blocks_of_a_large_file_equal_the_whole_file(place, monkeypatch, last, expected):
    rows = "".join(f"{n},{n % 7}.25,text {n % 5}\n" for n in range(BLOCK_ROWS))
    data = DATA_TYPES.parse(csv(place, f"a,b,y\n{rows}1,{last},end\n"))
    whole = CsvFiles(data).read_table(place / "t.csv", {"a", "b", "y"})
    monkeypatch.setattr(reader, "_MIN_STREAMED_BYTES", 0)
    blocks = CsvFiles(data).read_table(place / "t.csv", {"a", "b", "y"})
    types = {field.name: str(field.type) for field in blocks.schema}
    assert types == {
        "a": "int64",
        "b": expected.replace("float64", "double").replace("float32", "float"),
        "y": "string",
    }
    assert blocks.cast(whole.schema).equals(whole)


@pytest.mark.parametrize("last", ["text", "2024-01-01", "9" * 30])
def test_late_values_of_a_different_type_are_read_as_in_a_small_file(place, monkeypatch, last):
    rows = "".join(f"{n},{n % 7}\n" for n in range(2 * BLOCK_ROWS))
    data = DATA_TYPES.parse(csv(place, f"a,y\n{rows}{last},1\n"))
    whole = CsvFiles(data).read_table(place / "t.csv", {"a", "y"})
    monkeypatch.setattr(reader, "_MIN_STREAMED_BYTES", 0)
    assert CsvFiles(data).read_table(place / "t.csv", {"a", "y"}).equals(whole)


@pytest.mark.parametrize(
    "section",
    [
        {"split": {"order": "t", "test": 0.5}},
        {"windows": {"length": 2, "time": "t"}},
        {"target": "t", "target_type": "labels"},
    ],
)
def test_compared_columns_keep_their_precision(place, monkeypatch, section):
    monkeypatch.setattr(reader, "_MIN_STREAMED_BYTES", 0)
    data = DATA_TYPES.parse(csv(place, "a,t,y\n1.5,0.1,2\n", **section))
    table = CsvFiles(data).read_table(place / "t.csv", {"a", "t", "y"})
    assert [str(kind) for kind in table.schema.types] == ["float", "double", "int64"]


def test_size_in_memory_counts_the_values_of_a_file(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,2\n3,4\n")
    data = DATA_TYPES.parse({"type": "csv", "path": str(tmp_path / "t.csv"), "target": "b"})
    # 12 bytes of text, and 12 bytes for each of 6 values
    assert CsvFiles(data)._count_table_bytes(tmp_path / "t.csv", 1000) == 12 + 12 * 6


@pytest.mark.parametrize("stream", ["never", "always"])
def test_wide_table_is_read_by_its_texts(place, monkeypatch, stream):
    monkeypatch.setattr(reader, "_MAX_INFERRED_COLUMNS", 3)
    text = "a,b,c,name,y\n 1 ,NA,,x,no\n2,2.5, NA ,y,yes\n3,-1e1,?,NA,no\n"
    inputs = {"numbers": ["a", "b", "c"], "name": "name"}
    examples = load_dataset(DATA_TYPES.parse(csv(place, text, inputs=inputs, stream=stream)))
    batch = next(iter(examples.batches(3)))
    np.testing.assert_array_equal(
        batch.x["numbers"], np.array([[1, np.nan, np.nan], [2, 2.5, np.nan], [3, -10, np.nan]], np.float32)
    )
    assert batch.x["name"].tolist() == [["x"], ["y"], [""]]
    assert batch.y.tolist() == [0, 1, 0]


def test_wide_table_has_the_types_of_all_its_texts(place, monkeypatch):
    monkeypatch.setattr(reader, "_MAX_INFERRED_COLUMNS", 3)
    monkeypatch.setattr(reader, "_BLOCK_BYTES", 32)
    (place / "t.csv").write_text("a,b,c,d,e\n" + "1,1,1,,2\n" * 40 + "2,2.5,x,,3\n")
    files = CsvFiles(
        DATA_TYPES.parse({"type": "csv", "path": "t.csv", "target": "e", "types": {"e": "text"}})
    )
    table = files.read_table(place / "t.csv", {"a", "b", "c", "d", "e"})
    assert [str(kind) for kind in table.schema.types] == ["int64", "double", "string", "null", "string"]
    assert len(table) == 41
    assert table.slice(40).to_pylist() == [{"a": 2, "b": 2.5, "c": "x", "d": None, "e": "3"}]


def test_wide_table_without_rows_is_refused(place, monkeypatch):
    monkeypatch.setattr(reader, "_MAX_INFERRED_COLUMNS", 1)
    assert "has no rows" in refusal(**csv(place, "a,b,y\n"))[1]


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("stream", ["never", "always"])
def test_wide_table_is_read_as_a_narrow_table(place, monkeypatch, stream):
    lines = [
        "day;time;flag;comma;word;big;zero;code;y",
        "2020-01-01;2020-01-01 10:00;true;1,5;NA;9007199254740993;007;007;0",
        "2021-12-31;2021-01-01 10:00;False;;3;9007199254740995;012; x;1",
        "2022-02-28;2022-01-01;true;-0,5;null;1;1;?;1",
    ]
    inputs = {"n": ["comma", "flag", "word", "zero"], "big": "big", "code": "code", "d": ["day.year"]}
    keys = {"decimal": ",", "dates": {"day": ["year"]}, "types": {"flag": "number"}}
    found = []
    for extra, limit in (("", 2048), (";1", 1)):
        monkeypatch.setattr(reader, "_MAX_INFERRED_COLUMNS", limit)
        text = "\n".join(line + extra for line in lines)
        section = csv(place, text, separator=";", inputs=inputs, stream=stream) | keys
        x = load_examples(load_dataset(DATA_TYPES.parse(section))).x
        refused = [
            refusal(**csv(place, text, separator=";", inputs={"a": name}, stream=stream))
            for name in ("day", "time")
        ]
        found.append(({name: (array.dtype, array.tolist()) for name, array in x.items()}, refused))
    assert repr(found[0]) == repr(found[1])
    values, refused = found[0]
    assert repr(values["n"][1]) == "[[1.5, 1.0, nan, 7.0], [nan, 0.0, 3.0, 12.0], [-0.5, 1.0, nan, 1.0]]"
    assert values["code"][1] == [["007"], ["x"], [""]]
    assert (
        refused[0][1] == 'The column `day` must contain numbers, got dates (t.csv, line 2 has "2020-01-01").'
    )


@pytest.mark.parametrize("stream", ["never", "always"])
def test_hexadecimal_texts_stay_texts(place, stream):
    text = "code,a,y\n0x10,1,0x0A\n7,2, 0X1f\n0xFFFFFFFFFFFFFFFF,3,0x0A\n"
    options = {"inputs": {"code": "code", "a": ["a"]}, "stream": stream}
    examples = load_examples(load_dataset(DATA_TYPES.parse(csv(place, text, **options))))
    assert examples.class_names == ("0X1f", "0x0A")
    assert examples.y.tolist() == [1, 0, 1]
    assert examples.x["code"].ravel().tolist() == ["0x10", "7", "0xFFFFFFFFFFFFFFFF"]
    assert examples.x["a"].ravel().tolist() == [1, 2, 3]
