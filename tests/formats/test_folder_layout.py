"""Kinds of folders of images and texts."""

from pathlib import Path

import pytest

from layercli.formats.folder_layout import find_folder_layout
from layercli.formats.images.config import IMAGE_SUFFIXES

pytestmark = pytest.mark.usefixtures("place")


def write(*paths):
    for path in map(Path, paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")


def find(folder, suffixes=IMAGE_SUFFIXES):
    return find_folder_layout(Path(folder), suffixes)


@pytest.mark.parametrize(
    ("paths", "kind", "examples"),
    [
        (["a/1.png", "b/x/2.JPG", ".c/3.png", "e/notes.txt"], "classes", "d"),
        (["a/1.png", "b/2.png", "readme.csv"], "classes", "d"),
        (["Train/a/1.png", "Train/b/1.png", "val/a/1.png", "test/1.png"], "classes", "d/Train"),
        (["train/a/1.png", "bus/1.png"], "classes", "d"),
        (["data/a/1.png", "data/b/1.png"], "classes", "d/data"),
        (["1.png", "labels.csv"], "table", "d"),
        (["images/1.png", "labels.csv"], "table", "d/images"),
        (["other/1.png", "labels.parquet"], "table", "d"),
        (["train/1.png", "test/2.png", "train.csv"], "table", "d"),
        (["train/1.png", "train/labels.csv", "test/2.png"], "table", "d/train"),
        (["images/1.png", "masks/1.png"], "masks", "d/images"),
        (["images/1.png", "labels/1.png"], "masks", "d/images"),
        (["1.png", "masks/1.png"], "masks", "d"),
        (["1.png", "1_mask.png", "2 (1).jpg", "2 (1)_Mask.png"], "masks", "d"),
        (["a/1.png", "a/1_mask.png", "b/2.png", "b/2_mask.png"], "masks", "d"),
        (["1.png", "1_mask.png", "2.png", "3.png"], "unlabelled", "d"),
        (["a_mask.png", "b_mask.png"], "unlabelled", "d"),
        (
            ["JPEGImages/1.png", "SegmentationClass/1.png", "SegmentationObject/1.png"],
            "masks",
            "d/JPEGImages",
        ),
        (["images/train/1.png", "masks/train/1.png"], "masks", "d/images/train"),
        (["masks/1.png", "b/1.png"], "classes", "d"),
        (["images/1.png", "masks/1.png", "cat/1.png"], "classes", "d"),
        (["train/1.png", "test/2.png"], "unlabelled", "d/train"),
        (["1.png"], "unlabelled", "d"),
        (["a/1.png"], "unlabelled", "d"),
        (["labels.csv"], "none", "d"),
    ],
)
def test_kind_of_a_folder(paths, kind, examples):
    write(*(f"d/{path}" for path in paths))
    found = find("d")
    assert (found.kind, found.examples) == (kind, Path(examples))


def test_tables_and_masks_are_named():
    write("t/1.png", "t/b.csv", "t/a.csv", "t/c.txt", "t/.d.csv")
    assert find("t").tables == (Path("t/a.csv"), Path("t/b.csv"))
    write("m/img/1.png", "m/Mask/1.png")
    assert find("m").masks == Path("m/Mask")


def test_sets_of_classes():
    write("s/train/a/1.txt", "s/train/b/1.txt", "s/valid/a/1.txt", "s/test/1.txt")
    found = find("s", (".txt",))
    assert found.sets == {"validation": (Path("s/valid"),)}
    assert found.unused == (Path("s/test"),)


def test_sets_of_masks_inside_and_outside_of_the_sets():
    write(
        "a/train/images/1.png",
        "a/train/masks/1.png",
        "a/test/images/1.png",
        "a/test/masks/1.png",
        "a/val/1.png",
    )
    found = find("a")
    assert (found.examples, found.masks) == (Path("a/train/images"), Path("a/train/masks"))
    assert (found.sets, found.unused) == ({"test": (Path("a/test"),)}, (Path("a/val"),))
    write("b/images/train/1.png", "b/masks/train/1.png", "b/images/dev/1.png", "b/masks/dev/1.png")
    found = find("b")
    assert found.masks == Path("b/masks/train")
    assert found.sets == {"validation": (Path("b/images/dev"), Path("b/masks/dev"))}


def test_sets_with_tables():
    write("s/train/1.png", "s/train/labels.csv", "s/val/1.png", "s/val/labels.csv", "s/test/1.png")
    found = find("s")
    assert (found.sets, found.unused) == ({"validation": (Path("s/val"),)}, (Path("s/test"),))
