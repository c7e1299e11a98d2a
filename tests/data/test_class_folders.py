"""Folders of files with classes: nested, hidden, skipped and misplaced files."""

import os
from pathlib import Path

import pytest

from layercli.data.class_folders import list_class_files, list_new_files
from layercli.data.types import DataError
from tests.formats.helpers import refusal

pytestmark = pytest.mark.usefixtures("place")


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(*paths):
    for path in map(Path, paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")


def listed(folder="d"):
    found = list_class_files(Path(folder), [".txt"])
    return found.class_names, [file.as_posix() for file in found.files], found.labels.tolist()


def messages(folder="d"):
    return [warning.message for warning in list_class_files(Path(folder), [".txt"]).warnings]


def error(folder="d"):
    with pytest.raises(DataError) as caught:
        list_class_files(Path(folder), [".txt"])
    [found] = caught.value.findings
    return found.message, found.hint


@pytest.mark.parametrize("kind", ["images", "text"])
def test_folder_without_classes(place, kind):
    assert refusal(type=kind, path="none")[1] == "none is not a folder."
    (place / "empty" / "a").mkdir(parents=True)
    assert refusal(type=kind, path="empty")[1].startswith("empty contains no folders with files that end in ")


def test_nested_files_belong_to_the_first_folder():
    write("d/b/1.txt", "d/a/x/y/2.TXT", "d/a/1.txt")
    assert listed() == (("a", "b"), ["d/a/1.txt", "d/a/x/y/2.TXT", "d/b/1.txt"], [0, 0, 1])


def test_files_are_the_same_in_training_and_prediction():
    write("d/b/1.txt", "d/a/x/2.txt", "d/a/.x/3.txt", "d/a/._1.txt", "d/.c/4.txt", "d/__MACOSX/a/1.txt")
    write("d/b/Thumbs.db", "d/b/.DS_Store")
    files, *_ = list_new_files(["d"], [".txt"], (), has_targets=False)
    assert [file.as_posix() for file in files] == listed()[1] == ["d/a/x/2.txt", "d/b/1.txt"]
    assert messages() == []


def test_a_hidden_file_can_be_named():
    write("d/.1.txt")
    assert list_new_files(["d/.1.txt"], [".txt"], (), has_targets=False)[0] == [Path("d/.1.txt")]


def test_at_most_five_kinds_of_files_are_named():
    write("d/a/1.txt", *(f"d/a/{n}.x{n}" for n in range(5)))
    assert (
        messages()[0] == "5 files in d are left out: 1 .x0, 1 .x1, 1 .x2, 1 .x3, 1 .x4 (the first is a/0.x0)."
    )
    write("d/a/5.x5")
    assert messages()[0] == (
        "6 files in d are left out: 1 .x0, 1 .x1, 1 .x2, 1 .x3, 1 .x4, others (the first is a/0.x0)."
    )


def test_links_to_folders_are_followed_only_at_the_top():
    write("other/x/1.txt", "d/b/1.txt")
    Path("d/a").symlink_to("../other")
    Path("d/b/loop").symlink_to("..")
    Path("d/self").symlink_to("self")
    Path("d/b/none.txt").symlink_to("/nowhere")
    os.mkfifo("d/b/pipe.txt")
    assert listed()[1] == ["d/a/x/1.txt", "d/b/1.txt"]


def test_what_is_left_out_is_counted(place):
    write("d/a/1.txt", "d/b/2.txt", "d/3.txt", "d/4.txt", "d/a/n/5.md", "d/a/6.md", "d/7", "d/b/8.PDF")
    (place / "d" / "c").mkdir()
    assert messages() == [
        "4 files in d are left out: 2 .md, 1 without a suffix, 1 .pdf (the first is 7).",
        "2 files directly in d are left out: they have no class (the first is 3.txt).",
        "1 folder contains no files that end in .txt: c.",
    ]
    *_, warnings = list_new_files(["d/a"], [".txt"], (), has_targets=False)
    assert [found.message for found in warnings] == [
        "2 files in d/a are left out: 2 .md (the first is 6.md)."
    ]
    *_, warnings = list_new_files(["d"], [".txt"], ("a", "b"), has_targets=True)
    assert [found.message for found in warnings] == messages()
    for name in "abcdef":
        write(f"d/a/1.{name}")
    assert "2 .md, " in messages()[0]
    assert messages()[0].endswith("others (the first is 7).")


def test_folders_that_are_sets_are_not_classes():
    write("d/Train/a/1.txt", "d/Train/b/1.txt", "d/val/a/2.txt", "d/test/b/3.txt")
    assert error() == (
        "The folders in d are sets, not classes: Train, test, val.",
        "Write `path: d/Train, split: {test: d/test, validation: d/val}`.",
    )
    write("d/val/4.txt")
    assert listed()[0] == ("Train", "test", "val")


def test_a_folder_around_the_classes_is_not_a_class():
    write("d/flowers/a/1.txt", "d/flowers/b/1.txt")
    assert error() == (
        "d contains only the folder flowers, which contains a, b.",
        "The folders in `path` are the classes: write `path: d/flowers`.",
    )
    write("d/flowers/2.txt")
    assert listed()[0] == ("flowers",)


def test_new_classes_and_empty_folders_are_refused():
    write("d/a/1.txt", "d/c/1.txt", "e/1.md")
    with pytest.raises(DataError, match="d contains the class c, which is not in the training data"):
        list_new_files(["d"], [".txt"], ("a", "b"), has_targets=True)
    write("f/b/1.txt")
    assert list_new_files(["f"], [".txt"], ("a", "b"), has_targets=True)[1].tolist() == [1]
    with pytest.raises(DataError, match=r"e contains no files that end in \.txt"):
        list_new_files(["e"], [".txt"], (), has_targets=False)


def test_new_class_is_known_in_composed_and_decomposed_letters():
    write("new/a\u0308/1.txt", "new/b/1.txt")
    for name in ("\u00e4", "a\u0308"):
        assert list_new_files(["new"], [".txt"], ("b", name), has_targets=True)[1].tolist() == [1, 0]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every folder")
def test_unreadable_folder(place):
    write("d/a/1.txt")
    (place / "d" / "a").chmod(0)
    assert error()[0] == "d/a cannot be read: Permission denied."
