"""feather data: types, compression, damaged files, and files that are made to fill memory."""

import re

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import feather, parquet

from layercli.config.data.section import DATA_TYPES
from layercli.data.examples import load_examples
from layercli.data.tables import files
from layercli.formats.feather import reader
from layercli.formats.feather.sizes import measure_batches
from layercli.formats.preview import PreviewError, preview_table
from layercli.formats.registry import load_dataset, locate_row
from tests.formats.helpers import refusal

pytestmark = pytest.mark.usefixtures("cache")

SECTION = {"type": "feather", "path": "t.feather", "target": "y"}


@pytest.mark.parametrize("compression", ["uncompressed", "lz4", "zstd"])
def test_values_are_read_as_in_other_tables(place, compression):
    table = pa.table(
        {
            "a": [1, None, 3],
            "t": pa.array(["x", " ?", None]).dictionary_encode(),
            "l": [[1], [2], [3]],
            "y": ["p", "q", "p"],
        }
    )
    feather.write_feather(table, place / "t.feather", compression=compression)
    examples = load_dataset(DATA_TYPES.parse(SECTION | {"inputs": {"n": ["a"], "t": "t"}}))
    np.testing.assert_array_equal(examples.x["n"][:, 0], [1, np.nan, 3])
    assert examples.x["t"].tolist() == [["x"], [""], [""]]
    assert (examples.y.tolist(), examples.class_names) == ([0, 1, 0], ("p", "q"))
    assert locate_row(DATA_TYPES.parse(SECTION), 1) == "t.feather, row 2"


def test_texts_and_categories_of_polars_are_texts(place):
    categories = pa.array(["x", "y" * 20], pa.string_view())
    table = pa.table(
        {
            "a": [1, 2, 3],
            "t": pa.DictionaryArray.from_arrays(pa.array([1, None, 0], pa.uint32()), categories),
            "s": pa.array(["u", None, "v"], pa.string_view()),
            "repeated": pa.RunEndEncodedArray.from_arrays(pa.array([3], pa.int32()), [7]),  # not read
            "y": [0, 1, 0],
        }
    )
    with pa.ipc.new_file(place / "t.feather", table.schema) as writer:
        writer.write_table(table, max_chunksize=2)
    texts = {name: name for name in ("t", "s")}
    examples = load_dataset(DATA_TYPES.parse(SECTION | {"inputs": texts}))
    assert examples.x["t"].tolist() == [["y" * 20], [""], ["x"]]
    assert examples.x["s"].tolist() == [["u"], [""], ["v"]]


@pytest.mark.parametrize("compression", ["uncompressed", "lz4"])
def test_size_of_batches_is_that_of_their_values(place, compression):
    table = pa.table({"a": np.zeros(100_000), "t": pa.array(["x"] * 100_000).dictionary_encode()})
    feather.write_feather(table, place / "t.feather", compression=compression, chunksize=60_000)
    dictionary, first, second = sorted(measure_batches(place / "t.feather"))
    assert dictionary == 1 << 16  # the least that a batch counts
    # Eight bytes for each number and four for each index, padded to 64 bytes.
    assert first == pytest.approx(40_000 * 12, abs=200)
    assert second == pytest.approx(60_000 * 12, abs=200)


def test_damaged_and_other_files_are_refused(place):
    feather.write_feather(pa.table({"a": [1, 2], "y": [1, 2]}), place / "t.feather")
    content = (place / "t.feather").read_bytes()
    for damaged in (content[:-20], content[:40], content[:-8] + b"\xff" * 8):
        (place / "t.feather").write_bytes(damaged)
        assert refusal(**SECTION)[1].startswith("Cannot read the Feather file t.feather: ")
    (place / "t.feather").write_text('{"a": 1, "y": 2}\n')
    assert refusal(**SECTION)[1] == "t.feather is a file of JSON lines, not a table of text."


@pytest.mark.parametrize("is_dictionary", [False, True])
def test_text_that_is_not_utf8_is_refused_by_column(place, is_dictionary):
    texts = pa.array([b"a", b"\xff"]).view(pa.string())
    if is_dictionary:
        texts = pa.DictionaryArray.from_arrays([0, 1], texts)
    feather.write_feather(pa.table({"t": texts, "y": [1, 2]}), place / "t.feather")
    assert refusal(**SECTION)[1] == "The column `t` of t.feather contains text that is not UTF-8."


def test_columns_that_are_not_read_are_not_checked(place):
    texts = pa.array([b"\xff", b"a"]).view(pa.string())
    lists = pa.ListArray.from_arrays([0, 1, 2], texts)
    feather.write_feather(pa.table({"l": lists, "a": [1, 2], "y": [1, 2]}), place / "t.feather")
    assert load_dataset(DATA_TYPES.parse(SECTION | {"inputs": {"n": ["a"]}})).x["n"].tolist() == [[1], [2]]


def test_batch_that_fills_memory_is_refused_before_it_is_decoded(place, monkeypatch):
    feather.write_feather(pa.table({"a": np.zeros(10_000), "y": np.zeros(10_000)}), place / "t.feather")
    monkeypatch.setattr(reader, "_MAX_BATCH_BYTES", 100_000)
    message = refusal(**SECTION)[1]
    assert message.startswith("A batch of t.feather needs 160,000 bytes of memory")


def make_views(count, size, content):
    """Texts that are all the same part of a buffer."""
    view = np.array([[size, 0, 0, 0]] * count, np.int32)
    view[:, 1] = np.frombuffer(content[:4], np.int32)
    return pa.Array.from_buffers(
        pa.string_view(), count, [None, pa.py_buffer(view.tobytes()), pa.py_buffer(content)]
    )


