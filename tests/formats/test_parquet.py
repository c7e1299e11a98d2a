"""parquet data."""

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet as arrow_parquet

from layercli.config.data.section import DATA_TYPES
from layercli.data.examples import load_examples
from layercli.data.types import DataError
from layercli.formats.parquet.reader import ParquetFiles
from layercli.formats.preview import preview_table
from layercli.formats.registry import load_dataset
from tests.formats.helpers import refusal
from tests.running import run_python


def parquet(place, name="t.parquet", **columns):
    arrow_parquet.write_table(pa.table(columns), place / name)
    return {"type": "parquet", "path": name, "target": "y"}


def test_values_are_read_as_in_csv(place):
    import pyarrow as pa

    data = parquet(
        place,
        a=[1, None, 3],
        b=[0.5, 1.5, 2.5],
        t=pa.array(["x", " ?", None]).dictionary_encode(),
        y=["p", "q", "p"],
    )
    examples = load_dataset(DATA_TYPES.parse(data | {"inputs": {"n": ["a", "b"], "t": "t"}}))
    np.testing.assert_array_equal(examples.x["n"], np.array([[1, 0.5], [np.nan, 1.5], [3, 2.5]], np.float32))
    assert examples.x["t"].tolist() == [["x"], [""], [""]]
    assert (examples.y.tolist(), examples.class_names) == ([0, 1, 0], ("p", "q"))


@pytest.mark.parametrize("stream", ["never", "always"])
def test_texts_and_bytes_of_views(place, monkeypatch, stream):
    monkeypatch.setenv("XDG_CACHE_HOME", str(place / "cache"))
    texts = pa.array(["a", " b", None], pa.string_view())
    keys = parquet(place, t=texts, b=pa.array([b"p", b"q", b"r"], pa.binary_view()), y=[0.5, 1.5, 2.5])
    examples = load_dataset(
        DATA_TYPES.parse(keys | {"inputs": {"t": "t", "b": "b"}, "types": {"b": "text"}, "stream": stream})
    )
    loaded = load_examples(examples)
    assert loaded.x["t"].tolist() == [["a"], ["b"], [""]]
    assert loaded.x["b"].tolist() == [["p"], ["q"], ["r"]]


def test_damaged_metadata_of_a_column_is_an_error(place):
    path = place / parquet(place, x=["a", "b", "c", "d"], y=[0, 1, 0, 1])["path"]
    content = bytearray(path.read_bytes())
    start = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    schema = content.index(b"\x15\x0c%\x02\x18\x01x", start)
    content[schema + 3] ^= 2  # x is required, but its pages have levels of optional values
    path.write_bytes(content)
    code = (
        "import sys, layercli.data.tables.parquet_sizes as sizes; from pathlib import Path\n"
        "try: sizes.measure_groups(Path(sys.argv[1]), None)\n"
        "except OSError as error: print(error)"
    )
    assert "histogram size mismatch" in run_python(code, path)  # PyArrow itself ends the process


@pytest.mark.parametrize("stream", ["never", "always"])
def test_extension_types_are_read_by_their_values(place, monkeypatch, stream):
    monkeypatch.setenv("XDG_CACHE_HOME", str(place / "cache"))
    stored = {
        "u": (pa.uuid(), pa.array([b"\xff" * 16, b"\x00" * 16], pa.binary(16))),
        "t": (
            pa.fixed_shape_tensor(pa.float32(), [2]),
            pa.array([[1, 2], [3, 4]], pa.list_(pa.float32(), 2)),
        ),
        "b": (pa.bool8(), pa.array([1, 0], pa.int8())),
        "j": (pa.json_(), pa.array(['{"a": 1}', "{}"])),
    }
    columns = {name: pa.ExtensionArray.from_storage(*each) for name, each in stored.items()}
    keys = parquet(place, **columns, y=[0.5, 1.5]) | {"stream": stream}
    assert ParquetFiles(DATA_TYPES.parse(keys)).list_unusable_columns(place / "t.parquet") == ["u", "t"]
    loaded = load_examples(load_dataset(DATA_TYPES.parse(keys | {"inputs": {"b": "b", "j": "j"}})))
    assert loaded.x["b"].tolist() == [[1], [0]]
    assert loaded.x["j"].tolist() == [['{"a": 1}'], ["{}"]]
    refused = refusal(**keys, inputs={"t": "t"})[1]
    assert refused.startswith("The column `t` must contain numbers or text, got fixed_size_list<")
    assert [column.name for column in preview_table(place / "t.parquet").survey.columns] == ["b", "j", "y"]


