"""The preview of image folders agrees with the reader."""

import warnings

import numpy as np
import pytest
from PIL import Image

from layercli.config.data.section import DATA_TYPES
from layercli.formats.preview import PreviewError, preview_image_folder
from layercli.formats.registry import load_dataset

PALETTE = list(np.random.default_rng(0).integers(0, 256, 768))
PICTURES = [
    ("png", "1", False),
    ("png", "L", False),
    ("png", "LA", False),
    ("png", "I;16", False),
    ("png", "RGB", True),
    ("png", "RGBA", True),
    ("png", "P", True),
    ("jpg", "L", False),
    ("jpg", "RGB", True),
    ("jpg", "CMYK", True),
    ("bmp", "1", False),
    ("bmp", "L", False),
    ("bmp", "RGB", True),
    ("bmp", "P", True),
    ("gif", "RGB", True),
]


def save_picture(path, mode, size=(6, 4)):
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.new(mode, size)
    if mode == "RGB":
        picture.paste((200, 30, 90), (0, 0, 3, 2))
    if mode == "P":
        picture.putpalette(PALETTE)
    picture.save(path)


@pytest.mark.parametrize(("suffix", "mode", "has_color"), PICTURES)
def test_size_and_color_agree_with_the_reader(tmp_path, suffix, mode, has_color):
    save_picture(tmp_path / "i" / "a" / f"1.{suffix}", mode)
    preview = preview_image_folder(tmp_path / "i")
    assert (dict(preview.sizes), preview.has_color) == ({(4, 6): 1}, has_color)
    examples = load_dataset(DATA_TYPES.parse({"type": "images", "path": str(tmp_path / "i")}))
    assert examples.x.shape == (1, 4, 6, 3 if has_color else 1)


def test_gif_is_gray_if_its_palette_is_a_gray_scale(tmp_path):
    (tmp_path / "i" / "a").mkdir(parents=True)
    Image.linear_gradient("L").save(tmp_path / "i" / "a" / "1.gif")
    assert not preview_image_folder(tmp_path / "i").has_color
    examples = load_dataset(DATA_TYPES.parse({"type": "images", "path": str(tmp_path / "i")}))
    assert examples.x.shape == (1, 256, 256, 1)


def test_unreadable_images_have_no_size(tmp_path):
    save_picture(tmp_path / "i" / "a" / "1.png", "L")
    (tmp_path / "i" / "a" / "2.png").write_bytes(b"not an image")
    (tmp_path / "i" / "a" / "notes.txt").write_text("not an image")
    preview = preview_image_folder(tmp_path / "i")
    assert (preview.classes, preview.image_count, dict(preview.sizes)) == (["a"], 2, {(4, 6): 1})


def test_large_image_is_previewed_without_decoding(tmp_path, monkeypatch):
    save_picture(tmp_path / "i" / "a" / "1.png", "L", size=(100, 100))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 8000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert dict(preview_image_folder(tmp_path / "i").sizes) == {(100, 100): 1}


def test_folder_without_images(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(PreviewError, match="contains no folders with images"):
        preview_image_folder(tmp_path)
