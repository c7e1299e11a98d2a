"""Lazy datasets have the same examples, splits and batches as datasets in memory."""

import numpy as np
import pytest

from layercli.config.data.section import DATA_TYPES, SplitConfig
from layercli.data.examples import Examples, ShuffleSeed
from layercli.data.lazy import LazyDataset
from layercli.data.statistics import compute_statistics, count_labels
from layercli.data.types import DataError
from layercli.formats.registry import load_dataset

RNG = np.random.default_rng(3)
X = RNG.normal(size=(60, 4, 2))
PIXELS = RNG.integers(0, 255, (60, 5)).astype("uint8")
WORDS = np.array([["fig", "plum", "date"][n % 3] for n in range(60)])
SPLIT = {"validation": 0.2, "test": 0.1, "stratify": True}


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez(tmp_path / "d.npz", x=X, p=PIXELS, t=WORDS, w=np.arange(60), f=np.asfortranarray(X))
    for name, array in {
        "x": X,
        "p": PIXELS,
        "t": WORDS,
        "w": np.arange(60),
        "f": np.asfortranarray(X),
    }.items():
        np.save(tmp_path / f"{name}.npy", array)
    for number, word in enumerate(WORDS):
        image(tmp_path / "i" / word / f"{number:02}.png", PIXELS[number, :1].repeat(6).reshape(2, 3))
        text = tmp_path / "t" / word / f"{number:02}.txt"
        text.parent.mkdir(parents=True, exist_ok=True)
        text.write_text(f"text {number}")
    return tmp_path


def image(path, pixels):
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


DATA_SECTIONS = {
    "npz": {"type": "npz", "path": "d.npz", "inputs": {"x": "x", "p": "p"}, "target": "t", "weights": "w"},
    "npz, one input": {"type": "npz", "path": "d.npz", "features": "f", "target": "t"},
    "npy": {"type": "npy", "inputs": {"x": "x.npy", "p": "p.npy"}, "target": "t.npy", "weights": "w.npy"},
    "npy, in columns": {"type": "npy", "features": "f.npy", "target": "t.npy"},
    "npy, several targets": {"type": "npy", "features": "x.npy", "target": {"a": "t.npy", "b": "p.npy"}},
    "images": {"type": "images", "path": "i"},
    "text": {"type": "text", "path": "t"},
}


def flat(examples):
    arrays = [*examples.inputs, *examples.targets, ("weights", examples.weights)]
    return {name: None if array is None else (array.dtype, array.tolist()) for name, array in arrays}


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("section", DATA_SECTIONS.values(), ids=DATA_SECTIONS)
def test_lazy_dataset_equals_dataset_in_memory(section):
    data = DATA_TYPES.parse(section | {"split": SPLIT})
    held, lazy = load_dataset(data), load_dataset(data, memory=1000 if section["type"] != "text" else 40)
    assert isinstance(held, Examples)
    assert isinstance(lazy, LazyDataset)
    assert (lazy.facts(), len(lazy), lazy.class_names) == (held.facts(), len(held), held.class_names)
    assert flat(lazy.empty_batch) == flat(held.empty_batch)
    assert vars_of(compute_statistics(lazy)) == vars_of(compute_statistics(held))
    shuffled = ShuffleSeed(5, 2)
    for one, other in zip(
        held.split(data.split, seed=4, shuffle=True).subsets,
        lazy.split(data.split, seed=4, shuffle=True).subsets,
        strict=True,
    ):
        assert [flat(batch) for batch in one.batches(7)] == [flat(batch) for batch in other.batches(7)]
        again = list(other.batches(7, shuffle=shuffled))
        assert [flat(batch) for batch in one.batches(7, shuffle=shuffled)] == [flat(batch) for batch in again]
        later = other.batches(7, shuffle=shuffled, start=2)
        assert [flat(batch) for batch in later] == [flat(batch) for batch in again[2:]]
        assert {name: found.counts for name, found in count_labels(one).items()} == {
            name: found.counts for name, found in count_labels(other).items()
        }


