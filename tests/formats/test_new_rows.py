"""New rows of tables, one row out for each row in, from files and streams."""

import gzip
import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from layercli.config.data.section import DATA_TYPES
from layercli.data.predictions import PREDICTION_WRITERS
from layercli.data.reader_state import ReaderState
from layercli.data.types import DataError
from layercli.formats.csv import new_rows as new_rows_module
from layercli.formats.registry import iterate_new_rows, load_dataset, load_new_dataset

TRAINING = "id,a,t,y\n1,0.5,x,n\n2,,y,y\n30000000000,2,x,n\n"
DTYPES = {"id": "int64", "a": "float32", "t": "string"}
INPUTS = {"id": ["id"], "a": ["a"], "t": "t"}


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def learn(text=TRAINING, *, dtypes=None, **keys):
    """Return a section of type csv, and the plan that it learned from a table."""
    Path("t.csv").write_text(text)
    data = DATA_TYPES.parse({"type": "csv", "path": "t.csv", "target": "y", "inputs": INPUTS} | keys)
    dataset = load_dataset(data, dtypes=dtypes or DTYPES)
    return data, dataset.split(data.split, seed=1, shuffle=False).table_plan


def read(learned, *sources, keep=()):
    """Return the values of each row of the inputs, or the error, and the columns that identify them."""
    data, plan = learned
    streams = [io.BytesIO(source.encode()) if isinstance(source, str) else source for source in sources]
    rows, columns = [], []
    for piece in iterate_new_rows(data, streams, plan, keep):
        x = piece.examples.x
        values = iter(zip(*(x[name][:, 0].tolist() for name in ("id", "a", "t")), strict=True))
        rows += [next(values) if error is None else error for error in piece.errors]
        columns += zip(*(column.tolist() for column in piece.columns.values()), strict=True)
    return rows, columns


def test_rows_that_training_would_drop_or_refuse():
    learned = learn(missing={"columns": {"a": "drop"}})
    rows, columns = read(learned, "t,id,a\nz,1,\nx,30000000001,2\nx,,1\nx,1.5,1\nx,b,1\n", keep=["a"])
    assert rows == [
        "`a` is missing",
        (30000000001, 2.0, "x"),
        "`id` is missing",
        "`id` is not an integer in the row; the model input has an integer dtype",
        '`id` must be a number, got "b"',
    ]
    assert columns == [(1, ""), (2, "2"), (3, "1"), (4, "1"), (5, "1")]


def test_rows_are_numbered_over_all_sources(place):
    learned = learn(missing={"numbers": "median"})
    (place / "a.csv.gz").write_bytes(gzip.compress(b"id,a,t\n1,,x\n"))
    rows, columns = read(
        learned, place / "a.csv.gz", "a,id,t\n2,3,\n", '{"id": 4, "a": 1, "t": "q", "z": {}}\n'
    )
    assert rows == [(1, 1.25, "x"), (3, 2.0, ""), (4, 1.0, "q")]
    assert columns == [(1,), (2,), (3,)]


def test_inputs_without_rows_have_one_empty_piece(place):
    data, plan = learn()
    for source in (io.BytesIO(b"id,a,t\n"), place / "empty.csv"):
        (place / "empty.csv").write_text("id,a,t\n")
        [piece] = iterate_new_rows(data, [source], plan, ["t"])
        assert (len(piece), list(piece.columns), piece.examples.x["a"].shape) == (0, ["row", "t"], (0, 1))
    data = DATA_TYPES.parse({"type": "parquet", "path": "t.parquet", "target": "y", "inputs": INPUTS})
    parquet.write_table(pa.table({"id": [1], "a": [0.5], "t": ["x"]})[:0], "empty.parquet")
    [piece] = iterate_new_rows(data, [place / "empty.parquet"], plan, ())
    assert len(piece) == 0


def test_many_wrong_rows():
    text = "id,a,t\n" + "".join(f"{row},{'x' if row % 7 == 0 else row},t\n" for row in range(1, 500))
    rows, _ = read(learn(missing={"numbers": "zero"}), text)
    expected = [
        (row, float(row), "t") if row % 7 else '`a` must be a number, got "x"' for row in range(1, 500)
    ]
    assert rows == expected


