"""Integer inputs are exact, and invalid values are reported."""

import json

import numpy as np
import pyarrow as pa
import pytest
import yaml
from pyarrow import csv, parquet

from layercli.config.data.section import DATA_TYPES, SplitConfig
from layercli.data.examples import load_examples
from layercli.data.reader_state import ReaderState
from layercli.data.tables import windows
from layercli.data.types import DataError
from layercli.formats.registry import load_dataset, load_new_dataset
from tests.running import invoke

IDS = [2**24 + 1, 2**31 + 1, 2**53 + 1, 7, 2**24 + 3, -(2**40) - 1, 0, 1, 2, 3]


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def section(kind, ids, stream, **keys):
    table = pa.table({"id": ids, "a": np.arange(len(ids)) / 4, "y": np.arange(len(ids)) / 3})
    if kind == "csv":
        csv.write_csv(table, "t.csv")
    else:
        parquet.write_table(table, "t.parquet", row_group_size=3)
    inputs = {"id": "id", "a": "a"}
    return DATA_TYPES.parse(
        {"type": kind, "path": f"t.{kind}", "target": "y", "inputs": inputs, "stream": stream} | keys
    )


@pytest.mark.parametrize("stream", ["never", "always"])
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_integers_are_exact(kind, stream):
    data = section(kind, IDS, stream, missing={"numbers": "median"})
    source = load_dataset(data, dtypes={"id": "int64"})
    parts = source.split(SplitConfig(test=2), seed=0, shuffle=False)
    assert load_examples(source).x["id"].tolist() == [[number] for number in IDS]
    assert parts.train.empty_batch.x["id"].dtype == np.int64
    learned = ReaderState.from_json(json.loads(json.dumps(ReaderState.from_splits(parts).to_json())))
    again = load_new_dataset(data, [f"t.{kind}"], learned, has_targets=False)
    assert load_examples(again).x["id"][:, 0].tolist() == IDS


@pytest.mark.parametrize("stream", ["never", "always"])
def test_integers_in_windows_are_exact(stream, monkeypatch):
    monkeypatch.setattr(windows, "_MAX_MEMORY_BYTES", 0)
    source = load_dataset(section("csv", IDS, stream, windows={"length": 2}), dtypes={"id": "int64"})
    assert load_examples(source).x["id"][:, :, 0].tolist() == [IDS[first : first + 2] for first in range(8)]
    assert load_examples(source).x["a"].dtype == np.float32


@pytest.mark.parametrize("stream", ["never", "always"])
@pytest.mark.parametrize(
    ("ids", "dtype", "message"),
    [
        ([1, None, 3, None], "int64", "`id` is missing in t.csv, line 3 (2 rows affected);"),
        ([1.0, 2.5, 3, 4], "int64", "`id` is not an integer in t.csv, line 3;"),
        ([1, 2, 2**31, 4], "int32", "`id` does not fit into int32 in t.csv, line 4;"),
        (
            [1.5, 2.0**25, 3, 4],
            "int64",
            "`id` is a decimal number that is too large to be exact in t.csv, line 3;",
        ),
    ],
)
def test_invalid_integers_are_reported_with_their_row(ids, dtype, message, stream):
    with pytest.raises(DataError) as caught:
        load_dataset(section("csv", ids, stream, missing={"numbers": "mean"}), dtypes={"id": dtype})
    assert message in [found.message[: len(message)] for found in caught.value.findings]
    assert caught.value.findings[0].path == ("data", "inputs", "id")


@pytest.mark.parametrize("stream", ["never", "always"])
def test_missing_integers_are_filled_or_dropped(stream):
    for policy, expected in (
        ({"columns": {"id": 9}}, [1, 9, 3]),
        ({"numbers": "zero"}, [1, 0, 3]),
        ({"numbers": "drop"}, [1, 3]),
    ):
        source = load_dataset(section("csv", [1, None, 3], stream, missing=policy), dtypes={"id": "int32"})
        assert load_examples(source).x["id"][:, 0].tolist() == expected
    with pytest.raises(DataError, match="of `id` must be an integer"):
        load_dataset(
            section("csv", [1, None, 3], stream, missing={"columns": {"id": 0.5}}), dtypes={"id": "int32"}
        )


@pytest.mark.tensorflow
def test_lookup_of_large_ids_is_exact_in_training_and_evaluation(place):
    near = [2**24, 2**24 + 1] * 30
    csv.write_csv(pa.table({"id": near, "y": [0, 1] * 30}), "t.csv")
    document = {
        "data": {"type": "csv", "path": "t.csv", "target": "y", "inputs": {"id": "id"}},
        "model": {
            "inputs": {"id": {"shape": [1], "dtype": "int64"}},
            "layers": [
                {
                    "type": "IntegerLookup",
                    "output_mode": "multi_hot",
                    "max_tokens": 5,
                    "pad_to_max_tokens": True,
                },
                {"type": "Dense", "units": 1, "activation": "sigmoid"},
            ],
        },
        "train": {
            "epochs": 40,
            "batch_size": 10,
            "optimizer": {"type": "Adam", "learning_rate": 0.1},
            "loss": "binary_crossentropy",
            "metrics": ["accuracy"],
        },
    }
    (place / "c.yaml").write_text(yaml.safe_dump(document))
    done = invoke("train", "c.yaml", "--json", "--run-dir", "run")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["history"]["accuracy"][-1] == 1
    assert (
        json.loads(invoke("evaluate", "run", "--data", "t.csv", "--json").stdout)["metrics"]["accuracy"] == 1
    )
