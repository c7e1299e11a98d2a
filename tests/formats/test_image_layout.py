"""Kinds of folders of images."""

from pathlib import Path

import pytest

from layercli.formats.images.layout import find_image_layout
from layercli.formats.preview import preview_image_folder
from tests.formats.helpers import image

pytestmark = pytest.mark.usefixtures("place")


def write(*paths):
    for path in map(Path, paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")


@pytest.mark.parametrize(
    ("paths", "kind", "images"),
    [
        (["a/1.png", "b/x/2.JPG", ".c/3.png", "e/notes.txt"], "classes", "d"),
        (["a/1.png", "b/2.png", "readme.csv"], "classes", "d"),
        (["Train/a/1.png", "val/a/1.png", "test/1.png"], "sets", "d/Train"),
        (["train/a/1.png", "bus/1.png"], "classes", "d"),
        (["1.png", "labels.csv"], "table", "d"),
        (["images/1.png", "labels.csv"], "table", "d/images"),
        (["other/1.png", "labels.parquet"], "table", "d"),
        (["images/1.png", "masks/1.png"], "masks", "d/images"),
        (["images/1.png", "labels/1.png"], "masks", "d/images"),
        (["masks/1.png", "b/1.png"], "classes", "d"),
        (["1.png"], "unlabelled", "d"),
        (["a/1.png"], "unlabelled", "d"),
        (["labels.csv"], "none", "d"),
    ],
)
def test_kind_of_a_folder(paths, kind, images):
    write(*(f"d/{path}" for path in paths))
    found = find_image_layout(Path("d"))
    assert (found.kind, found.images) == (kind, Path(images))


def test_sets_tables_and_masks_are_named():
    write("s/train/a/1.png", "s/valid/a/1.png", "s/test/a/1.png")
    expected = {"validation": Path("s/valid"), "test": Path("s/test")}
    assert find_image_layout(Path("s")).sets == expected
    write("t/1.png", "t/b.csv", "t/a.csv", "t/c.txt")
    assert find_image_layout(Path("t")).tables == (Path("t/a.csv"), Path("t/b.csv"))
    write("m/img/1.png", "m/Mask/1.png")
    assert find_image_layout(Path("m")).masks == Path("m/Mask")


def test_preview_counts_the_images_that_training_reads():
    for name in ("a/1.png", "a/n/2.png", "b/1.png"):
        image(Path("p") / name, mode="RGB")
    write("p/a/._1.png", "p/.c/1.png", "p/3.png", "p/empty/x.txt")
    preview = preview_image_folder(Path("p"))
    assert (preview.classes, preview.image_count, preview.sizes) == (["a", "b"], 3, {(4, 6): 3})