def test_files_without_a_header_and_without_the_target():
    keys = {"columns": ["id", "y", "a", "t"], "separator": ";"}
    learned = learn("1;n;0.5;x\n2;y;1;y\n", **keys)
    assert read(learned, "7;n;0.5;x\n8;?;1;x\n")[0] == [(7, 0.5, "x"), (8, 1.0, "x")]
    assert read(learned, "7;0.5;x\n8;1\n")[0] == [
        (7, 0.5, "x"),
        "the row has 2 values, but there are 3 columns",
    ]
    keys["columns"] = ["id", "y", "w", "a", "t"]
    weighted = learn("1;n;3;0.5;x\n2;y;3;1;y\n", weights="w", **keys)
    assert read(weighted, "7;0.5;x\n")[0] == [(7, 0.5, "x")]
    assert read(weighted, "7;2;0.5;x\n")[0] == [(7, 0.5, "x")]


@pytest.mark.parametrize(
    ("text", "keep", "messages"),
    [
        (
            "x,v,w\nz,y,u\n",
            [],
            ["The file has none of the columns that the model was trained with: id, a, t."],
        ),
        (
            "A,v,w\n1,2,3\n",
            [],
            [f'Missing column "{name}"; the model was trained with it.' for name in ("id", "a", "t")],
        ),
        ("", [], ["The input cannot be read: it is empty."]),
        (
            "id,b\n1,2\n",
            ["who"],
            [
                'Missing column "a"; the model was trained with it.',
                'Missing column "t"; the model was trained with it.',
                'Missing column "who"; `--keep` names it.',
            ],
        ),
    ],
)
def test_unusable_streams(text, keep, messages):
    with pytest.raises(DataError) as caught:
        read(learn(missing={"numbers": "zero"}), text, keep=keep)
    assert [finding.message for finding in caught.value.findings] == messages


def test_parquet_rows(place):
    table = pa.table({"id": [1, 2, 3], "a": [0.5, None, 2], "t": ["x", "y", "x"], "y": ["n", "y", "n"]})
    parquet.write_table(table, "t.parquet", row_group_size=2)
    data = DATA_TYPES.parse(
        {
            "type": "parquet",
            "path": "t.parquet",
            "target": "y",
            "inputs": INPUTS,
            "missing": {"columns": {"a": "drop"}},
        }
    )
    dataset = load_dataset(data, dtypes=DTYPES)
    learned = data, dataset.split(data.split, seed=1, shuffle=False).table_plan
    rows, columns = read(learned, place / "t.parquet", keep=["y"])
    assert rows == [(1, 0.5, "x"), "`a` is missing", (3, 2.0, "x")]
    assert columns == [(1, "n"), (2, "y"), (3, "n")]
    assert read(learned, "id,a,t\n9,1,z\n")[0] == [(9, 1.0, "z")]  # a stream is CSV or JSON Lines
    parquet.write_table(table.drop_columns(["a"]), "u.parquet")
    with pytest.raises(DataError, match='Missing column "a"'):
        read(learned, place / "u.parquet")


def test_rows_equal_those_of_training():
    data, plan = learn(missing={"numbers": "median", "texts": "none"})
    rows, _ = read((data, plan), TRAINING)
    x = load_dataset(data, dtypes=DTYPES).split(data.split, seed=1, shuffle=False).train.x
    expected = [x[name][:, 0] for name in ("id", "a", "t")]
    for found, column in zip(zip(*rows, strict=True), expected, strict=True):
        np.testing.assert_array_equal(np.array(found), column)


