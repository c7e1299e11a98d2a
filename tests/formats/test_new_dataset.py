"""Files that are not from training are read as those of training, with or without targets."""

import json

import numpy as np
import pytest

from layercli.config.data.section import DATA_TYPES, SplitConfig
from layercli.data.reader_state import ReaderState
from layercli.data.types import DataError
from layercli.formats.registry import load_dataset, load_new_dataset
from tests.formats.helpers import image
from tests.running import invoke

X = np.arange(24.0).reshape(6, 4)
WORDS = np.array(["fig", "plum", "fig", "date", "plum", "date"])


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez(tmp_path / "d.npz", x=X, t=WORDS, w=np.ones(6))
    np.savez(tmp_path / "new.npz", x=X[:2] + 1, t=np.array(["plum", "plum"]), w=np.ones(2))
    np.savez(tmp_path / "inputs.npz", x=X[:2] + 1)
    for number, word in enumerate(WORDS):
        image(tmp_path / "i" / word / f"{number}.png", size=(4, 4), value=number)
        (tmp_path / "t" / word).mkdir(parents=True, exist_ok=True)
        (tmp_path / "t" / word / f"{number}.txt").write_text(f"text {number}")
    image(tmp_path / "n" / "plum" / "1.png", size=(4, 4), value=9)
    (tmp_path / "m" / "plum").mkdir(parents=True)
    (tmp_path / "m" / "plum" / "1.txt").write_text("new")
    for name, array in {"x": X, "t": WORDS, "x2": X[:2] + 1, "t2": WORDS[1:3]}.items():
        np.save(tmp_path / f"{name}.npy", array)
    rows = "".join(f"text {n},{word}\n" for n, word in enumerate(WORDS))
    (tmp_path / "r.csv").write_text("review,label\n" + rows)
    (tmp_path / "r2.csv").write_text("review,label\nnew,plum\n")
    return tmp_path


def reader_state(data):
    """Return the reader state of the data, as a run keeps it."""
    parts = load_dataset(data).split(SplitConfig(), seed=0, shuffle=False)
    return ReaderState.from_json(json.loads(json.dumps(ReaderState.from_splits(parts).to_json())))


SECTIONS = {
    "npz": (
        {"type": "npz", "path": "d.npz", "features": "x", "target": "t", "weights": "w"},
        ["new.npz"],
        ["inputs.npz"],
    ),
    "npy": ({"type": "npy", "features": "x.npy", "target": "t.npy"}, ["x2.npy", "t2.npy"], ["x2.npy"]),
    "images": ({"type": "images", "path": "i"}, ["n"], ["n/plum/1.png"]),
    "text": ({"type": "text", "path": "t"}, ["m"], ["m/plum/1.txt"]),
    "column": (
        {"type": "text", "path": "r.csv", "column": "review", "target": "label"},
        ["r2.csv"],
        ["r2.csv"],
    ),
}


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(("section", "files", "inputs"), SECTIONS.values(), ids=SECTIONS)
def test_new_files_have_the_classes_of_training(section, files, inputs):
    data = DATA_TYPES.parse(section)
    known = reader_state(data)
    [new] = load_new_dataset(data, files, known, has_targets=True).batches(9)
    assert new.class_names == ("date", "fig", "plum")
    assert new.y[0] == 2
    [(_, x)] = new.inputs
    [again] = load_new_dataset(data, inputs, known, has_targets=False).batches(9)
    [(_, same)] = again.inputs
    assert same.tolist() == x.tolist()
    assert again.y.tolist() == [0] * len(same)


@pytest.mark.usefixtures("place")
def test_class_that_training_lacks_is_refused(place):
    np.savez(place / "other.npz", x=X[:1], t=np.array(["kiwi"]), w=np.ones(1))
    data = DATA_TYPES.parse(SECTIONS["npz"][0])
    with pytest.raises(DataError, match='Row 1 has the class "kiwi", which is not in the training data'):
        load_new_dataset(data, ["other.npz"], reader_state(data), has_targets=True)
    image(place / "o" / "kiwi" / "1.png", size=(4, 4))
    data = DATA_TYPES.parse(SECTIONS["images"][0])
    with pytest.raises(DataError, match="o contains the class kiwi, which is not in the training data"):
        load_new_dataset(data, ["o"], reader_state(data), has_targets=True)


@pytest.mark.usefixtures("place")
def test_wrong_image_size_and_empty_folder_are_refused(place):
    image(place / "o" / "1.png", size=(5, 5))
    data = DATA_TYPES.parse(SECTIONS["images"][0])
    with pytest.raises(DataError, match=r"1\.png is 5x5, but the others are 4x4"):
        load_new_dataset(data, ["o"], reader_state(data), has_targets=False)
    with pytest.raises(DataError, match=r"contains no files that end in \.png"):
        load_new_dataset(data, ["m"], reader_state(data), has_targets=False)


def test_data_type_without_files():
    data = DATA_TYPES.parse({"type": "sklearn", "dataset": "iris"})
    with pytest.raises(DataError, match="sklearn data cannot be read from other files"):
        load_new_dataset(data, ["x"], reader_state(data), has_targets=False)


@pytest.mark.tensorflow
def test_run_keeps_reader_state(digits_run):
    document = json.loads((digits_run.path / "data.json").read_text())
    assert ReaderState.from_json(document).single_input() == ((64,), np.float32)
    assert "data.json" in json.loads((digits_run.path / "manifest.json").read_text())["files"]
    assert invoke("evaluate", digits_run.path).exit_code == 0
