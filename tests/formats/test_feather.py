"""feather data: types, compression, damaged files, and files that are made to fill memory."""

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import feather

from layercli.config.data.section import DATA_TYPES
from layercli.formats.feather import reader
from layercli.formats.feather.sizes import measure_batches
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


@pytest.mark.parametrize("compression", ["uncompressed", "lz4"])
def test_size_of_batches_is_that_of_their_values(place, compression):
    table = pa.table({"a": np.zeros(100_000), "t": pa.array(["x"] * 100_000).dictionary_encode()})
    feather.write_feather(table, place / "t.feather", compression=compression, chunksize=60_000)
    dictionary, first, second = sorted(measure_batches(place / "t.feather"))
    assert dictionary < 1000
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


def test_batch_that_fills_memory_is_refused_before_it_is_decoded(place, monkeypatch):
    feather.write_feather(pa.table({"a": np.zeros(1000), "y": np.zeros(1000)}), place / "t.feather")
    monkeypatch.setattr(reader, "_MAX_BATCH_BYTES", 10_000)
    message = refusal(**SECTION)[1]
    assert message.startswith("A batch of t.feather needs 16,000 bytes of memory")
