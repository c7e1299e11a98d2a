"""Image files of all kinds: orientation, modes, formats and files that are not images."""

import numpy as np
import PIL
import pytest
from PIL import Image

from layercli.config.data.section import DATA_TYPES
from layercli.data.types import DataError
from layercli.formats.registry import load_dataset
from tests.formats.helpers import image

pytestmark = pytest.mark.usefixtures("place")

CORNERS = np.arange(24, dtype=np.uint8).reshape(4, 6) * 10
"""An image of 4 rows and 6 columns in which every pixel differs."""


def load(**keys):
    return load_dataset(DATA_TYPES.parse({"type": "images", "path": "i"} | keys))


def save(picture, name="1.png", **options):
    from pathlib import Path

    path = Path("i") / "a" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, **options)
    return path


def errors():
    with pytest.raises(DataError) as caught:
        load()
    return [found.message for found in caught.value.findings]


@pytest.mark.parametrize("suffix", ["png", "tif", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_are_turned_upright(orientation, suffix):
    upright = Image.fromarray(CORNERS)
    stored = {  # what a camera stores for this orientation: the inverse of the turn in the EXIF standard
        1: CORNERS,
        2: CORNERS[:, ::-1],
        3: CORNERS[::-1, ::-1],
        4: CORNERS[::-1],
        5: CORNERS.T,
        6: np.rot90(CORNERS),
        7: CORNERS[::-1, ::-1].T,
        8: np.rot90(CORNERS, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if suffix == "webp" else {}
    save(Image.fromarray(np.ascontiguousarray(stored)), f"1.{suffix}", exif=exif, **options)
    assert np.array_equal(load(channels=1).x[0, ..., 0], CORNERS)
    scaled = np.asarray(upright.resize((3, 2), Image.Resampling.BILINEAR))
    assert np.abs(load(channels=1, size=[2, 3]).x[0, ..., 0].astype(int) - scaled).max() <= 1


def test_turned_16_bit_image():
    exif = Image.Exif()
    exif[0x0112] = 6
    save(Image.fromarray(np.rot90(CORNERS).astype(np.uint16) * 257), exif=exif)
    assert np.array_equal(load().x[0, ..., 0], CORNERS * 257.0)


def test_large_jpeg_is_decoded_at_a_reduced_size():
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 255, (12, 16, 3), dtype=np.uint8))
    photo = coarse.resize((640, 480), Image.Resampling.BICUBIC)
    exif = Image.Exif()
    exif[0x0112] = 8
    path = save(photo, "1.jpg", quality=95)
    save(photo.transpose(Image.Transpose.ROTATE_270), "2.jpg", quality=95, exif=exif)
    full = np.asarray(Image.open(path).resize((80, 60), Image.Resampling.BILINEAR)).astype(int)
    first, turned = load(size=[60, 80]).x.astype(int)
    assert np.abs(first - full).mean() < 1
    assert np.abs(turned - full).mean() < 1
    larger = np.asarray(Image.open(path).resize((321, 241), Image.Resampling.BILINEAR))
    assert np.array_equal(load(size=[241, 321]).x[0], larger)  # half of the size would be smaller


needs_pillow_13 = pytest.mark.skipif(PIL.__version__ < "13", reason="cannot read a TIFF file that it wrote")


@pytest.mark.parametrize(
    "mode", ["CMYK", pytest.param("YCbCr", marks=needs_pillow_13), "P", "1", "LA", "RGBA", "L"]
)
def test_modes_become_colors(mode):
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 255, (9, 8, 3), dtype=np.uint8))
    stored = photo.convert(mode)
    suffix = {"CMYK": "tif", "YCbCr": "tif"}.get(mode, "png")
    save(stored, f"1.{suffix}")
    found = load(channels=3).x[0]
    assert (found.dtype, found.shape) == (np.uint8, (9, 8, 3))
    assert np.array_equal(found, np.asarray(stored.convert("RGB")))


def test_palette_with_transparent_colors():
    stored = Image.fromarray(CORNERS % 3).convert("P")
    stored.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    save(stored, transparency=bytes([0, 128, 255]))
    assert load(channels=3).x[0, 0, :3].tolist() == [[255, 0, 0], [0, 255, 0], [0, 0, 255]]
    assert load(channels=4).x[0, 0, :3, 3].tolist() == [0, 128, 255]
    assert load(channels=1).x.shape == (1, 4, 6, 1)


@pytest.mark.parametrize(("suffix", "lossless"), [("gif", {}), ("webp", {"lossless": True}), ("tif", {})])
def test_first_frame_of_several(suffix, lossless):
    frames = [Image.new("RGB", (5, 4), (shade,) * 3) for shade in (40, 200)]
    save(frames[0], f"1.{suffix}", save_all=True, append_images=frames[1:], **lossless)
    assert set(load(channels=3).x.ravel().tolist()) == {40}


def test_only_listed_formats_are_opened():
    path = save(Image.new("RGB", (4, 4)), "1.ppm")
    path.rename("i/a/1.png")
    assert errors() == [
        "Cannot read the image i/a/1.png: its content is not PNG, JPEG, BMP, GIF, WEBP or TIFF."
    ]


def test_a_wrong_suffix_does_not_matter():
    path = save(Image.new("L", (4, 3), 9), "1.webp", lossless=True)
    path.rename("i/a/1.jpg")
    assert set(load(channels=1).x.ravel().tolist()) == {9}


def test_files_that_are_not_images_are_named_together(place):
    image(place / "i" / "a" / "ok.png")
    contents = {
        "1.png": b"\n <!DOCTYPE html><html><body>Not found</body></html>",
        "2.png": b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n",
        "3.jpg": b"",
        "4.gif": (place / "i" / "a" / "ok.png").read_bytes()[:-40],
        "5.bmp": b"%PDF-1.7",
        "6.png": b"<svg xmlns='http://www.w3.org/2000/svg'></svg>",
        "7.jpg": b"\0\0\0\x18ftypheic\0\0\0\0",
    }
    for name, content in contents.items():
        (place / "i" / "a" / name).write_bytes(content)
    found = errors()
    assert [message.removeprefix("Cannot read the image i/a/") for message in found[:3]] == [
        "1.png: it is an HTML page, not an image.",
        "2.png: it is a pointer of Git LFS, not the image; run `git lfs pull`.",
        "3.jpg: it is empty.",
    ]
    assert "i/a/4.gif" in found[3]
    assert found[4] == "Cannot read the image i/a/5.bmp: it is a PDF document."
    assert [message.partition(": ")[2] for message in found[5:]] == [
        "it is an SVG drawing; save it as PNG.",
        "it is HEIC or AVIF, or a video; save it as JPEG or PNG.",
    ]
