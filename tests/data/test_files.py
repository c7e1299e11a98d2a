"""Arrays and tables of the user's own: read as they are meant, refused before they can do harm, held against the model."""

import gzip
import io
import json
import os
import struct
import zipfile
import zlib
from dataclasses import replace

import numpy as np
import pytest

from layercli.check import check_config
from layercli.config.data.section import DATA_TYPES, SplitConfig
from layercli.data.examples import DataError, Splits
from layercli.data.readers.registry import load_dataset
from layercli.data.statistics import compute_statistics
from tests.running import invoke

MODEL = """
model:
  input: [2]
  layers:
    - {type: Dense, units: 3, activation: softmax}
train: {loss: sparse_categorical_crossentropy}
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refusal(memory=None, **data):
    with pytest.raises(DataError) as caught:
        load_dataset(DATA_TYPES.parse(data), memory=memory)
    [found] = caught.value.findings
    return found.path, found.message


def csv(place, text, **keys):
    (place / "t.csv").write_text(text)
    return {"type": "csv", "path": "t.csv", "target": "y"} | keys


def save(place, name="d.npz", **arrays):
    np.savez(place / name, **arrays)
    return {"type": "npz", "path": name, "target": "y"}


X = np.arange(12, dtype=np.float64).reshape(6, 2)
Y = np.array([0, 1, 2, 0, 1, 2])


def test_arrays_are_read_in_the_dtypes_of_training(place):
    data = save(place, x=X, y=Y, pixels=Y.astype(np.uint8).reshape(6, 1), words=np.array(list("abcdef")))
    examples = load_dataset(DATA_TYPES.parse(data | {"features": "x"}))
    assert (examples.x.dtype, examples.y.dtype) == (np.float32, np.int32)
    several = load_dataset(DATA_TYPES.parse(data | {"inputs": {"a": "x", "b": "pixels", "c": "words"}}))
    assert {name: array.dtype.kind for name, array in several.x.items()} == {"a": "f", "b": "u", "c": "O"}
    facts = several.facts()
    assert (facts.inputs, facts.classes, facts.samples) == ({"a": (2,), "b": (1,), "c": ()}, 3, 6)


def test_an_array_that_is_not_there_or_has_another_length_is_named(place):
    data = save(place, x=X, y=Y, short=X[:5])
    assert refusal(**data, features="xx") == (("data", "features"), 'The file holds no array "xx".')
    assert refusal(**data, inputs={"a": "x", "b": "short"}) == (
        ("data", "inputs", "b"), "`short` has 5 examples, but `y` has 6.",
    )  # fmt: skip


def test_objects_are_never_unpickled(place):
    class Harm:
        def __reduce__(self):
            return os.mkdir, ("harm",)

    data = save(place, x=np.array([Harm()] * 6), y=Y)
    assert refusal(**data, features="x")[1].startswith("The array `x` holds Python objects")
    assert not (place / "harm").exists()


def header(shape):
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "<f8", "fortran_order": False, "shape": shape})
    return buffer.getvalue()


def test_an_array_that_declares_terabytes_is_refused_before_it_is_read(place):
    with zipfile.ZipFile(place / "d.npz", "w") as archive:
        archive.writestr("x.npy", header((1 << 40,)) + b"\0" * 80)
        archive.writestr("y.npy", header((1 << 40,)))
    path, message = refusal(type="npz", path="d.npz", target="y", features="x")
    assert path == ("data", "path")
    assert message == "d.npz is no file of arrays: the array x declares more values than it holds."


def test_a_file_that_inflates_beyond_the_memory_is_refused_before_it_is_read(place):
    np.savez_compressed(place / "d.npz", x=np.zeros((6, 1_000_000)), y=Y)
    message = refusal(memory=10_000_000, type="npz", path="d.npz", target="y", features="x")[1]
    assert message.endswith("this machine has 10,000,000 of memory.")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 broken", b"\x93NUMPY", os.urandom(200)])
def test_what_is_no_file_of_arrays_says_so(place, content):
    (place / "d.npz").write_bytes(content)
    path, message = refusal(type="npz", path="d.npz", target="y", features="x")
    assert path == ("data", "path")
    assert message.startswith("d.npz is no file of arrays: ")


def test_a_damaged_array_says_so(place):
    save(place, x=X, y=Y)
    content = bytearray((place / "d.npz").read_bytes())
    content[content.index(b"x.npy") + 140] ^= 255
    (place / "d.npz").write_bytes(content)
    assert "is no file of arrays" in refusal(type="npz", path="d.npz", target="y", features="x")[1]


def test_a_pipe_or_folder_is_no_file(place):
    (place / "folder.npz").mkdir()
    os.mkfifo(place / "pipe.csv")
    assert (
        refusal(type="npz", path="folder.npz", target="y", features="x")[1]
        == "folder.npz is no regular file."
    )
    assert refusal(type="csv", path="pipe.csv", target="y")[1] == "pipe.csv is no regular file."
    assert refusal(type="csv", path="*.none", target="y")[1] == "No file fits *.none."


def test_a_table_with_all_that_tables_have(place):
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


def test_tables_without_header_with_other_separators_zipped_and_in_several_files(place):
    for number in range(3):
        with gzip.open(place / f"part{number}.csv.gz", "wt") as file:
            file.write(f"{number};1\n{number};2\n")
    data = {"type": "csv", "path": "part*.csv.gz", "target": "y", "separator": ";", "columns": ["a", "y"]}
    examples = load_dataset(DATA_TYPES.parse(data))
    assert examples.x.ravel().tolist() == [0, 0, 1, 1, 2, 2]
    assert examples.y.dtype == np.float32  # whole numbers that begin at 1 are no labels
    assert load_dataset(DATA_TYPES.parse(data | {"target_type": "labels"})).class_names == ("1", "2")


def test_whole_numbers_without_gaps_are_labels_unless_said_otherwise(place):
    data = csv(place, "a,y\n1,0\n2,1\n3,2\n")
    assert load_dataset(DATA_TYPES.parse(data)).facts().classes == 3
    assert load_dataset(DATA_TYPES.parse(data | {"target_type": "numbers"})).facts().classes is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,y\n1,0\n2\n", "t.csv cannot be read: line 3 has 1 value, but there are 2 columns."),
        ("a,a,y\n1,2,0\n", "t.csv has two columns of the same name."),
        ("a,b\n1,0\n", 'There is no column "y".'),
        ("a,y\n1,0\n2,\n", "The target `y` is missing in t.csv, line 3."),
        (
            "a,y\nx,0\n",
            'The column `a` is text (t.csv, line 2 has "x"); an input of several columns is of numbers.',
        ),
        ("y\n0\n", "There is no column but the target."),
        ("", "t.csv cannot be read: it is empty."),
    ],
)
def test_a_table_that_cannot_be_used_says_why(place, text, message):
    assert refusal(**csv(place, text))[1] == message


def test_missing_numbers_are_filled_by_what_the_training_examples_tell(place):
    rows = "".join(f"{'NA' if n % 4 == 0 else n},{n % 2},{n % 3}\n" for n in range(40))
    data = csv(place, "a,b,y\n" + rows, missing={"numbers": "mean"}, split={"test": 0.5}, shuffle=False)
    parsed = DATA_TYPES.parse(data)
    parts = load_dataset(parsed).split(parsed.split, seed=0, shuffle=False)
    known = [n for n in range(20) if n % 4]
    assert parts.train.x[0, 0] == parts.test.x[0, 0] == pytest.approx(sum(known) / len(known))
    assert not np.isnan(parts.test.x).any()


def train(place, data, model=MODEL):
    """Code, message and line of each problem of training on it."""
    (place / "c.yaml").write_text(f"data: {json.dumps(data)}\n{model}")
    result = invoke("train", "c.yaml", "--json", "--run-dir", "run")
    document = json.loads(result.stdout)
    return document["ok"] or [(found["code"], found["message"]) for found in document["problems"]]


def test_all_that_is_wrong_with_data_is_told_before_the_first_step(place):
    x = X.copy()
    x[2, 1] = np.nan
    y = Y.copy()
    y[4] = 7
    assert train(place, save(place, x=x, y=y) | {"features": "x"}) == [
        ("not-finite", "The input at [1] is missing in row 3."),
        ("bad-label", "Row 5 has the label 7, but the output has 3 units."),
        ("wrong-units", "The data has 8 classes, but the model's output has 3 units."),
    ]
    assert not (place / "run").exists()


def test_a_column_with_a_missing_value_is_named(place):
    text = "a,b,y\n1,2,0\n2,,1\n3,4,2\n"
    several = MODEL.replace("input: [2]", "inputs: {ab: [2]}")
    assert train(place, csv(place, text, inputs={"ab": ["a", "b"]}), several) == [
        ("not-finite", "`b` is missing in row 2.")
    ]
    assert (
        train(place, csv(place, text, inputs={"ab": ["a", "b"]}, missing={"numbers": "median"}), several)
        is True
    )


def test_inputs_of_other_names_and_shapes_are_told(place):
    several = MODEL.replace("input: [2]", "inputs: {ab: [3], c: [1]}").replace(
        "softmax}", "softmax, inputs: ab}\n    - {type: Concatenate, inputs: [dense, c]}"
    )
    codes = train(
        place, csv(place, "a,b,y\n1,2,0\n2,3,1\n3,4,2\n", inputs={"ab": ["a", "b"], "d": "a"}), several
    )
    assert (
        "input-mismatch",
        "`model.inputs.ab` declares shape (3,), but an example of the data has shape (2,).",
    ) in codes
    assert ("input-mismatch", "The data has an input `d`, which is not an input of the model.") in codes
    assert ("input-mismatch", "The data has no examples for the model's input `c`.") in codes


def test_a_target_of_another_shape_than_the_output_is_refused(place):
    data = save(place, x=X, y=X[:, :1]) | {"features": "x"}
    model = MODEL.replace("sparse_categorical_crossentropy", "mse").replace(", activation: softmax", "")
    assert train(place, data, model) == [
        ("target-mismatch", "The model's output has shape (None, 3), but the target has shape (None, 1).")
    ]
    assert train(place, data, model.replace("units: 3", "units: 1")) is True


def test_a_run_s_config_finds_its_data_from_anywhere(place, monkeypatch):
    (place / "deep").mkdir()
    data = save(place / "deep", x=X, y=Y) | {"features": "x"}
    (place / "deep" / "base.yaml").write_text(f"data: {json.dumps(data)}\n{MODEL}")
    (place / "own.yaml").write_text("extends: deep/base.yaml\nname: own\n")
    assert json.loads(invoke("train", "own.yaml", "--json", "--run-dir", "run").stdout)["ok"]
    monkeypatch.chdir("/")
    assert json.loads(
        invoke("train", place / "run" / "config.yaml", "--json", "--run-dir", place / "again").stdout
    )["ok"]


def parquet(place, name="t.parquet", **columns):
    import pyarrow as pa
    from pyarrow import parquet

    parquet.write_table(pa.table(columns), place / name)
    return {"type": "parquet", "path": name, "target": "y"}


def test_parquet_is_read_as_a_table_of_text_is(place):
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


def test_parquet_that_cannot_be_used_says_why(place):
    import datetime

    (place / "broken.parquet").write_bytes(b"PAR1 nothing PAR1")
    assert (
        "is no Parquet file that can be read" in refusal(type="parquet", path="broken.parquet", target="y")[1]
    )
    data = parquet(place, when=[datetime.date(2020, 1, 1)] * 2, y=[0, 1])
    assert refusal(**data)[1].startswith(
        'The column `when` is of the type date32[day], neither number nor text (t.parquet, which has "2020-01-01")'
    )
    assert "this machine has 100 of memory" in refusal(memory=100, **data, stream="never")[1]


def image(path, size=(6, 4), mode="L", value=7):
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value if mode in ("L", "I;16", "P") else (value,) * len(mode)).save(path)


def test_images_are_read_by_their_folders_whatever_their_format(place):
    for suffix in ("png", "jpg", "bmp", "gif"):
        image(place / "i" / "b" / f"1.{suffix}")
    image(place / "i" / "a" / "1.PNG", value=200)
    (place / "i" / "a" / "notes.txt").write_text("no image")
    (place / "i" / ".cache").mkdir()
    examples = load_dataset(DATA_TYPES.parse({"type": "images", "path": "i", "channels": 1}))
    assert (examples.x.shape, examples.x.dtype) == ((5, 4, 6, 1), np.uint8)
    assert (examples.y.tolist(), examples.class_names) == ([0, 1, 1, 1, 1], ("a", "b"))
    assert examples.x[0, 0, 0, 0] == 200
    scaled = load_dataset(DATA_TYPES.parse({"type": "images", "path": "i", "channels": 3, "size": [2, 3]}))
    assert scaled.x.shape == (5, 2, 3, 3)


def test_sixteen_bits_are_kept(place):
    image(place / "i" / "a" / "1.png", mode="I;16", value=40_001)
    examples = load_dataset(DATA_TYPES.parse({"type": "images", "path": "i"}))
    assert examples.x.dtype == np.float32
    assert set(examples.x.ravel().tolist()) == {40_001.0}


def test_sixteen_bits_are_kept_in_every_colour_and_beside_eight_refused(place):
    image(place / "i" / "a" / "1.png", mode="I;16", value=40_001)
    examples = load_dataset(DATA_TYPES.parse({"type": "images", "path": "i", "channels": 3, "size": [2, 2]}))
    assert set(examples.x.ravel().tolist()) == {40_001.0}
    image(place / "i" / "a" / "2.png")
    assert refusal(type="images", path="i")[1].endswith("2.png has 8 bits a value, but the others have 16.")


def deep_png(path, pixels):
    """Write pixels, uint16 of shape (height, width, channels), as PNG with 16 bits a value."""

    def chunk(kind, content):
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    height, width, channels = pixels.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )  # fmt: skip


DEEP = np.random.default_rng(0).integers(0, 65536, (3, 4, 4)).astype(np.uint16)


@pytest.mark.parametrize(
    ("stored", "channels", "expected"),
    [
        (DEEP[..., :3], None, DEEP[..., :3]),
        (DEEP, None, DEEP[..., :3]),
        (DEEP, 4, DEEP),
        (DEEP[..., :3], 4, np.concatenate([DEEP[..., :3], np.full((3, 4, 1), 65535)], axis=2)),
        (DEEP[..., [0, 3]], None, DEEP[..., :1]),
        (DEEP[..., [0, 3]], 4, DEEP[..., [0, 0, 0, 3]]),
        (DEEP[..., :1], 3, DEEP[..., [0, 0, 0]]),
        (DEEP[..., :3], 1, (DEEP[..., :3] @ np.array([0.299, 0.587, 0.114]))[..., None].astype(np.float32)),
    ],
)
def test_colours_of_sixteen_bits_are_kept_to_the_last_bit(place, stored, channels, expected):
    deep_png(place / "i" / "a" / "1.png", stored)
    examples = load_dataset(DATA_TYPES.parse({"type": "images", "path": "i", "channels": channels}))
    assert examples.x.dtype == np.float32
    np.testing.assert_allclose(examples.x, expected[None], rtol=1e-6 if channels == 1 else 0)


def test_colours_of_sixteen_bits_are_scaled_as_those_of_eight(place):
    from PIL import Image

    eight = np.random.default_rng(1).integers(0, 256, (9, 8, 4)).astype(np.uint8)
    for channels in (3, 4):
        deep_png(place / "d" / "a" / "1.png", eight[..., :channels].astype(np.uint16) * 257)
        (place / "e" / "a").mkdir(parents=True, exist_ok=True)
        Image.fromarray(eight[..., :channels]).save(place / "e" / "a" / "1.png")
        keys = {"type": "images", "size": [4, 5], "channels": channels}
        deep, shallow = (load_dataset(DATA_TYPES.parse(keys | {"path": path})).x for path in ("d", "e"))
        opaque = shallow[..., 3:] > 99 if channels == 4 else True  # below, 8 bits of a colour say little
        assert np.abs(np.where(opaque, deep / 257 - shallow, 0)).max() < (1.1 if channels == 3 else 3)


def test_colours_of_sixteen_bits_that_are_damaged_or_beside_others_are_told(place):
    deep_png(place / "i" / "a" / "1.png", DEEP)
    image(place / "i" / "a" / "2.png", mode="RGB", size=(4, 3))
    deep_png(place / "i" / "a" / "3.png", DEEP[:2])
    (place / "i" / "a" / "4.png").write_bytes((place / "i" / "a" / "1.png").read_bytes()[:70])
    with pytest.raises(DataError) as caught:
        load_dataset(DATA_TYPES.parse({"type": "images", "path": "i"}))
    assert [found.message for found in caught.value.findings] == [
        "i/a/2.png has 8 bits a value, but the others have 16.",
        "i/a/3.png is 2x4, but the others are 3x4.",
        "i/a/4.png is no image that can be read: its content is damaged.",
    ]
    (place / "i" / "a" / "1.png").unlink()
    assert read_first(place / "i" / "a" / "3.png") == "i/a/3.png has 16 bits a value, but the others have 8."


def read_first(path):
    """What is said of a file, beside others that stand before it."""
    with pytest.raises(DataError) as caught:
        load_dataset(DATA_TYPES.parse({"type": "images", "path": "i"}))
    return next(found.message for found in caught.value.findings if path.name in found.message)


def test_images_whose_lines_have_sixteen_bytes_are_not_taken_for_deep_ones(place):
    image(place / "i" / "a" / "1.bmp", mode="RGB", size=(5, 5))
    assert load_dataset(DATA_TYPES.parse({"type": "images", "path": "i"})).x.dtype == np.uint8


def test_every_image_that_cannot_be_used_is_told(place):
    image(place / "i" / "a" / "1.png")
    image(place / "i" / "a" / "2.png", size=(9, 9))
    (place / "i" / "a" / "3.png").write_bytes((place / "i" / "a" / "1.png").read_bytes()[:40])
    (place / "i" / "a" / "4.jpg").write_text("no image")
    with pytest.raises(DataError) as caught:
        load_dataset(DATA_TYPES.parse({"type": "images", "path": "i"}))
    told = " ".join(found.message for found in caught.value.findings)
    assert [name in told for name in ("1.png", "2.png is 9x9", "3.png is no image", "4.jpg is no image")] == [
        False
    ] + [True] * 3
    with pytest.raises(DataError) as streamed:
        compute_statistics(load_dataset(DATA_TYPES.parse({"type": "images", "path": "i"}), memory=10))
    assert streamed.value.findings == caught.value.findings


def test_an_image_that_would_fill_the_machine_is_refused(place, monkeypatch):
    from PIL import Image

    image(place / "i" / "a" / "1.png", size=(100, 100))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    assert "is no image that can be read" in refusal(type="images", path="i")[1]


def test_texts_are_read_by_their_folders(place):
    for name, text in {"bad/1.txt": "awful", "good/1.txt": "fine, é", "good/2.txt": ""}.items():
        (place / "t" / name).parent.mkdir(parents=True, exist_ok=True)
        (place / "t" / name).write_text(text)
    examples = load_dataset(DATA_TYPES.parse({"type": "text", "path": "t"}))
    assert examples.x.tolist() == [["awful"], ["fine, é"], [""]]
    assert (examples.y.tolist(), examples.class_names) == ([0, 1, 1], ("bad", "good"))
    (place / "t" / "bad" / "2.txt").write_bytes(b"\xff\xfe\x00")
    assert "2.txt is no text that can be read" in refusal(type="text", path="t")[1]


@pytest.mark.parametrize("kind", ["images", "text"])
def test_a_folder_without_classes_says_what_was_expected(place, kind):
    assert refusal(type=kind, path="none")[1] == "none is no folder."
    (place / "empty" / "a").mkdir(parents=True)
    assert refusal(type=kind, path="empty")[1].startswith("empty has no folders with files that end in ")


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


def test_each_output_has_a_target_of_its_own(place):
    words = np.array(["plum", "fig", "fig", "date", "plum", "date"])
    data = save(place, x=X, k=words, s=X) | {"features": "x", "target": {"kind": "k", "size": "s"}}
    examples = load_dataset(DATA_TYPES.parse(data))
    assert examples.y["kind"].tolist() == [2, 1, 1, 0, 2, 0]
    assert examples.names_of("kind") == ("date", "fig", "plum")
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


def test_targets_that_are_no_outputs_and_outputs_without_one_are_told_without_reading(place):
    def told(target):
        data = {"type": "npz", "path": "d.npz", "features": "x", "target": target}
        (place / "c.yaml").write_text(f"data: {json.dumps(data)}\n{TWO}")
        return [(found.message, found.hint) for found in check_config("c.yaml").problems]

    assert told({"kind": "k", "size": "s"}) == []
    assert told({"kind": "k", "sizes": "s"}) == [
        ("The data has no target for the model's output `size`.", "Add it: `target: {size: ...}`."),
        ("The data has a target `sizes`, which is not an output of the model.", "Did you mean `size`?"),
    ]
    assert told("k") == [
        (
            "The model has 2 outputs, but the data has one target.",
            "Declare one target for each output: `target: {kind: ..., size: ...}`.",
        )
    ]


def test_each_target_is_held_against_its_own_output(place):
    data = save(place, x=X, k=Y + 1, s=X[:, :1]) | {
        "features": "x", "target": {"kind": "k", "size": "s"}, "split": {"test": 2},
    }  # fmt: skip
    (place / "c.yaml").write_text(f"data: {json.dumps(data)}\n{TWO}")
    document = json.loads(invoke("inspect-data", "c.yaml", "--json").stdout)
    assert [(found["code"], found["message"], found["path"]) for found in document["problems"]] == [
        ("bad-label", "Row 3 has the label 3, but the output has 3 units; so have 2 rows in all.", "data.target.kind"),
        ("wrong-units", "The data has 4 classes, but the model's output has 3 units.", "model.layers[1].units"),
        ("target-mismatch", "The model's output is (None, 2), but the target is (None, 1).", "model.layers[2]"),
    ]  # fmt: skip
    assert {row["target"] for row in document["classes"]} == {"kind"}
    assert [row["name"] for row in document["targets"]] == ["kind", "size"]
