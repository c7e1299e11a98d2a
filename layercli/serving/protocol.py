"""HTTP/1.1 of uvicorn with limits for slow, silent and too many clients."""

from __future__ import annotations

import asyncio
import json
from http import HTTPStatus
from typing import Any, Final

from uvicorn.protocols.http.h11_impl import H11Protocol

from layercli.errors import Problem
from layercli.serving.request_errors import make_error_document

HEAD_SECONDS: Final = 10.0
"""Seconds in which the head of a request must arrive."""
_STALLED_SECONDS: Final = 10.0
"""Seconds in which a client must read some bytes of its response."""


class BoundedProtocol(H11Protocol):
    """One connection, which is closed if its client does not send or read."""

    max_connections = 1000
    """Connections that may be open at the same time; more of them get an error."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept the connection, or refuse it if there are too many."""
        super().connection_made(transport)
        if len(self.connections) > self.max_connections:
            message = f"The server has {self.max_connections:,} connections already."
            self._refuse_client(
                HTTPStatus.SERVICE_UNAVAILABLE, "server-busy", message, "Connect again later."
            )
        else:
            self._start_head_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_head_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Handle what the client sent; only a complete head of a request stops the timer."""
        if self.transport.is_closing():
            return
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_head_timer()
        elif self.timeout_keep_alive_task is None:
            self._start_head_timer()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP."""
        self._refuse_client(
            HTTPStatus.BAD_REQUEST, "bad-request", msg, "Send HTTP/1.1, with a head of at most 16 KiB."
        )

    def on_response_complete(self) -> None:
        """Wait for the next request, and watch whether the client reads the response."""
        size = self.transport.get_write_buffer_size()
        if size:
            self.loop.call_later(_STALLED_SECONDS, self._abort_if_stalled, size)
        super().on_response_complete()

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection without requests, unless its client still reads the response."""
        if not self.transport.get_write_buffer_size():
            super().timeout_keep_alive_handler()

    def _abort_if_stalled(self, previous_size: int) -> None:
        size = self.transport.get_write_buffer_size()
        if size >= previous_size:
            self.transport.abort()
        elif size:
            self.loop.call_later(_STALLED_SECONDS, self._abort_if_stalled, size)
        elif self.cycle is not None and self.cycle.response_complete:
            self.timeout_keep_alive_handler()

    def _start_head_timer(self) -> None:
        if self._head_timer is None and not self.transport.is_closing():
            self._head_timer = self.loop.call_later(HEAD_SECONDS, self._close_silent)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _close_silent(self) -> None:
        self._head_timer = None
        if self.cycle is None or self.cycle.response_complete:
            self.transport.abort()

    def _refuse_client(self, status: HTTPStatus, code: str, message: str, hint: str) -> None:
        """Write an error, and close the connection."""
        document = make_error_document([Problem(code=code, message=message, hint=hint)])
        content = json.dumps(document).encode()
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(content)}\r\nConnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + content)
        self.transport.close()
