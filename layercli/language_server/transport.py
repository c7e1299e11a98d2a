"""Messages of the language server protocol: JSON-RPC with a header that gives the length.

The messages are plain dictionaries. pygls and lsprotocol, which declare a class for each of them, take half a second to import,
more than everything else that the server does before it shows the first problems.
"""

from __future__ import annotations

import json
from typing import Any, BinaryIO, Final, TypeAlias

Json: TypeAlias = dict[str, Any]

MAX_MESSAGE_BYTES: Final = 64 << 20
_MAX_HEADER_BYTES: Final = 4096
_LENGTH_HEADER: Final = b"Content-Length"

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INTERNAL_ERROR: Final = -32603
NOT_INITIALIZED: Final = -32002
REQUEST_CANCELLED: Final = -32800
CONTENT_MODIFIED: Final = -32801
REQUEST_FAILED: Final = -32803


class ResponseError(Exception):
    """The reason why a request gets an error in place of a result."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class BrokenStreamError(Exception):
    """The client does not send messages, or the length of a message is unknown, so that the next one cannot be found."""


def read_message(stream: BinaryIO) -> Json | None:
    """Return the next message, or None for one that is not valid JSON.

    Raises:
        EOFError: the client has closed the stream.
        BrokenStreamError: the header is invalid.
    """
    length = _read_length(stream)
    body = stream.read(length)
    if len(body) < length:
        raise EOFError
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return message if isinstance(message, dict) else None


def _read_length(stream: BinaryIO) -> int:
    """Return the length of the message after the header."""
    length: int | None = None
    while True:
        line = stream.readline(_MAX_HEADER_BYTES)
        if not line:
            raise EOFError
        if not line.strip():
            break
        name, _, value = line.partition(b":")
        if name.strip().title() == _LENGTH_HEADER:
            if not value.strip().isdigit():
                raise BrokenStreamError("The header Content-Length must be a number of bytes.")
            length = int(value)
    if length is None:
        raise BrokenStreamError("A message must start with the header Content-Length.")
    if length > MAX_MESSAGE_BYTES:
        raise BrokenStreamError(f"A message must have at most {MAX_MESSAGE_BYTES:,} bytes, got {length:,}.")
    return length


def write_message(stream: BinaryIO, message: Json) -> None:
    """Write a message."""
    body = json.dumps({"jsonrpc": "2.0", **message}, separators=(",", ":")).encode("ascii")
    stream.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
    stream.flush()
