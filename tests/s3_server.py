"""A stand-in for an S3 server on the loopback address: objects in memory, with the faults of a real one."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape


@dataclass
class FakeStorage:
    """The objects by ``bucket/key``, and what goes wrong."""

    objects: dict[str, bytes] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    """Method and path of each request."""
    status: int | None = None
    """The status of every answer, such as 403."""
    lost_reads: int = 0
    """How many of the next reads end in the middle."""
    url: str = ""


@contextmanager
def serve_objects() -> Iterator[FakeStorage]:
    """Serve the objects of a storage until the block ends."""
    storage = FakeStorage()

    class Handler(_Handler):
        pass

    Handler.storage = storage
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    storage.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield storage
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    storage: FakeStorage

    def do_HEAD(self) -> None:
        self._answer(has_body=False)

    def do_GET(self) -> None:
        self._answer(has_body=True)

    def log_message(self, *_: object) -> None:
        """Write nothing."""

    def _answer(self, *, has_body: bool) -> None:
        parts, storage = urlsplit(self.path), self.storage
        name = unquote(parts.path).lstrip("/")
        storage.requests.append(f"{self.command} {name}")
        query = parse_qs(parts.query)
        if storage.status is not None:
            self._send(storage.status, b"", {}, has_body=has_body)
        elif "list-type" in query:
            self._send(200, self._list(name.strip("/"), query.get("prefix", [""])[0]), {}, has_body=True)
        elif name not in storage.objects:
            self._send(404, b"", {}, has_body=has_body)
        else:
            self._send_object(storage.objects[name], has_body=has_body)

    def _send_object(self, content: bytes, *, has_body: bool) -> None:
        headers = {
            "ETag": f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"',
            "Last-Modified": "Wed, 21 Oct 2026 07:28:00 GMT",
        }
        found = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if found is None:
            self._send(200, content, headers, has_body=has_body)
            return
        first, last = int(found[1]), min(int(found[2]), len(content) - 1)
        headers["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
        part = content[first : last + 1]
        if self.storage.lost_reads:
            self.storage.lost_reads -= 1
            self.send_response(206)
            self.send_header("Content-Length", str(len(part)))
            self.end_headers()
            self.wfile.write(part[: len(part) // 2])
            self.close_connection = True
            return
        self._send(206, part, headers, has_body=has_body)

    def _send(self, status: int, body: bytes, headers: dict[str, str], *, has_body: bool) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if has_body:
            self.wfile.write(body)

    def _list(self, bucket: str, prefix: str) -> bytes:
        keys = [name.removeprefix(f"{bucket}/") for name in sorted(self.storage.objects)]
        entries = "".join(
            f"<Contents><Key>{escape(key)}</Key><LastModified>2026-10-21T07:28:00.000Z</LastModified>"
            f"<Size>{len(self.storage.objects[f'{bucket}/{key}'])}</Size></Contents>"
            for key in keys
            if f"{bucket}/{key}" in self.storage.objects
            and key.startswith(prefix)
            and "/" not in key[len(prefix) :]
        )
        text = f"<ListBucketResult><IsTruncated>false</IsTruncated>{entries}</ListBucketResult>"
        return f'<?xml version="1.0"?>{text}'.encode()
