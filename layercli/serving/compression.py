"""Decompress the bodies of requests up to a limit."""

from __future__ import annotations

import zlib
from typing import Final

from layercli.serving.request_errors import make_bad_request

ENCODINGS: Final = ("gzip", "deflate")
"""The encodings of bodies that are read."""
_ANY_HEADER: Final = zlib.MAX_WBITS | 32
"""Reads gzip and zlib."""


def decompress_body(content: bytes, limit: int) -> bytes | None:
    """Return the content of a compressed body; None if it is larger than ``limit`` bytes.

    Raises:
        RequestError: It is damaged or incomplete.
    """
    decompressor = zlib.decompressobj(_ANY_HEADER)
    try:
        result = decompressor.decompress(content, limit + 1)
    except zlib.error:
        result = b""
    if len(result) > limit:
        return None
    if not decompressor.eof or decompressor.unused_data:
        raise make_bad_request(
            "The body is not compressed as its header `Content-Encoding` says, or is incomplete."
        )
    return result
