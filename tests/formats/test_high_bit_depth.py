"""Images with more than 8 bits per value, from bytes in the form that their formats define."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from layercli.formats.images.high_bit_depth import is_high_bit_depth


def save_image(array, file_format):
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, file_format)
    return Image.open(buffer)


@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.zeros((2, 2), np.uint8), False),
        (np.zeros((2, 2, 3), np.uint8), False),
        (np.zeros((2, 2), np.uint16), True),
    ],
)
def test_gray_of_16_bits(file_format, array, expected):
    assert is_high_bit_depth(save_image(array, file_format)) is expected


def test_bitmap_of_16_bits_for_all_colors():
    # red and blue, with 5, 6 and 5 bits for red, green and blue
    pixels = struct.pack("<HH", 0xF800, 0x001F)
    header = struct.pack("<IiiHHIIiiII", 40, 2, 1, 1, 16, 3, len(pixels), 0, 0, 0, 0)
    masks = struct.pack("<III", 0xF800, 0x07E0, 0x001F)
    start = struct.pack("<2sIHHI", b"BM", 66 + len(pixels), 0, 0, 66)
    image = Image.open(io.BytesIO(start + header + masks + pixels))
    assert is_high_bit_depth(image) is False
    assert np.asarray(image.convert("RGB")).tolist() == [[[255, 0, 0], [0, 0, 255]]]
