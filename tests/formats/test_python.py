"""python data: the function is called only with --trust, and its return value is checked."""

import json

import numpy as np
import pytest

from layercli.config.data.section import DATA_TYPES
from layercli.data.lazy import LazyDataset
from layercli.data.types import DataError
from layercli.formats.registry import load_dataset
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


def test_arrays_and_mappings_are_read(place):
    pair = load_dataset(DATA_TYPES.parse(section(place, "pair", samples=9)))
    assert (pair.x.shape, pair.x.dtype, pair.facts().target.has_integers) == ((9, 2), np.float32, True)
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
        ("one", "must return a tuple of 2 or 3 values, got a ndarray."),
        ("fails", "raised ValueError: no luck."),
        ("leaves", "raised SystemExit: 3."),
        ("objects", "`x` must contain numbers or texts, got Python objects."),
        ("ragged", "`x` must be an array, got ValueError:"),
        ("single", "`x` must be an array, got a int."),
        ("unlike", "`x` has 3 examples, but `y` has 2."),
        ("pairs", "does not define a function pairs."),
    ],
)
def test_invalid_return_value(place, function, message):
    with pytest.raises(DataError) as caught:
        load_dataset(DATA_TYPES.parse(section(place, function)))
    [found] = caught.value.findings
    assert message in found.message
    assert found.path == ("data", "function")


def test_unknown_parameter_is_reported(place):
    with pytest.raises(DataError, match="unexpected keyword argument 'sample'"):
        load_dataset(DATA_TYPES.parse(section(place, "pair", sample=9)))


def problems_of(place, command, *options, function="given_data.py:pair"):
    (place / "c.yaml").write_text(f"data: {{type: python, function: '{function}'}}\n{MODEL}")
    document = json.loads(invoke(command, "c.yaml", "--json", *options).stdout)
    return [(found["code"], found["message"], found["line"]) for found in document["problems"]]


@pytest.mark.parametrize("command", ["train", "inspect-data"])
def test_nothing_runs_without_trust(place, command):
    assert problems_of(place, "validate") == []
    assert problems_of(place, command) == [
        ("trust-required", f"`given_data.py:pair` would load and run {place}/given_data.py.", 1)
    ]
    assert not (place / "ran").exists()
    assert not (place / "runs").exists()


@pytest.mark.tensorflow
def test_trusted_function_trains_again_from_its_run(place, monkeypatch):
    assert [code for code, _, _ in problems_of(place, "inspect-data", "--trust")] == []
    assert (place / "ran").exists()
    first = json.loads(invoke("train", "c.yaml", "--json", "--trust", "--run-dir", "run").stdout)
    monkeypatch.chdir("/")
    again = json.loads(
        invoke(
            "train", place / "run" / "config.yaml", "--json", "--trust", "--run-dir", place / "again"
        ).stdout
    )
    assert first["history"] == again["history"]


@pytest.mark.tensorflow
def test_run_keeps_the_file_and_can_be_moved(place, tmp_path_factory):
    assert problems_of(place, "validate") == []
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
    (moved / "given_data.py").write_text(CODE + "# changed\n")
    document = json.loads(invoke("evaluate", moved, "--json", "--trust").stdout)
    assert "given_data.py was modified after training" in document["problems"][0]["message"]


def test_missing_file_and_reference_without_function(place):
    assert problems_of(place, "train", "--trust", function="none.py:make") == [
        ("custom-data", f"The file {place}/none.py does not exist.", 1)
    ]
    [(code, message, _)] = problems_of(place, "validate", function="waves.py")
    assert code == "bad-custom-type"
    assert message.endswith('and a function in it, got "waves.py".')


@pytest.mark.tensorflow
def test_export_without_trust_does_not_call_the_function(place):
    assert problems_of(place, "validate") == []
    assert json.loads(invoke("train", "c.yaml", "--json", "--trust", "--run-dir", "run").stdout)["ok"]
    (place / "ran").unlink()
    result = invoke("export", "run", "--format", "keras", "--output", "out.keras", "--json")
    assert not (place / "ran").exists()
    assert "would load and run" in result.output
    assert invoke("evaluate", "run", "--json", "--part", "train").exit_code == 1
    assert not (place / "ran").exists()
    assert invoke("evaluate", "run", "--json", "--part", "train", "--trust").exit_code == 0


def test_declared_labels_of_a_function_are_mapped(place):
    examples = load_dataset(DATA_TYPES.parse(section(place, "pair", samples=9) | {"target_type": "labels"}))
    assert (examples.class_names, examples.y.tolist()) == (("0", "1", "2"), [0, 1, 2] * 3)
