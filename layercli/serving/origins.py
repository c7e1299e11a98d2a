"""Requests that a browser sends for a web page of someone else."""

from __future__ import annotations

from collections.abc import Collection
from http import HTTPStatus
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request

from layercli.serving.request_errors import make_request_error
from layercli.source.nodes import sanitize_text

_LOCAL_NAME: Final = "localhost"


def require_known_origin(request: Request, hosts: Collection[str]) -> None:
    """Check the names in the headers of a request: those of a local network, in ``hosts``, or an address as ``Host``.

    A web page can let its own name lead to this server, and then send requests and read the answers; or send them from
    another address. Names without a dot are those of a local network; an address cannot lead to another one. An ``Origin``
    can also be the page of this server.

    Raises:
        RequestError: A name is another one.
    """
    host_names = {_find_name(value) for value in request.headers.getlist("Host")}
    for header in ("Host", "Origin"):
        for value in request.headers.getlist(header):
            name = _find_name(value)
            is_same = name in host_names if header == "Origin" else _is_address(name)
            if not (is_same or _is_local(name) or name in hosts):
                raise make_request_error(
                    HTTPStatus.FORBIDDEN,
                    "unknown-origin",
                    f"The header `{header}` must name this server, got {sanitize_text(value, limit=80)}.",
                    f"If it is the name of this server, or of your proxy or page, start the server with `--allow-host "
                    f"{sanitize_text(name, limit=80) or 'NAME'}`.",
                )


def _find_name(value: str) -> str:
    """Return the name in a header, without its port; empty if it has none, as the origin ``null`` of a page in a frame."""
    try:
        return (urlsplit(value if "://" in value or value == "null" else f"//{value}").hostname or "").rstrip(
            "."
        )
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _is_local(name: str) -> bool:
    """Return whether a name cannot be one of the Internet: it has no dot, is below ``localhost``, or is a loopback address."""
    if not _is_address(name):
        return bool(name) and ("." not in name or name.split(".")[-1] == _LOCAL_NAME)
    address = ip_address(name)
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback
