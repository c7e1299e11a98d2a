"""The preview of images agrees with the reader."""

import warnings
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from layercli.config.data.section import DATA_TYPES
from layercli.formats.preview import ImagesPreview, preview_images
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
    preview = preview_images([tmp_path / "i" / "a" / f"1.{suffix}"])
    assert preview.is_deep == (mode == "I;16")
    assert (dict(preview.sizes), preview.has_color) == ({(4, 6): 1}, has_color)
    examples = load_dataset(DATA_TYPES.parse({"type": "images", "path": str(tmp_path / "i")}))
    assert examples.x.shape == (1, 4, 6, 3 if has_color else 1)


def test_gif_is_gray_if_its_palette_is_a_gray_scale(tmp_path):
    (tmp_path / "i" / "a").mkdir(parents=True)
    Image.linear_gradient("L").save(tmp_path / "i" / "a" / "1.gif")
    assert not preview_images([tmp_path / "i" / "a" / "1.gif"]).has_color
    examples = load_dataset(DATA_TYPES.parse({"type": "images", "path": str(tmp_path / "i")}))
    assert examples.x.shape == (1, 256, 256, 1)


def test_unreadable_images_have_no_size(tmp_path):
    save_picture(tmp_path / "1.png", "L")
    (tmp_path / "2.png").write_bytes(b"not an image")
    preview = preview_images([tmp_path / "1.png", tmp_path / "2.png"])
    assert (preview.image_count, preview.unreadable_count) == (2, 1)
    assert dict(preview.sizes) == {(4, 6): 1}


def test_sizes_are_those_of_upright_images(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (6, 4)).save(tmp_path / "1.jpg", exif=exif)
    assert dict(preview_images([tmp_path / "1.jpg"]).sizes) == {(6, 4): 1}


@pytest.mark.parametrize(
    ("sizes", "text"),
    [
        ([], "of unknown size"),
        ([(4, 6)], "all 4x6"),
        ([(4, 6)] * 3 + [(9, 9)], "mostly 4x6"),
        ([(9, 9), (4, 6), (6, 4), (9, 9)], "from 4x6 to 9x9"),
    ],
)
def test_description_of_sizes(sizes, text):
    assert ImagesPreview(len(sizes), Counter(sizes), has_color=True, is_deep=False).describe_sizes() == text


def test_large_image_is_previewed_without_decoding(tmp_path, monkeypatch):
    save_picture(tmp_path / "i" / "a" / "1.png", "L", size=(100, 100))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 8000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert dict(preview_images([tmp_path / "i" / "a" / "1.png"]).sizes) == {(100, 100): 1}
