"""Data that is read during training: killed runs resume exactly, and damaged files are reported."""

import json
import os

import numpy as np
import pyarrow as pa
import pytest
import yaml
from pyarrow import csv, parquet

from layercli.data.named_arrays import MemmapArray
from layercli.data.tables import streamed as stream
from layercli.data.tables import windows
from layercli.formats.csv import reader as csv_reader
from tests.interrupting import Killed, assert_same, at_block, kill, outcome
from tests.running import invoke, problems, train

DENSE = [
    {"type": "Normalization"},
    {"type": "Dropout", "rate": 0.2},
    {"type": "Dense", "units": 1},
    {"type": "Normalization", "name": "scaled", "invert": True},
]
KINDS = {
    "csv": ({"inputs": {"x": ["a", "b"]}}, [2], DENSE),
    "parquet": ({"inputs": {"x": ["a", "b"]}}, [2], DENSE),
    "windows": (
        {"inputs": {"x": ["a", "y"]}, "windows": {"length": 4, "by": "s"}},
        [4, 2],
        [*DENSE[:1], {"type": "LSTM", "units": 3}, *DENSE[1:]],
    ),
}


@pytest.fixture(autouse=True)
def small(tmp_path, monkeypatch):
    """Use small row groups and buffers, and an empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(csv_reader, "_MAX_GROUP_ROWS", 40)
    monkeypatch.setattr(stream, "_BUFFER_ROWS", 90)
    monkeypatch.setattr(windows, "_MAX_MEMORY_BYTES", 0)


def write(kind, directory):
    """Write a config with streamed data, and the data."""
    rng = np.random.default_rng(3)
    table = pa.table({"s": np.repeat([0, 1, 2], 100), **{name: rng.normal(size=300) for name in "aby"}})
    suffix = "parquet" if kind == "parquet" else "csv"
    if kind == "parquet":
        parquet.write_table(table, directory / "t.parquet", row_group_size=40)
    else:
        csv.write_csv(table, directory / "t.csv")
    keys, shape, layers = KINDS[kind]
    document = {
        "seed": 5,
        "data": {
            "type": suffix,
            "path": f"t.{suffix}",
            "target": "y",
            "stream": "always",
            "split": {"validation": 0.2, "test": 0.1},
            **keys,
        },
        "model": {"inputs": {"x": shape}, "layers": layers},
        "train": {
            "epochs": 3,
            "batch_size": 16,
            "loss": "mse",
            "optimizer": "adam",
            "execution": {"steps_per_execution": 2},
            "checkpoints": {"steps": 3},
        },
    }
    path = directory / "c.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_killed_and_resumed_training_equals_uninterrupted_training(kind, tmp_path, monkeypatch):
    config = write(kind, tmp_path)
    alone = train(config, tmp_path / "alone")
    assert alone.result.exit_code == 0, alone.result.output
    with monkeypatch.context() as patch:
        at_block(patch, 10, kill)
        with pytest.raises(Killed):
            train(config, tmp_path / "run")
    with monkeypatch.context() as patch:
        at_block(patch, 4, kill)
        with pytest.raises(Killed):
            invoke("train", "--resume", tmp_path / "run", "--json")
    result = invoke("train", "--resume", tmp_path / "run", "--json")
    assert result.exit_code == 0, result.output
    resumed = json.loads(result.stdout)["resumed_from"]
    assert resumed["epoch"] >= 1
    assert resumed["step"]
    assert_same(outcome(tmp_path / "run"), outcome(alone.path))


def replace_file(path):
    rows = parquet.read_table(path)
    parquet.write_table(rows.slice(0, 200), path, row_group_size=40)


def damage_file(path):
    """Overwrite bytes in the middle; keep size and modification time."""
    status = path.stat()
    content = bytearray(path.read_bytes())
    content[8:-3000] = b"\xff" * (len(content) - 3008)
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (replace_file, "t.parquet was modified or removed while it was being read."),
        (os.unlink, "t.parquet was modified or removed while it was being read."),
        (damage_file, "t.parquet from row group "),
    ],
)
def test_file_damaged_during_training_is_reported(spoil, message, tmp_path, monkeypatch):
    config = write("parquet", tmp_path)
    at_block(monkeypatch, 8, lambda: spoil(tmp_path / "t.parquet"))
    run = train(config, tmp_path / "run")
    assert problems(run.result) == [("unreadable-data", 4)]
    assert message in json.loads(run.result.stdout)["problems"][0]["message"]


def test_array_truncated_during_training_is_reported(tmp_path, monkeypatch):
    monkeypatch.setattr("layercli.workflows.dataset.read_memory_limit", lambda: 1000)
    np.save(tmp_path / "x.npy", np.ones((300, 4), np.float32))
    np.save(tmp_path / "y.npy", np.arange(300) % 3)
    config = write("csv", tmp_path)
    document = yaml.safe_load(config.read_text())
    document["data"] = {"type": "npy", "features": "x.npy", "target": "y.npy"}
    document["model"] = {"input": [4], "layers": [{"type": "Dense", "units": 3, "activation": "softmax"}]}
    document["train"]["loss"] = "sparse_categorical_crossentropy"
    config.write_text(yaml.safe_dump(document, sort_keys=False))
    read_rows, calls = MemmapArray.__getitem__, []

    def truncate_before_reading(
        array, rows
    ):  # in the thread that reads: a page that vanishes meanwhile ends the process
        calls.append(rows)
        if len(calls) == 8:
            os.truncate(tmp_path / "x.npy", 1000)
        return read_rows(array, rows)

    monkeypatch.setattr(MemmapArray, "__getitem__", truncate_before_reading)
    run = train(config, tmp_path / "run")
    assert len(calls) == 8
    assert [code for code, _ in problems(run.result)] == ["unreadable-data"]
    assert "x.npy became shorter after it was opened." in run.result.stdout
