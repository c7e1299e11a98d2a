"""Headers of array files that NumPy accepts, but no program writes."""

import io

import numpy as np
import pytest

from layercli.data.named_arrays import read_array_header, to_training_dtype
from layercli.data.types import DataError


@pytest.mark.parametrize("shape", ["(True, 2)", "(-1, 2)"])
def test_shape_must_be_sizes(shape):
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    content = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + bytes(8)
    with pytest.raises(ValueError, match="invalid shape"):
        read_array_header(io.BytesIO(content), len(content), "x", ("data", "path"))


@pytest.mark.parametrize(
    ("array", "text"),
    [
        (np.array([0x110000, 97], "<u4").view("<U1"), "characters that do not exist in Unicode"),
        (np.array([0xD800, 97], "<u4").view("<U1"), "characters that do not exist in Unicode"),
        (np.array([0xD800, 97], ">u4").view(">U1"), "characters that do not exist in Unicode"),
        (np.array([b"a", b"\xe9"]), "bytes that are not ASCII text"),
    ],
)
def test_text_must_have_characters(array, text):
    with pytest.raises(DataError) as caught:
        to_training_dtype(array, "x", ("data", "path"))
    assert text in caught.value.findings[0].message


def test_usual_text_is_text():
    given = np.array(["é", "😀", ""])
    assert list(to_training_dtype(given, "x", ())) == ["é", "😀", ""]
    assert list(to_training_dtype(given.astype(">U1"), "x", ())) == ["é", "😀", ""]
    assert list(to_training_dtype(np.array([b"ab", b""]), "x", ())) == ["ab", ""]


@pytest.mark.parametrize("header", ["{'descr': '<f4'", "[" * 300, "{'shape': \0}", "\xff", '"""'])
def test_header_that_is_not_python_is_refused(header):
    content = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode("latin-1") + bytes(8)
    with pytest.raises(ValueError, match="the array x has an invalid header"):
        read_array_header(io.BytesIO(content), len(content), "x", ("data", "path"))
