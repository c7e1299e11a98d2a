"""npz data: dtypes, invalid files, several targets."""

import io
import json
import os
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from layercli.check import check_config
from layercli.config.data.section import DATA_TYPES, SplitConfig
from layercli.data import named_arrays
from layercli.data.examples import Splits
from layercli.data.types import TENSOR_ALIGNMENT
from layercli.formats.registry import load_dataset
from tests.formats.helpers import X, Y, refusal, save
from tests.running import invoke


def test_arrays_are_read_in_training_dtypes(place):
    data = save(place, x=X, y=Y, pixels=Y.astype(np.uint8).reshape(6, 1), words=np.array(list("abcdef")))
    examples = load_dataset(DATA_TYPES.parse(data | {"features": "x"}))
    assert (examples.x.dtype, examples.y.dtype) == (np.float32, np.int32)
    several = load_dataset(DATA_TYPES.parse(data | {"inputs": {"a": "x", "b": "pixels", "c": "words"}}))
    assert {name: array.dtype.kind for name, array in several.x.items()} == {"a": "f", "b": "u", "c": "O"}
    facts = several.facts()
    assert (facts.inputs, facts.classes, facts.samples) == ({"a": (2,), "b": (1,), "c": ()}, None, 6)


@pytest.mark.parametrize("dtype", [">f8", "<f8", "f2", "f4", ">i2", "i4", "u1", "i8", "?"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_of_every_dtype_keep_their_values(place, dtype, order, monkeypatch):
    monkeypatch.setattr(named_arrays, "_READ_TOGETHER", 5)  # values are read in several parts
    array = np.asarray(np.arange(12).reshape(6, 2) % 2, dtype, order=order)
    examples = load_dataset(DATA_TYPES.parse(save(place, x=array, y=Y) | {"features": "x"}))
    assert examples.x.tolist() == [[0, 1]] * 6
    assert examples.x.dtype.kind == ("f" if "f" in dtype else examples.x.dtype.kind)
    if order == "C" and dtype not in (">i2", "i4", "u1"):
        assert examples.x.ctypes.data % TENSOR_ALIGNMENT == 0


def test_missing_array_or_different_length_is_reported(place):
    data = save(place, x=X, y=Y, short=X[:5])
    assert refusal(**data, features="xx") == (("data", "features"), 'The file contains no array "xx".')
    assert refusal(**data, inputs={"a": "x", "b": "short"}) == (
        ("data", "inputs", "b"),
        "`short` has 5 examples, but `y` has 6.",
    )


def test_objects_are_never_unpickled(place):
    class Harm:
        def __reduce__(self):
            return os.mkdir, ("harm",)

    data = save(place, x=np.array([Harm()] * 6), y=Y)
    assert refusal(**data, features="x")[1].startswith("The array `x` contains Python objects")
    assert not (place / "harm").exists()


def header(shape):
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "<f8", "fortran_order": False, "shape": shape})
    return buffer.getvalue()


def test_array_that_declares_terabytes_is_refused_unread(place):
    with zipfile.ZipFile(place / "d.npz", "w") as archive:
        archive.writestr("x.npy", header((1 << 40,)) + b"\0" * 80)
        archive.writestr("y.npy", header((1 << 40,)))
    path, message = refusal(type="npz", path="d.npz", target="y", features="x")
    assert path == ("data", "path")
    assert message == "Cannot read arrays from d.npz: the array x declares more values than it contains."


def test_compressed_file_larger_than_memory_is_refused_unread(place):
    np.savez_compressed(place / "d.npz", x=np.zeros((6, 1_000_000)), y=Y)
    message = refusal(memory=10_000_000, type="npz", path="d.npz", target="y", features="x")[1]
    assert message == (
        "d.npz cannot be read batch by batch and needs 72,000,072 bytes of memory, "
        "but only 5,000,000 bytes are available for it."
    )


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 broken", b"\x93NUMPY", bytes(range(200, 0, -1))])
def test_file_that_is_not_an_archive(place, content):
    (place / "d.npz").write_bytes(content)
    path, message = refusal(type="npz", path="d.npz", target="y", features="x")
    assert path == ("data", "path")
    assert message.startswith("Cannot read arrays from d.npz: ")
    (place / "d.npz").rename(place / "d.csv")
    message = refusal(type="npz", path="d.csv", target="y", features="x")[1]
    assert message == "The arrays must be in an npz file, got d.csv."


