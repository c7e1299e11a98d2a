"""images data: formats, 16-bit values, invalid files."""

import struct
import zlib

import numpy as np
import pytest

from layercli.config.data.section import DATA_TYPES
from layercli.data.statistics import compute_statistics
from layercli.data.types import DataError
from layercli.formats.registry import load_dataset
from tests.formats.helpers import image, refusal


def deep_png(path, pixels):
    """Write pixels, uint16 of shape (height, width, channels), as PNG with 16 bits per value."""

    def chunk(kind, content):
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    height, width, channels = pixels.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


DEEP = np.random.default_rng(0).integers(0, 65536, (3, 4, 4)).astype(np.uint16)


def read_first(path):
    """Return the message of a file among the messages of all files."""
    with pytest.raises(DataError) as caught:
        load_dataset(DATA_TYPES.parse({"type": "images", "path": "i"}))
    return next(found.message for found in caught.value.findings if path.name in found.message)


def test_all_formats_are_read_by_class_folder(place):
    for suffix in ("png", "jpg", "bmp", "gif"):
        image(place / "i" / "b" / f"1.{suffix}")
    image(place / "i" / "a" / "1.PNG", value=200)
    (place / "i" / "a" / "notes.txt").write_text("no image")
    (place / "i" / ".cache").mkdir()
    examples = load_dataset(DATA_TYPES.parse({"type": "images", "path": "i", "channels": 1}))
    assert (examples.x.shape, examples.x.dtype) == ((5, 4, 6, 1), np.uint8)
    assert (examples.y.tolist(), examples.class_names) == ([0, 1, 1, 1, 1], ("a", "b"))
    assert examples.x[0, 0, 0, 0] == 200
    scaled = load_dataset(DATA_TYPES.parse({"type": "images", "path": "i", "channels": 3, "size": [2, 3]}))
    assert scaled.x.shape == (5, 2, 3, 3)


def test_16_bit_gray_is_kept(place):
    image(place / "i" / "a" / "1.png", mode="I;16", value=40_001)
    examples = load_dataset(DATA_TYPES.parse({"type": "images", "path": "i"}))
    assert examples.x.dtype == np.float32
    assert set(examples.x.ravel().tolist()) == {40_001.0}


def test_16_bit_gray_as_color_and_mixed_with_8_bit(place):
    image(place / "i" / "a" / "1.png", mode="I;16", value=40_001)
    examples = load_dataset(DATA_TYPES.parse({"type": "images", "path": "i", "channels": 3, "size": [2, 2]}))
    assert set(examples.x.ravel().tolist()) == {40_001.0}
    image(place / "i" / "a" / "2.png")
    assert refusal(type="images", path="i")[1].endswith("2.png has 8 bits per value, but the others have 16.")


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("stored", "channels", "expected"),
    [
        (DEEP[..., :3], None, DEEP[..., :3]),
        (DEEP, None, DEEP[..., :3]),
        (DEEP, 4, DEEP),
        (DEEP[..., :3], 4, np.concatenate([DEEP[..., :3], np.full((3, 4, 1), 65535)], axis=2)),
        (DEEP[..., [0, 3]], None, DEEP[..., :1]),
        (DEEP[..., [0, 3]], 4, DEEP[..., [0, 0, 0, 3]]),
        (DEEP[..., :1], 3, DEEP[..., [0, 0, 0]]),
        (DEEP[..., :3], 1, (DEEP[..., :3] @ np.array([0.299, 0.587, 0.114]))[..., None].astype(np.float32)),
    ],
)
def test_16_bit_colors_are_kept_exactly(place, stored, channels, expected):
    deep_png(place / "i" / "a" / "1.png", stored)
    examples = load_dataset(DATA_TYPES.parse({"type": "images", "path": "i", "channels": channels}))
    assert examples.x.dtype == np.float32
    np.testing.assert_allclose(examples.x, expected[None], rtol=1e-6 if channels == 1 else 0)


@pytest.mark.tensorflow
def test_16_bit_colors_are_scaled_like_8_bit(place):
    from PIL import Image

    eight = np.random.default_rng(1).integers(0, 256, (9, 8, 4)).astype(np.uint8)
    for channels in (3, 4):
        deep_png(place / "d" / "a" / "1.png", eight[..., :channels].astype(np.uint16) * 257)
        (place / "e" / "a").mkdir(parents=True, exist_ok=True)
        Image.fromarray(eight[..., :channels]).save(place / "e" / "a" / "1.png")
        keys = {"type": "images", "size": [4, 5], "channels": channels}
        deep, shallow = (load_dataset(DATA_TYPES.parse(keys | {"path": path})).x for path in ("d", "e"))
        opaque = shallow[..., 3:] > 99 if channels == 4 else True  # below, 8 bits of a color say little
        assert np.abs(np.where(opaque, deep / 257 - shallow, 0)).max() < (1.1 if channels == 3 else 3)


@pytest.mark.tensorflow
def test_damaged_and_mixed_16_bit_images_are_reported(place):
    deep_png(place / "i" / "a" / "1.png", DEEP)
    image(place / "i" / "a" / "2.png", mode="RGB", size=(4, 3))
    deep_png(place / "i" / "a" / "3.png", DEEP[:2])
    (place / "i" / "a" / "4.png").write_bytes((place / "i" / "a" / "1.png").read_bytes()[:70])
    with pytest.raises(DataError) as caught:
        load_dataset(DATA_TYPES.parse({"type": "images", "path": "i"}))
    assert [found.message for found in caught.value.findings] == [
        "i/a/2.png has 8 bits per value, but the others have 16.",
        "i/a/3.png is 2x4, but the others are 3x4.",
        "Cannot read the image i/a/4.png: its content is damaged.",
    ]
    (place / "i" / "a" / "1.png").unlink()
    assert (
        read_first(place / "i" / "a" / "3.png") == "i/a/3.png has 16 bits per value, but the others have 8."
    )


def test_bmp_with_16_byte_rows_is_not_16_bit(place):
    image(place / "i" / "a" / "1.bmp", mode="RGB", size=(5, 5))
    assert load_dataset(DATA_TYPES.parse({"type": "images", "path": "i"})).x.dtype == np.uint8


def test_every_invalid_image_is_reported(place):
    image(place / "i" / "a" / "1.png")
    image(place / "i" / "a" / "2.png", size=(9, 9))
    (place / "i" / "a" / "3.png").write_bytes((place / "i" / "a" / "1.png").read_bytes()[:40])
    (place / "i" / "a" / "4.jpg").write_text("no image")
    with pytest.raises(DataError) as caught:
        load_dataset(DATA_TYPES.parse({"type": "images", "path": "i"}))
    messages = " ".join(found.message for found in caught.value.findings)
    assert [
        text in messages for text in ("/1.png", "2.png is 9x9", "the image i/a/3.png", "the image i/a/4.jpg")
    ] == [False] + [True] * 3
    with pytest.raises(DataError) as streamed:
        compute_statistics(load_dataset(DATA_TYPES.parse({"type": "images", "path": "i"}), memory=10))
    assert streamed.value.findings == caught.value.findings


def test_decompression_bomb_is_refused(place, monkeypatch):
    from PIL import Image

    image(place / "i" / "a" / "1.png", size=(100, 100))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    assert "Cannot read the image" in refusal(type="images", path="i")[1]
