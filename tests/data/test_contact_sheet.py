"""Contact sheets of a few images, worked out by hand."""

import numpy as np
import pytest
from PIL import Image

from layercli.data.contact_sheet import write_contact_sheet
from layercli.data.examples import Examples


def read(folder):
    with Image.open(folder / "sheet.png") as image:
        return np.array(image)


def write(folder, images, targets, names=None, **keys):
    assert write_contact_sheet(Examples(images, targets, names, **keys), folder / "sheet.png")
    return read(folder)


@pytest.mark.parametrize(("height", "scale"), [(16, 4), (32, 2), (33, 2), (63, 2), (64, 1), (65, 1)])
def test_small_images_are_enlarged_by_whole_factors(tmp_path, height, scale):
    images = np.zeros((1, height, 80, 3), dtype=np.uint8)
    sheet = write(tmp_path, images, np.zeros(1, dtype=np.int32))
    assert sheet.shape == (height * scale + 2 + 14, 80 * scale + 2, 3)


def test_grid_is_sorted_by_class(tmp_path):
    values, labels = np.array([10, 20, 30, 40, 50]), np.array([4, 3, 2, 1, 0], dtype=np.int32)
    images = np.broadcast_to(values[:, None, None, None], (5, 64, 64, 1)).astype(np.uint8)
    sheet = write(tmp_path, images, labels)
    assert sheet.shape == (3 * 80, 3 * 66, 3)
    assert sheet[33::80, 33::66, 0].tolist() == [[50, 40, 30], [20, 10, 0], [0, 0, 0]]
    assert sheet[0, 33].max() == sheet[33, 65].max() == sheet[33, 66].max() == 0
    assert sheet[1, 1, 2] == sheet[64, 64, 2] == 50


def test_sheet_has_at_most_64_images(tmp_path):
    images = np.full((70, 64, 64, 1), 9, dtype=np.uint8)
    sheet = write(tmp_path, images, np.zeros(70, dtype=np.int32))
    assert sheet.shape == (8 * 80, 8 * 66, 3)
    assert int((sheet[33::80, 33::66, 0] == 9).sum()) == 64


@pytest.mark.parametrize("image", [(8, 8, 2), (8, 8), (8,)])
def test_arrays_that_are_not_images_have_no_sheet(tmp_path, image):
    examples = Examples(np.zeros((2, *image)), np.zeros(2))
    assert not write_contact_sheet(examples, tmp_path / "sheet.png")
    assert not (tmp_path / "sheet.png").exists()


def test_numbers_are_scaled_to_the_range_of_bytes(tmp_path):
    images = np.zeros((1, 64, 66, 1), dtype=np.float32)
    images[0, :, :, 0] = np.repeat([-1.0, 0.0, 1.0], 22)
    assert write(tmp_path, images, np.zeros(1))[33, [0, 1, 23, 45, 67], 0].tolist() == [0, 0, 127, 255, 0]


def captions(monkeypatch, folder, targets, names=None, **keys):
    """Return the captions that are drawn below blank images."""
    from PIL import ImageDraw

    drawn = []
    monkeypatch.setattr(ImageDraw.ImageDraw, "text", lambda _self, _place, text, **_: drawn.append(text))
    write(folder, np.zeros((len(targets), 64, 64, 3), np.uint8), targets, names, **keys)
    return drawn


@pytest.mark.parametrize(
    ("targets", "names", "expected"),
    [
        (np.array([0, 1], np.int32), ("cat", "dog"), ["cat", "dog"]),
        (np.array([0, 3], np.int32), None, ["0", "3"]),
        (np.array([2.5, 2.5], np.float32), None, ["2.5", "2.5"]),
        (np.array([[1.25, 3], [1.25, 3]], np.float32), None, ["1.25, 3", "1.25, 3"]),
        (np.array([0, 0], np.int32), ("a\x1b[31mb",), ["a\ufffd[31mb"] * 2),
    ],
)
def test_captions_are_classes_or_values(tmp_path, monkeypatch, targets, names, expected):
    assert captions(monkeypatch, tmp_path, targets, names) == expected


def test_captions_of_several_labels_are_their_columns(tmp_path, monkeypatch):
    columns = {None: ("rain", "snow")}
    labels = np.ones((2, 2), np.int32)
    assert captions(monkeypatch, tmp_path, labels, target_columns=columns) == ["rain, snow"] * 2


def test_long_captions_are_cut(tmp_path, monkeypatch):
    (caption,) = captions(monkeypatch, tmp_path, np.zeros(1, np.int32), ("a" * 90,))
    assert 5 < len(caption) < 20
    assert caption.endswith("a…")


def test_captions_are_drawn_below_the_images(tmp_path):
    sheet = write(tmp_path, np.full((1, 64, 64, 3), 9, np.uint8), np.zeros(1, np.int32), ("cat",))
    assert set(np.unique(sheet[1:65, 1:65])) == {9}
    assert sheet[65:].max() > 200


def test_masks_are_shown_over_a_copy_of_the_image(tmp_path, monkeypatch):
    images = np.full((1, 64, 64, 3), 100, np.uint8)
    masks = np.zeros((1, 64, 64), np.uint8)
    masks[0, 32:] = 1
    sheet = write(tmp_path, images, masks)
    assert sheet.shape == (80, 130, 3)
    assert sheet[20, 20].tolist() == sheet[50, 20].tolist() == sheet[20, 90].tolist() == [100, 100, 100]
    # 100 + 0.6 * (color - 100), with the color (230, 25, 75)
    assert sheet[50, 90].tolist() == [178, 55, 85]
    sheet = write(tmp_path, images, masks[..., None], ("#000000", "#0000ff"))
    assert sheet[50, 90].tolist() == [40, 40, 193]
    assert captions(monkeypatch, tmp_path, masks, ("ground", "sky")) == ["ground, sky"]
