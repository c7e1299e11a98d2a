"""The server process: its socket, its signals and its end."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from typing import Any, Final

import uvicorn

from layercli.errors import LayercliError, Problem
from layercli.processes.stop_signals import StopRequest, handle_stop_signals
from layercli.serving.app import make_app
from layercli.serving.protocol import BoundedProtocol
from layercli.serving.service import Service
from layercli.source.nodes import sanitize_text

_KEEP_ALIVE_SECONDS: Final = 30
_POLL_SECONDS: Final = 0.02
_FREE_FILES: Final = 64
"""Files that the process needs in addition to connections."""


def open_socket(host: str, port: int) -> socket.socket:
    """Return a socket with this address that does not listen yet.

    Raises:
        LayercliError: The address is unknown or in use.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        try:
            if hasattr(socket, "SO_REUSEPORT"):  # not on Windows, where SO_REUSEADDR shares the port
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
        except OSError:
            listener.close()
            raise
    except (OSError, UnicodeError) as error:
        reason = sanitize_text(getattr(error, "strerror", None) or str(error))
        message = f"The server cannot use port {port} of {sanitize_text(host, limit=80)}: {reason}."
        hint = "Choose another one with `--port` or `--host`; `--port 0` takes a free port."
        raise LayercliError(Problem(code="port-unavailable", message=message, hint=hint)) from None
    return listener


def format_address(listener: socket.socket) -> str:
    """Return the URL of a server with this socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def check_host(listener: socket.socket) -> list[Problem]:
    """Return a warning if other machines can reach the server."""
    host = listener.getsockname()[0]
    if ip_address(host.partition("%")[0]).is_loopback:
        return []
    message = f"Other machines can reach the server at {host}, which has no authentication and no encryption."
    hint = "Use `--host 127.0.0.1`, or a proxy or firewall that permits only your clients."
    return [Problem(code="public-address", message=message, hint=hint, severity="warning")]


def run_server(
    service: Service,
    listener: socket.socket,
    *,
    on_start: Callable[[], None],
    on_reload: Callable[[LayercliError | None], None],
) -> int:
    """Serve until a stop signal, and return its number.

    After SIGINT or SIGTERM the server is not ready and takes no new requests, answers those that it has, and ends; a second
    signal ends it at once. SIGHUP loads the run again.
    """
    return asyncio.run(_serve(service, listener, on_start, on_reload))


class BoundedServer(uvicorn.Server):
    """The server of a service; its signals are handled elsewhere."""

    def __init__(self, service: Service, on_start: Callable[[], None]) -> None:
        super().__init__(_make_config(service))
        self._batcher = service.batcher
        self._on_start = on_start

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Do nothing."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and report it."""
        await super().startup(sockets)
        self._on_start()

    async def answer_requests(self, listener: socket.socket) -> None:
        """Serve until ``should_exit`` is set."""
        answering = asyncio.create_task(self._batcher.run())
        try:
            await self.serve(sockets=[listener])
        finally:
            answering.cancel()


async def _serve(
    service: Service,
    listener: socket.socket,
    on_start: Callable[[], None],
    on_reload: Callable[[LayercliError | None], None],
) -> int:
    loop = asyncio.get_running_loop()
    stop_request = StopRequest()
    tasks: set[asyncio.Task[None]] = set()
    server = BoundedServer(service, on_start)

    def start_task(function: Callable[[], Coroutine[Any, Any, None]]) -> None:
        task = asyncio.create_task(function())
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    async def drain() -> None:
        service.is_draining = True
        with suppress(TimeoutError):
            async with asyncio.timeout(service.limits.batches.timeout):
                while not service.is_idle:
                    await asyncio.sleep(_POLL_SECONDS)
        server.should_exit = True

    def stop(number: int) -> None:
        if stop_request.record(number):
            start_task(drain)
        else:
            server.should_exit = server.force_exit = True

    async def reload() -> None:
        on_reload(await service.reload())

    with (
        handle_stop_signals(lambda number: loop.call_soon_threadsafe(stop, number)),
        _handle_hangup(lambda: loop.call_soon_threadsafe(start_task, reload)),
    ):
        await server.answer_requests(listener)
    for task in list(tasks):
        task.cancel()
    return stop_request.signal_number or signal.SIGTERM


@contextmanager
def _handle_hangup(handler: Callable[[], object]) -> Iterator[None]:
    """Call ``handler`` for each SIGHUP, where the system has it."""
    if not hasattr(signal, "SIGHUP"):
        yield
        return
    previous = signal.signal(signal.SIGHUP, lambda *_: handler())
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, previous)


def _make_config(service: Service) -> uvicorn.Config:
    BoundedProtocol.max_connections = min(BoundedProtocol.max_connections, _count_free_files())
    return uvicorn.Config(
        make_app(service),
        http=BoundedProtocol,
        loop="asyncio",
        ws="none",
        lifespan="off",
        interface="asgi3",
        proxy_headers=False,
        server_header=False,
        access_log=False,
        log_config=None,
        log_level="critical",
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=max(1, round(service.limits.batches.timeout)),
    )


def _count_free_files() -> int:
    """Return the number of connections for which the process may open files."""
    try:
        import resource
    except ImportError:  # Windows
        return BoundedProtocol.max_connections
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(1, limit - _FREE_FILES) if limit != resource.RLIM_INFINITY else BoundedProtocol.max_connections