@pytest.mark.parametrize(
    "texts",
    [
        pa.DictionaryArray.from_arrays(pa.array([0, None] * 2000, pa.int8()), ["x" * 1_000_000]),
        pa.DictionaryArray.from_arrays(
            pa.array([0, None] * 2000, pa.int8()), pa.array([b"x" * 1_000_000], pa.binary(1_000_000))
        ),
        make_views(2000, 1_000_000, b"x" * 1_000_000),
        pa.DictionaryArray.from_arrays(
            pa.array([None] * 2000, pa.int16()), make_views(2000, 1_000_000, b"x" * 1_000_000)
        ),
    ],
    ids=["dictionary", "dictionary of bytes", "views", "unused dictionary of views"],
)
def test_text_that_many_rows_share_is_refused(place, texts):
    table = pa.table({"t": texts, "y": np.arange(len(texts))})
    feather.write_feather(table, place / "t.feather", compression="zstd")
    assert (place / "t.feather").stat().st_size < 20_000
    assert refusal(**SECTION)[1].startswith("The table in t.feather needs 2,001,")


def test_nulls_without_bytes_are_refused(place):
    table = pa.table({name: pa.nulls(1 << 28) for name in ("a", "y")})
    feather.write_feather(table, place / "t.feather", chunksize=1 << 28)
    assert refusal(**SECTION)[1].startswith("The table in t.feather needs 2,147,483,648 bytes of memory")


def test_batch_that_the_file_names_often_is_counted_each_time(place):
    feather.write_feather(pa.table({"a": [1, 2], "y": [1, 2]}), place / "t.feather", chunksize=1)
    assert measure_batches(place / "t.feather") == [1 << 16] * 2


@pytest.mark.parametrize("kind", [pa.float64(), pa.string(), pa.list_(pa.string())])
def test_index_outside_a_dictionary_is_refused(place, kind):
    values = pa.array([None, None], kind)
    texts = pa.DictionaryArray.from_arrays(pa.array([0, 2], pa.int32()), values, safe=False)
    feather.write_feather(pa.table({"t": texts, "y": [1, 2]}), place / "t.feather")
    assert refusal(**SECTION)[1] == (
        "Cannot read the Feather file t.feather: an index of the column `t` is not in its dictionary."
    )


@pytest.mark.parametrize(
    ("texts", "valid", "damaged"),
    [
        (make_views(2, 20, b"x" * 20), [20, 0x78787878, 0, 0], [20, 0x78787878, 7, 2_000_000_000]),
        (pa.array([b"abc", b"d"]), [0, 3, 4], [0, 2_000_000_000, 2_000_000_001]),
    ],
    ids=["view", "offset"],
)
def test_text_outside_its_buffer_is_refused(place, texts, valid, damaged):
    feather.write_feather(
        pa.table({"t": texts, "y": [1, 2]}), place / "t.feather", compression="uncompressed"
    )
    content = (place / "t.feather").read_bytes()
    old, new = (np.array(each, np.int32).tobytes() for each in (valid, damaged))
    assert old in content
    (place / "t.feather").write_bytes(content.replace(old, new, 1))
    assert refusal(**SECTION)[1].startswith("Cannot read the Feather file t.feather: ")


def test_long_texts_are_written_in_small_row_groups(place, monkeypatch, tmp_path):
    texts = pa.DictionaryArray.from_arrays(pa.array([0, 1, 1, 0, None, 1]), ["x" * 50, "y"])
    feather.write_feather(pa.table({"t": texts, "y": np.arange(6)}), place / "t.feather")
    monkeypatch.setattr(reader, "_BYTES_AT_ONCE", 52)
    reader.FeatherFiles(DATA_TYPES.parse(SECTION)).convert_file(place / "t.feather", tmp_path / "t.parquet")
    written = parquet.ParquetFile(tmp_path / "t.parquet")
    assert [written.metadata.row_group(group).num_rows for group in range(2)] == [3, 3]
    assert written.read().column("t").to_pylist() == ["x" * 50, "y", "y", "x" * 50, None, "y"]


@pytest.mark.parametrize("stream", ["never", "always"])
def test_values_that_parquet_lacks_are_read(place, stream):
    table = pa.table(
        {
            "second": pa.array([0, 10**17, 86_400], pa.int64()).cast(pa.timestamp("s")),
            "hundreds": pa.array([100, None, 98_765_432_100], pa.decimal128(9, -2)),
            "none": pa.array([b"", None, b""], pa.binary(0)),
            "y": [0.5, 1.5, 2.5],
        }
    )
    feather.write_feather(table, place / "t.feather")
    inputs = {"n": ["second", "hundreds"], "none": "none"}
    section = {"inputs": inputs, "dates": {"second": ["day"]}, "types": {"none": "text"}, "stream": stream}
    x = load_examples(load_dataset(DATA_TYPES.parse(SECTION | section))).x
    expected = np.array([[1, 100], [np.nan, np.nan], [2, 98_765_432_100]], np.float32)
    np.testing.assert_array_equal(x["n"], expected)
    assert x["none"].tolist() == [[""], [""], [""]]


def test_table_with_too_many_columns_is_refused(place, monkeypatch):
    monkeypatch.setattr(files, "_MAX_COLUMNS", 2)
    table = pa.table({"a": [1], "b": [2], "y": [0]})
    feather.write_feather(table, place / "t.feather")
    parquet.write_table(table, place / "t.parquet")
    (place / "t.csv").write_text("a,b,y\n1,2,0\n")
    for kind in ("feather", "parquet", "csv"):
        message = f"t.{kind} has 3 columns, and a table at most 2."
        assert refusal(**SECTION | {"type": kind, "path": f"t.{kind}"})[1] == message
        with pytest.raises(PreviewError, match=re.escape(message)):
            preview_table(place / f"t.{kind}")