def test_rows_of_other_encodings_and_number_formats(place):
    keys = {"decimal": ",", "thousands": ".", "separator": ";", "comment": "#", "skip_lines": 1}
    text = "title\n# c\nid;a;t;y\n1;1.000,5;x;n\n2;2,5;y;y\n"
    learned = learn(text, encoding="latin-1", missing={"numbers": "zero"}, **keys)
    rows = "title\nid;a;t\n# c\n7;1,5;é\n8;NA;x\n9;3,x;x\n1.000;1;x\n".encode("latin-1")
    found, _ = read(learned, io.BytesIO(rows))
    assert found == [(7, 1.5, "é"), (8, 0.0, "x"), '`a` must be a number, got "3,x"', (1000, 1.0, "x")]
    utf16 = "title\nid;a;t\n7;1,5;é\n".encode("utf-16")
    assert read(learned, io.BytesIO(utf16))[0] == [(7, 1.5, "é")]
    lines = '{"id": 7, "a": 1.5, "t": "é"}\n{"id": 8, "a": "1.200,5", "t": "x"}\n{"id": 9, "a": "120.5", "t": "x"}\n'
    (place / "n.jsonl").write_text(lines, encoding="utf-8")
    format_error = '`a` must be a number, or a text in the number format of the training, got "120.5"'
    assert read(learned, place / "n.jsonl")[0] == [(7, 1.5, "é"), (8, 1200.5, "x"), format_error]


def test_booleans_and_dates_of_new_rows():
    text = "id,a,t,y\n1,TRUE,01.02.2024,n\n2,FALSE,25.12.2023,y\n"
    inputs = {"id": ["id"], "a": ["a"], "t": ["t"]}
    learned = learn(
        text, inputs=inputs, dates={"t": ["month"]}, dtypes={"id": "int64", "a": "float32", "t": "float32"}
    )
    rows, _ = read(learned, "id,a,t\n1,yes,03.04.2024\n2,False,\n3,1,05.06.2024\n4,perhaps,01.01.2024\n")
    assert rows == [
        (1, 1.0, 4.0),
        "`t.month` is missing",
        (3, 1.0, 6.0),
        '`a` must be a number, got "perhaps"',
    ]


def test_a_stream_of_another_format():
    with pytest.raises(DataError, match="is a Parquet file"):
        read(learn(missing={"numbers": "zero"}), io.BytesIO(b"PAR1" + bytes(100)))


def test_one_wrong_row_does_not_make_others_slow(monkeypatch):
    """A batch with wrong rows is read at most twice, also with boolean words of several pairs."""
    learned = learn("id,a,t,y\n1,TRUE,x,n\n2,FALSE,y,y\n", inputs={"id": ["id"], "a": ["a"], "t": "t"})
    calls = []
    original = new_rows_module.decode_new_table
    monkeypatch.setattr(new_rows_module, "decode_new_table", lambda *args: calls.append(1) or original(*args))
    words = ["yes", "False", "1", "wrong"]
    rows, _ = read(learned, "id,a,t\n" + "".join(f"{row},{words[row % 4]},t\n" for row in range(400)))
    expected = [1.0, 0.0, 1.0]
    assert rows == [
        (row, expected[row % 4], "t") if row % 4 < 3 else '`a` must be a number, got "wrong"'
        for row in range(400)
    ]
    assert len(calls) <= 2


def refuse(learned, source):
    with pytest.raises(DataError) as caught:
        read(learned, source)
    [found] = caught.value.findings
    return found.message, found.hint


def test_rows_in_another_encoding_or_with_another_separator_are_refused(place):
    learned = learn()
    (place / "n.csv").write_bytes("id,a,t\n1,2,schön\n".encode("cp1252"))
    assert refuse(learned, Path("n.csv")) == (
        "The input must be in the encoding of the training data, utf-8; it seems to be cp1252.",
        "Convert it: `iconv -f cp1252 -t utf-8 n.csv > converted.csv`.",
    )
    assert refuse(learned, io.BytesIO(b"id;a;t\n1;2;x\n")) == (
        "The input must have the separator of the training data, ','; it seems to have ';'.",
        "Convert it: `python -c \"import csv, sys; csv.writer(sys.stdout, delimiter=',').writerows(csv.reader(sys.stdin, "
        "delimiter=';'))\" < FILE > converted.csv`.",
    )
    latin = learn("id,a,t,y\n1,2,\xe9,n\n".encode("latin-1").decode("latin-1"))
    assert read(latin, "id,a,t\n1,2,é\n")[0] == [(1, 2.0, "é")]


