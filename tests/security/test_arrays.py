"""Headers of array files that NumPy accepts, but no program writes."""

import io

import pytest

from layercli.data.named_arrays import read_array_header


@pytest.mark.parametrize("shape", ["(True, 2)", "(-1, 2)"])
def test_shape_must_be_sizes(shape):
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    content = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + bytes(8)
    with pytest.raises(ValueError, match="invalid shape"):
        read_array_header(io.BytesIO(content), len(content), "x", ("data", "path"))