def test_damaged_array(place):
    save(place, x=X, y=Y)
    content = bytearray((place / "d.npz").read_bytes())
    content[content.index(b"x.npy") + 140] ^= 255
    (place / "d.npz").write_bytes(content)
    assert "Cannot read arrays from" in refusal(type="npz", path="d.npz", target="y", features="x")[1]


def test_damaged_array_that_is_not_loaded(place):
    save(place, x=np.zeros((100_000, 4)), y=np.zeros(100_000, int))
    content = bytearray((place / "d.npz").read_bytes())
    content[1_000_000] ^= 1
    (place / "d.npz").write_bytes(content)
    message = refusal(memory=10_000_000, type="npz", path="d.npz", target="y", features="x")[1]
    assert message == "Cannot read arrays from d.npz: Bad CRC-32 for file 'x.npy'."


TWO = """
model:
  input: [2]
  layers:
    - {type: Dense, name: hidden, units: 4}
    - {type: Dense, name: kind, units: 3, activation: softmax}
    - {type: Dense, name: size, units: 2, inputs: hidden, activation: softmax}
  outputs: [kind, size]
train: {loss: sparse_categorical_crossentropy}
"""


def test_one_target_for_each_output(place):
    words = np.array(["plum", "fig", "fig", "date", "plum", "date"])
    data = save(place, x=X, k=words, s=X) | {"features": "x", "target": {"kind": "k", "size": "s"}}
    examples = load_dataset(DATA_TYPES.parse(data))
    assert examples.y["kind"].tolist() == [2, 1, 1, 0, 2, 0]
    assert examples.class_names_of("kind") == ("date", "fig", "plum")
    facts = examples.facts()
    assert (facts.target_of("kind").classes, facts.target_of("size").shape, facts.target_of("other")) == (
        3,
        (2,),
        None,
    )
    parts = examples.split(SplitConfig(validation=3, stratify=True), seed=0, shuffle=True)
    assert sorted(parts.train.y["kind"].tolist()) == [0, 1, 2]
    [batch] = parts.validation.batches(8)
    assert np.array_equal(batch.y["size"], batch.x)
    others = replace(examples, y=examples.y | {"size": X + 1})
    fingerprints = {Splits(one, one, one).fingerprint() for one in (examples, others)}
    assert len(fingerprints) == 2


def test_target_names_are_checked_without_reading(place):
    def problems_of(target):
        data = {"type": "npz", "path": "d.npz", "features": "x", "target": target}
        (place / "c.yaml").write_text(f"data: {json.dumps(data)}\n{TWO}")
        return [(found.message, found.hint) for found in check_config("c.yaml").problems]

    assert problems_of({"kind": "k", "size": "s"}) == []
    assert problems_of({"kind": "k", "sizes": "s"}) == [
        ("The data has no target for the model's output `size`.", "Add it: `target: {size: ...}`."),
        ("The data has a target `sizes`, which is not an output of the model.", "Did you mean `size`?"),
    ]
    assert problems_of("k") == [
        (
            "The model has 2 outputs, but the data has one target.",
            "Declare one target for each output: `target: {kind: ..., size: ...}`.",
        )
    ]


def test_each_target_is_checked_against_its_output(place):
    data = save(place, x=X, k=Y + 1, s=X[:, :1]) | {
        "features": "x",
        "target": {"kind": "k", "size": "s"},
        "split": {"test": 2},
    }
    (place / "c.yaml").write_text(f"data: {json.dumps(data)}\n{TWO}")
    document = json.loads(invoke("inspect-data", "c.yaml", "--json").stdout)
    assert [(found["code"], found["message"], found["path"]) for found in document["problems"]] == [
        (
            "bad-label",
            "Labels must be below 3, because the output has 3 units; got 3 in row 3 (2 rows affected).",
            "data.target.kind",
        ),
        (
            "bad-label",
            "Labels must be below 2, because the output has 2 units; got 2 in row 2 (5 rows affected).",
            "data.target.size",
        ),
    ]
    assert {row["target"] for row in document["classes"]} == {"kind", "size"}
    assert [row["name"] for row in document["targets"]] == ["kind", "size"]
