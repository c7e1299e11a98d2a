"""text data in class folders."""

import pytest

from layercli.config.data.section import DATA_TYPES
from layercli.data.types import DataError
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


def test_texts_of_an_encoding_are_read_with_it_or_refused(place):
    contents = {"a/1.txt": "Größe\r\nx".encode("cp1252"), "b/1.txt": "\ufeffé".encode("utf-16-le")}
    for name, content in contents.items():
        (place / "t" / name).parent.mkdir(parents=True, exist_ok=True)
        (place / "t" / name).write_bytes(content)
    section = {"type": "text", "path": "t"}
    assert load_dataset(DATA_TYPES.parse(section | {"encoding": "cp1252"})).x.tolist() == [
        ["Größe\nx"],
        ["é"],
    ]
    assert [finding.hint for finding in findings(section)] == [
        "Set `encoding: cp1252`, which the file seems to have, or save it as utf-8."
    ]
    (place / "t/b/1.txt").write_text("é")
    [found] = findings(section | {"encoding": "cp1252"})
    assert found.message == "The text t/b/1.txt is UTF-8, but `encoding` is cp1252."
    assert found.hint == "Convert it: `iconv -f utf-8 -t cp1252 t/b/1.txt > converted.csv`."


def findings(section):
    with pytest.raises(DataError) as caught:
        load_dataset(DATA_TYPES.parse(section))
    return caught.value.findings


def test_one_text_of_another_encoding_is_to_be_saved_as_the_others(tmp_path):
    for name, text in (
        ("a/1.txt", "Größe".encode()),
        ("b/1.txt", "Maße für süße Gäste in Köln".encode("cp1252")),
    ):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(text)
    with pytest.raises(DataError) as caught:
        load_dataset(DATA_TYPES.parse({"type": "text", "path": str(tmp_path)}))
    assert [found.hint for found in caught.value.findings] == ["Save it as utf-8, as other files are."]