def test_rows_of_utf8_for_a_model_of_another_encoding_are_refused():
    Path("t.csv").write_bytes("id,a,t,y\n1,2,é,n\n2,3,x,y\n".encode("cp1252"))
    data = DATA_TYPES.parse(
        {"type": "csv", "path": "t.csv", "target": "y", "inputs": INPUTS, "encoding": "cp1252"}
    )
    plan = load_dataset(data, dtypes=DTYPES).split(data.split, seed=1, shuffle=False).table_plan
    assert refuse((data, plan), "id,a,t\n1,2,é\n")[0] == (
        "The input must be in the encoding of the training data, cp1252; it seems to be utf-8."
    )


def test_row_with_a_bad_byte_has_an_error():
    rows, _ = read(learn(), io.BytesIO("id,a,t\n1,2,é\n2,3,".encode() + b"x\xfc\n3,4,y\n"))
    assert rows == [(1, 2.0, "é"), "column 6 has the byte fc, which is not utf-8", (3, 4.0, "y")]


def test_texts_of_json_have_the_numbers_of_training():
    text = "id;a;t;y\n1;$1.000,5;x;n\n2;$2,5;y;y\n"
    learned = learn(text, separator=";", decimal=",", thousands=".")
    rows = [
        '{"id": 1, "a": "$1.000,5", "t": "1.000,5"}',
        '{"id": 1, "a": 1000.5, "t": "x"}',
        '{"id": "1.000", "a": "1,5", "t": null}',
        '{"id": 1, "a": "much", "t": "x"}',
    ]
    assert read(learned, "\n".join(rows) + "\n")[0] == [
        (1, 1000.5, "1.000,5"),
        (1, 1000.5, "x"),
        (1000, 1.5, ""),
        '`a` must be a number, got "much"',
    ]


def test_kept_values_of_json_are_values_in_json_lines_and_texts_elsewhere(place):
    data, plan = learn(decimal=",", missing={"numbers": "zero"})
    values = ["1", "-2.50", '"1,5"', "true", "null", "NaN", "[1]"]
    rows = [f'{{"id": 1, "a": 1, "t": "x", "k": {value}}}\n' for value in values]
    stream = io.BytesIO("".join([*rows, '{"k": 5}\n']).encode())
    columns = [piece.columns for piece in iterate_new_rows(data, [stream], plan, ["k"])]
    for suffix in ("jsonl", "csv", "parquet", "npz"):
        PREDICTION_WRITERS[f".{suffix}"](place / f"k.{suffix}", columns)
    lines = (place / "k.jsonl").read_text().splitlines()
    assert [json.loads(line)["k"] for line in lines] == [1, -2.5, "1,5", True, None, None, None, 5]
    texts = ["1", "-2.5", "1,5", "true", None, "NaN", None, "5"]
    assert parquet.read_table(place / "k.parquet")["k"].to_pylist() == texts
    with np.load(place / "k.npz") as arrays:
        assert arrays["k"].tolist() == [text or "" for text in texts]
    assert (place / "k.csv").read_text().splitlines()[1:3] == ["1,1", "2,-2.5"]


def test_rows_without_a_header_for_a_table_without_one():
    learned = learn(TRAINING.partition("\n")[2], columns=["id", "a", "t", "y"], missing={"numbers": "zero"})
    assert read(learned, "7,1,x\n")[0] == [(7, 1.0, "x")]
    with pytest.raises(DataError, match=r"The input begins with the names of its columns \(no, mean, word\)"):
        read(learned, "no,mean,word\n7,1,x\n")
    with pytest.raises(DataError, match="begins with the names"):
        load_new_dataset_of(learned, "no,mean,word,label\n7,1,x,n\n")


def test_rows_without_a_header_for_a_table_with_one():
    learned = learn(missing={"numbers": "zero"})
    with pytest.raises(DataError, match=r"its first line is a row \(7, 1, x\)"):
        read(learned, "7,1,x\n")
    with pytest.raises(DataError, match=r"new.csv must begin with the names .* its first line is a row"):
        load_new_dataset_of(learned, "7,1,x,n\n8,1,x,n\n")


def load_new_dataset_of(learned, text):
    Path("new.csv").write_text(text)
    data, plan = learned
    return load_new_dataset(data, ["new.csv"], ReaderState({}, table_plan=plan), has_targets=True)
