"""Data that a function of the user's gives: called with --trust alone, and what it returns is checked."""

import json

import numpy as np
import pytest

from layercli.config.data.section import DATA_TYPES
from layercli.data.lazy import LazyDataset
from layercli.data.readers.registry import load_dataset
from layercli.data.types import DataError
from tests.running import invoke

CODE = """
import numpy as np
from pathlib import Path

Path("ran").touch()

def pair(samples=6): return np.ones((samples, 2)), np.arange(samples) % 3
def named(): return {"a": [[1.0], [2]], "b": [["u"], ["v"]]}, {"k": ["no", "yes"], "n": [[1.0], [2]]}, [1, 2]
def on_disk():
    np.save("big.npy", np.ones((6, 2)))
    return np.load("big.npy", mmap_mode="r"), [0, 1, 2, 0, 1, 2]
def one(): return np.ones(3)
def fails(): raise ValueError("no luck")
def leaves(): raise SystemExit(3)
def objects(): return np.array([object()] * 3), [0, 1, 2]
def ragged(): return [[1, 2], [3]], [0, 1]
def single(): return 3, [0, 1]
def unlike(): return np.ones((3, 2)), [0, 1]
"""
MODEL = """
model: {input: [2], layers: [{type: Dense, units: 3, activation: softmax}]}
train: {loss: sparse_categorical_crossentropy}
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "given_data.py").write_text(CODE)
    return tmp_path


def section(place, function, **parameters):
    return {"type": "python", "function": f"{place}/given_data.py:{function}", "parameters": parameters}


def test_arrays_and_mappings_of_them_are_taken(place):
    pair = load_dataset(DATA_TYPES.parse(section(place, "pair", samples=9)))
    assert (pair.x.shape, pair.x.dtype, pair.facts().classes) == ((9, 2), np.float32, 3)
    named = load_dataset(DATA_TYPES.parse(section(place, "named")))
    assert named.x["b"].tolist() == [["u"], ["v"]]
    assert (named.y["k"].tolist(), named.class_names_of("k"), named.y["n"].shape) == (
        [0, 1],
        ("no", "yes"),
        (2, 1),
    )
    assert named.weights.tolist() == [1, 2]
    assert isinstance(load_dataset(DATA_TYPES.parse(section(place, "on_disk"))), LazyDataset)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("one", "returns a ndarray."),
        ("fails", "fails: ValueError: no luck."),
        ("leaves", "fails: SystemExit: 3."),
        ("objects", "`x` holds Python objects."),
        ("ragged", "`x` is no array: ValueError:"),
        ("single", "`x` is a int, not an array."),
        ("unlike", "`x` has 3 examples, but `y` has 2."),
        ("pairs", "has no function pairs."),
    ],
)
def test_what_is_no_data_says_why(place, function, message):
    with pytest.raises(DataError) as caught:
        load_dataset(DATA_TYPES.parse(section(place, function)))
    [found] = caught.value.findings
    assert message in found.message
    assert found.path == ("data", "function")


def test_parameters_that_the_function_does_not_take_are_told(place):
    with pytest.raises(DataError, match="unexpected keyword argument 'sample'"):
        load_dataset(DATA_TYPES.parse(section(place, "pair", sample=9)))


def told(place, command, *options, function="given_data.py:pair"):
    (place / "c.yaml").write_text(f"data: {{type: python, function: '{function}'}}\n{MODEL}")
    document = json.loads(invoke(command, "c.yaml", "--json", *options).stdout)
    return [(found["code"], found["message"], found["line"]) for found in document["problems"]]


@pytest.mark.parametrize("command", ["train", "inspect-data"])
def test_nothing_runs_without_trust(place, command):
    assert told(place, "validate") == []
    assert told(place, command) == [
        ("trust-required", f"`given_data.py:pair` would load and run {place}/given_data.py.", 1)
    ]
    assert not (place / "ran").exists()
    assert not (place / "runs").exists()


def test_with_trust_it_is_looked_at_and_trained_on_and_the_run_trains_again(place, monkeypatch):
    assert [code for code, _, _ in told(place, "inspect-data", "--trust")] == []
    assert (place / "ran").exists()
    first = json.loads(invoke("train", "c.yaml", "--json", "--trust", "--run-dir", "run").stdout)
    monkeypatch.chdir("/")
    again = json.loads(
        invoke(
            "train", place / "run" / "config.yaml", "--json", "--trust", "--run-dir", place / "again"
        ).stdout
    )
    assert first["history"] == again["history"]


def test_a_run_keeps_the_file_and_goes_anywhere_with_it(place, tmp_path_factory):
    assert told(place, "validate") == []
    assert json.loads(invoke("train", "c.yaml", "--json", "--trust", "--run-dir", "run").stdout)["ok"]
    assert "function: given_data.py:pair\n" in (place / "run" / "config.yaml").read_text()
    again = invoke("train", "c.yaml", "--resume", "run", "--trust", "--json", "--set", "train.epochs=2")
    assert again.exit_code == 0, again.output
    moved = tmp_path_factory.mktemp("moved") / "run"
    (place / "run").rename(moved)
    (place / "given_data.py").unlink()
    more = invoke("train", "--resume", moved, "--trust", "--json", "--set", "train.epochs=3")
    assert more.exit_code == 0, more.output
    assert json.loads(more.stdout)["epochs"] == 3
    assert invoke("evaluate", moved, "--part", "train", "--trust").exit_code == 0
    np.save("new.npy", np.ones((3, 2), np.float32))
    assert invoke("predict", moved, "-i", "new.npy", "-o", "p.csv", "--trust").exit_code == 0
    (moved / "given_data.py").write_text(CODE + "# another\n")
    document = json.loads(invoke("evaluate", moved, "--json", "--trust").stdout)
    assert "given_data.py is not the file that the training wrote" in document["problems"][0]["message"]


def test_a_file_that_is_not_there_and_what_names_no_function_are_told(place):
    assert told(place, "train", "--trust", function="none.py:make") == [
        ("custom-data", f"There is no file {place}/none.py.", 1)
    ]
    [(code, message, _)] = told(place, "validate", function="waves.py")
    assert code == "bad-custom-type"
    assert message.startswith('`function` is "waves.py"')


def test_a_run_is_exported_without_its_data_where_that_is_not_trusted(place):
    assert told(place, "validate") == []
    assert json.loads(invoke("train", "c.yaml", "--json", "--trust", "--run-dir", "run").stdout)["ok"]
    (place / "ran").unlink()
    result = invoke("export", "run", "--format", "keras", "--output", "out.keras", "--json")
    assert not (place / "ran").exists()
    assert "would load and run" in result.output
    assert invoke("evaluate", "run", "--json", "--part", "train").exit_code == 1
    assert not (place / "ran").exists()
    assert invoke("evaluate", "run", "--json", "--part", "train", "--trust").exit_code == 0
