"""Messages with their headers, and addresses of files."""

import io
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from layercli.language_server import transport
from layercli.language_server.documents import is_remote, path_from_uri, uri_from_path
from layercli.language_server.server import LanguageServer
from layercli.language_server.transport import BrokenStreamError, read_message, write_message


def read(content):
    return read_message(io.BytesIO(content))


def test_message_is_read_after_its_header():
    assert read(b'content-length: 8\r\nX: y\r\n\r\n{"a": 1}rest') == {"a": 1}
    assert read(b"Content-Length: 3\r\n\r\n[1]") is None
    assert read(b"Content-Length: 1\r\n\r\n{") is None


@pytest.mark.parametrize("content", [b"", b"Content-Length: 3\r\n\r\n{}", b"Content-Length: 3\r\n"])
def test_message_that_ends_early_is_the_end(content):
    with pytest.raises(EOFError):
        read(content)


@pytest.mark.parametrize(
    "header", [b"\r\n", b"X: 3\r\n\r\n", b"Content-Length: x\r\n\r\n", b"Content-Length:\r\n\r\n"]
)
def test_header_without_a_length_is_refused(header):
    with pytest.raises(BrokenStreamError):
        read(header + b"{}")


def test_messages_have_a_largest_size(monkeypatch):
    monkeypatch.setattr(transport, "MAX_MESSAGE_BYTES", 2)
    assert read(b"Content-Length: 2\r\n\r\n{}") == {}
    with pytest.raises(BrokenStreamError, match="at most 2 bytes, got 3"):
        read(b"Content-Length: 3\r\n\r\n{ }")


def test_message_is_written_in_ascii():
    stream = io.BytesIO()
    write_message(stream, {"id": 1, "result": "é"})
    body = b'{"jsonrpc":"2.0","id":1,"result":"\\u00e9"}'
    assert stream.getvalue() == b"Content-Length: 42\r\n\r\n" + body
    assert len(body) == 42


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("file:///a/b%20c.yaml", "/a/b c.yaml"),
        ("file://localhost/a", "/a"),
        ("file://other/a", None),
        ("file:////other/a", None),
        ("file:///a%00b", None),
        ("file:", None),
        ("http:///a", None),
        ("file:///\ud800", None),
        ("http://[", None),
    ],
)
def test_path_of_an_address(uri, path):
    assert path_from_uri(uri) == (None if path is None else Path(path))


def test_names_of_texts_without_a_file():
    assert path_from_uri("untitled:Untitled-1").name == "Untitled-1"
    assert path_from_uri("untitled:a/b c").name == "a-b-c"
    assert path_from_uri(f"untitled:{'a' * 101}").name == "a" * 100
    assert path_from_uri("untitled:").name == "text"


def test_address_of_a_path():
    assert uri_from_path("/a/../b c/~d:e.yaml") == "file:///b%20c/~d:e.yaml"
    assert [is_remote(name) for name in ("s3://a", "//a", "\\\\a", "a//b", "/a")] == [
        True,
        True,
        True,
        False,
        False,
    ]


def test_server_asks_whether_its_editor_is_alive(monkeypatch):
    asked = []

    def kill(process, signal):
        asked.append((process, signal))
        if process < 0:
            raise {-1: ProcessLookupError, -2: PermissionError}[process]

    monkeypatch.setattr(os, "kill", kill)
    alive = [
        LanguageServer._is_client_alive(SimpleNamespace(_client_process=process))
        for process in (None, 7, -1, -2)
    ]
    assert alive == [True, True, False, True]
    assert asked == [(7, 0), (-1, 0), (-2, 0)]
