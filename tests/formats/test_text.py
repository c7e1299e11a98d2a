"""text data in class folders."""

from layercli.config.data.section import DATA_TYPES
from layercli.formats.registry import load_dataset
from tests.formats.helpers import refusal


def test_texts_are_read_by_class_folder(place):
    for name, text in {"bad/1.txt": "awful", "good/1.txt": "fine, é", "good/2.txt": ""}.items():
        (place / "t" / name).parent.mkdir(parents=True, exist_ok=True)
        (place / "t" / name).write_text(text)
    examples = load_dataset(DATA_TYPES.parse({"type": "text", "path": "t"}))
    assert examples.x.tolist() == [["awful"], ["fine, é"], [""]]
    assert (examples.y.tolist(), examples.class_names) == ([0, 1, 1], ("bad", "good"))
    (place / "t" / "bad" / "2.txt").write_bytes(b"\xff\xfe\x00")
    assert "Cannot read the text t/bad/2.txt" in refusal(type="text", path="t")[1]
