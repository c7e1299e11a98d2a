"""Addresses of remote files, such as s3://bucket/train.csv, next to local paths."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from layercli.io.credentials import hide_credentials
from layercli.schema.strict_model import ArgumentError
from layercli.source.nodes import sanitize_text

_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
"""At least two letters: one is a drive of Windows."""
SCHEMES: Final = ("s3", "gs")
"""The storage that is read."""
_MAX_SHOWN: Final = 200


def is_address(name: str) -> bool:
    """Return whether a name is an address, and not a local path."""
    return _SCHEME.match(name) is not None


def join_directory(directory: Path, name: str) -> str:
    """Return the path of a file that a config in ``directory`` names; an address stays as it is."""
    return name if is_address(name) else str(directory / name)


def show_address(name: str) -> str:
    """Return an address for a message, without credentials."""
    return sanitize_text(hide_credentials(name), limit=_MAX_SHOWN)


def require_local_weights(name: str) -> None:
    """Check that a file with weights is not a remote address.

    Raises:
        ArgumentError: It is one.
    """
    if is_address(name):
        message = f"`weights` must be a local path, got the address {show_address(name)}."
        raise ArgumentError("weights", message, "Download the file, and write its local path.")


def find_address_fault(name: str) -> tuple[str, str] | None:
    """Return why an address cannot be read, and a hint; None if it can be tried. Nothing is opened."""
    found = _SCHEME.match(name)
    if found is None:
        return None
    scheme, shown = found[1].lower(), show_address(name)
    if scheme not in SCHEMES:
        hint = "Download the file, and write its local path."
        if scheme in ("http", "https"):
            hint = "Download it, for example with `curl -LO ADDRESS`, and write its local path."
        return (
            f"Data cannot be read from {scheme}:// addresses, only from s3:// and gs://; got {shown}.",
            hint,
        )
    try:
        parts = urlsplit(name)
    except ValueError:
        return f"{shown} is not a valid address.", "Write for example `s3://bucket/train.csv`."
    if "@" in parts.netloc or parts.query or parts.fragment:
        message = f"An address must not contain credentials or options, got {shown}."
        hint = (
            "Write s3://bucket/key, and set up the credentials of the provider: AWS_PROFILE, `aws configure` or a role; "
            "`gcloud auth application-default login`."
        )
        return message, hint
    if not parts.netloc or not parts.path.strip("/"):
        return f"{shown} names no file in a bucket.", "Write for example `s3://bucket/train.csv`."
    return None