@pytest.mark.parametrize("stream", ["never", "always"])
def test_checksums_of_pages_are_compared(place, monkeypatch, stream):
    monkeypatch.setenv("XDG_CACHE_HOME", str(place / "cache"))
    table = pa.table({"x": np.arange(1000.0), "y": np.arange(1000) % 2})
    arrow_parquet.write_table(
        table, place / "d.parquet", write_page_checksum=True, compression="none", use_dictionary=False
    )
    content = bytearray((place / "d.parquet").read_bytes())
    content[4000] ^= 1
    (place / "d.parquet").write_bytes(content)
    data = {"type": "parquet", "path": str(place / "d.parquet"), "target": "y", "stream": stream}
    with pytest.raises(DataError, match="CRC checksum verification failed"):
        load_examples(load_dataset(DATA_TYPES.parse(data)))


def test_durations_are_seconds(place):
    import datetime

    times = [datetime.timedelta(minutes=1, microseconds=500_000), None]
    examples = load_dataset(DATA_TYPES.parse(parquet(place, a=times, y=[0.5, 1.5])))
    np.testing.assert_array_equal(examples.x[:, 0], [60.5, np.nan])


def test_invalid_file_column_type_and_memory(place):
    import datetime

    (place / "broken.parquet").write_bytes(b"PAR1 nothing PAR1")
    assert "Cannot read the Parquet file" in refusal(type="parquet", path="broken.parquet", target="y")[1]
    data = parquet(place, when=[datetime.date(2020, 1, 1)] * 2, y=[0, 1])
    assert refusal(**data)[1].startswith(
        'The column `when` must contain numbers, got dates (t.parquet, which has "2020-01-01")'
    )
    assert "this machine has 10 bytes of memory" in refusal(memory=10, **data, stream="never")[1]


def test_bytes_that_are_not_text_cannot_be_a_column_of_texts(place):
    data = parquet(place, b=[b"a", b"\xff"], y=[1.0, 2.0])
    assert refusal(**data, types={"b": "text"}, inputs={"b": ["b"]})[1] == (
        "The column `b` must contain text, got bytes that are not UTF-8."
    )


@pytest.mark.parametrize("stream", ["never", "always"])
def test_digits_in_bytes_are_numbers(place, monkeypatch, stream):
    monkeypatch.setenv("XDG_CACHE_HOME", str(place / "cache"))
    keys = parquet(place, a=pa.array([b"3", None, b"-7"]), y=[0.5, 1.5, 2.5])
    section = DATA_TYPES.parse(keys | {"inputs": {"n": ["a"]}, "stream": stream})
    x = load_examples(load_dataset(section)).x
    np.testing.assert_array_equal(x["n"], np.array([[3], [np.nan], [-7]], np.float32))
    assert preview_table(place / "t.parquet").columns[0].values == ("-7", "3")


@pytest.mark.parametrize("stream", ["never", "always"])
def test_column_of_times_that_cannot_be_read_is_named(place, monkeypatch, stream):
    monkeypatch.setenv("XDG_CACHE_HOME", str(place / "cache"))
    numbers = pa.array([300_000_000_000_000, 0], pa.int64())
    times = {"far": numbers.cast(pa.timestamp("ms")), "t": numbers.cast(pa.timestamp("ms", "Mars/X"))}
    keys = parquet(place, **times, y=[0.5, 1.5]) | {"stream": stream}
    place_in_file = 't.parquet, which has "11476-08-15 05:20:00.000"'
    message = f"The column `far` must contain numbers, got dates ({place_in_file})."
    assert refusal(**keys, inputs={"n": ["far"]})[1] == message
    section = DATA_TYPES.parse(keys | {"inputs": {"n": ["t"]}, "dates": {"t": ["hour"]}})
    with pytest.raises(DataError, match='The column `t` has the unknown time zone "Mars/X"'):
        load_examples(load_dataset(section))
