"""Predicted masks as image files."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from layercli.data.types import DataError
from layercli.formats.images.mask_files import write_masks
from tests.formats.helpers import image

pytestmark = pytest.mark.usefixtures("place")

CLASSES = np.array([[0, 1], [2, 1]])


def chunk(classes, *files):
    return {"file": np.array(files, dtype=object), "class": np.stack([classes] * len(files))}


def read(path):
    return np.asarray(Image.open(path))


def test_masks_have_the_paths_and_sizes_of_their_images():
    image(Path("in/x/a.jpg"), size=(4, 6))
    image(Path("b.png"), size=(2, 2))
    chunks = [chunk(CLASSES, "in/x/a.jpg"), chunk(CLASSES * 300, "b.png")]
    assert write_masks(Path("out"), chunks, ["in", "b.png"], None) == 2
    np.testing.assert_array_equal(read("out/x/a.png"), np.kron(CLASSES, np.ones((3, 2), int)))
    assert read("out/x/a.png").dtype == np.uint8
    np.testing.assert_array_equal(read("out/b.png"), CLASSES * 300)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("0", "255", "7"), [[0, 255], [7, 255]]),
        (("0", "300", "7"), [[0, 300], [7, 300]]),
        (("#000000", "#ff0000", "#00ff80"), [[[0, 0, 0], [255, 0, 0]], [[0, 255, 128], [255, 0, 0]]]),
    ],
)
def test_values_are_those_of_training(names, expected):
    image(Path("a.png"), size=(2, 2))
    classes = np.array(names, dtype=object)[CLASSES]
    write_masks(Path("out"), [chunk(classes, "a.png")], ["a.png"], names)
    assert read("out/a.png").tolist() == expected


def test_turned_images_have_upright_masks():
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("L", (6, 4)).save("a.png", exif=exif)
    write_masks(Path("out"), [chunk(CLASSES, "a.png")], ["a.png"], None)
    assert read("out/a.png").shape == (6, 4)


def test_what_cannot_be_written():
    image(Path("x/a.png"))
    image(Path("y/a.png"))
    message = "a folder of masks needs images and a class for each pixel"
    for columns in (
        {"prediction": CLASSES},
        {"class": CLASSES[0], "file": CLASSES[0]},
        {"class": CLASSES[None]},
    ):
        with pytest.raises(ValueError, match=message):
            write_masks(Path("out"), [columns], [], None)
    with pytest.raises(ValueError, match=r"two images have the mask out/a\.png"):
        write_masks(Path("out"), [chunk(CLASSES, "x/a.png", "y/a.png")], ["x", "y"], None)
    with pytest.raises(DataError, match="No such file"):
        write_masks(Path("out"), [chunk(CLASSES, "none.png")], [], None)


def test_mask_is_not_written_through_a_link_in_the_folder(tmp_path):
    image(Path("in/deep/a.png"), size=(2, 2))
    for name in ("elsewhere", "out"):
        (tmp_path / name).mkdir()
    (tmp_path / "out" / "deep").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="deep is a symbolic link"):
        write_masks(tmp_path / "out", [chunk(CLASSES, "in/deep/a.png")], ["in"], None)
    assert not list((tmp_path / "elsewhere").iterdir())