def vars_of(statistics):
    return str(statistics.inputs) + str(statistics.targets) + str(statistics.target_values)


@pytest.mark.usefixtures("place")
def test_digest_depends_on_data_and_rows(place):
    data = DATA_TYPES.parse({"type": "npy", "features": "x.npy", "target": "t.npy"})
    whole = load_dataset(data, memory=1000)
    first, other = (whole.split(SplitConfig(test=0.2), seed=seed, shuffle=True).test for seed in (1, 2))
    digests = {whole.digest(), first.digest(), other.digest()}
    assert load_dataset(data, memory=1000).digest() == whole.digest()
    np.save(place / "x.npy", X + 1)
    assert len(digests | {load_dataset(data, memory=1000).digest()}) == 4


@pytest.mark.usefixtures("place")
def test_statistics_report_all_unreadable_files_together(place, monkeypatch):
    from layercli.data import examples

    monkeypatch.setattr(examples, "_BATCH_BYTES", 60)
    broken = sorted((place / "t").rglob("*.txt"))[3::20]
    for file in broken:
        file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError) as caught:
        compute_statistics(load_dataset(DATA_TYPES.parse({"type": "text", "path": "t"}), memory=40))
    assert [
        found.message.removeprefix("Cannot read the text ").partition(": ")[0]
        for found in caught.value.findings
    ] == [str(file.relative_to(place)) for file in broken]


def refusal(memory=None, **section):
    with pytest.raises(DataError) as caught:
        load_dataset(DATA_TYPES.parse(section), memory=memory)
    [found] = caught.value.findings
    return found.path, found.message


@pytest.mark.usefixtures("place")
def test_messages_for_unusable_arrays(place):
    np.save(place / "o.npy", np.array([{}] * 60))
    np.save(place / "n.npy", np.full(60, -1.0))
    np.save(place / "short.npy", X[:50])
    (place / "bad.npy").write_bytes(b"no array")
    content = bytearray((place / "x.npy").read_bytes())
    (place / "huge.npy").write_bytes(content.replace(b"(60, 4, 2), }", b"(1000000000000,)}"))
    assert refusal(type="npy", features="o.npy", target="t.npy")[1].startswith(
        "The array `o.npy` contains Python objects"
    )
    for memory in (None, 1000):
        path, message = refusal(memory, type="npy", features="huge.npy", target="t.npy")
        assert path == ("data", "features")
        assert message == (
            "Cannot read the array huge.npy: the array huge.npy declares more values than it contains."
        )
    message = refusal(type="npy", features="bad.npy", target="t.npy")[1]
    assert message == "Cannot read the array bad.npy: it is not an npy file."
    assert refusal(type="npy", features="none.npy", target="t.npy") == (
        ("data", "features"),
        "none.npy does not exist.",
    )
    assert refusal(type="npy", features="short.npy", target="t.npy")[1] == (
        "`short.npy` has 50 examples, but `t.npy` has 60."
    )
    assert refusal(type="npy", features="x.npy", target="t.npy", weights="n.npy") == (
        ("data", "weights"),
        "Weights must be finite numbers of at least 0, got -1 in row 1.",
    )


@pytest.mark.usefixtures("place")
def test_text_column_of_a_table(place):
    rows = "".join(f'"text, {n}",{n},{WORDS[n]}\n' for n in range(60))
    (place / "r.csv").write_text("review,id,label\n" + rows)
    examples = load_dataset(
        DATA_TYPES.parse({"type": "text", "path": "r.csv", "column": "review", "target": "label"})
    )
    [(name, texts)] = examples.inputs
    assert (name, texts[7].tolist()) == ("input", ["text, 7"])
    assert examples.class_names == ("date", "fig", "plum")
    assert refusal(type="text", path="r.csv", column="reviews", target="label") == (
        ("data", "column"),
        'Unknown column "reviews".',
    )
