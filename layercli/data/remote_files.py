"""Remote files: copied to the cache once for each version, by pyarrow's file systems.

Every reader gets the local copy. Credentials come from the chain of the provider: environment, profile, role.
"""

from __future__ import annotations

import errno
import fnmatch
import glob
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final, NoReturn
from urllib.parse import urlsplit

from layercli.data.cache import Cache, hash_json
from layercli.data.types import DataError, raise_data_error
from layercli.io.credentials import hide_credentials
from layercli.io.paths import locate_cache
from layercli.schema.addresses import find_address_fault, show_address
from layercli.source.nodes import KeyPath, sanitize_text

_CHUNK_BYTES: Final = 8 << 20
_ATTEMPTS: Final = 3
_CONNECT_SECONDS: Final = 10
_REQUEST_SECONDS: Final = 60
_PAUSE_SECONDS: Final = 0.5
_MAX_LISTED: Final = 100_000
_ERRORS: Final = (OSError, ValueError, NotImplementedError, ImportError)
"""Errors of pyarrow; an ImportError if it was built without a file system."""
_ENDPOINTS: Final = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
_NAME: Final = re.compile(r"[^\w.-]+", re.ASCII)
_REASONS: Final = (
    (
        re.compile(r"ACCESS_DENIED|HTTP status 403|PERMISSION_DENIED|UNAUTHENTICATED|OAuth2|Forbidden"),
        "cannot be read: no permission, or it does not exist",
        "Check the credentials of this machine (`aws sts get-caller-identity`, `gcloud auth list`) and the permissions of "
        "the bucket. AWS_NO_SIGN_REQUEST=YES reads a public bucket without credentials.",
    ),
    (
        re.compile(r"HTTP status 30[17]|PermanentRedirect|AuthorizationHeaderMalformed"),
        "cannot be read: the bucket is in a different region",
        "Set AWS_REGION to the region of the bucket.",
    ),
    (
        re.compile(
            r"curlCode|CURL error|UNAVAILABLE|NETWORK_CONNECTION|timed? ?out|lost the connection|SLOW_DOWN|HTTP status 50\d",
            re.IGNORECASE,
        ),
        "cannot be read: the connection failed, even when it was tried again",
        "Check the network and, if it is set, AWS_ENDPOINT_URL; then run the command again.",
    ),
)


def fetch_file(address: str, key_path: KeyPath) -> Path:
    """Return the local copy of a remote file; it is copied if the cache does not have this version.

    Within a process, a file is looked up once, so that all parts of a command read the same version.

    Raises:
        DataError: it cannot be read, is changed while it is read, or the cache cannot be written.
    """
    fault = find_address_fault(address)
    if fault is not None:
        raise_data_error(fault[0], key_path, fault[1])
    try:
        return _fetch(address)
    except _ERRORS as error:
        _raise_unreadable(address, error, key_path)


def expand_address(pattern: str, key_path: KeyPath) -> list[str]:
    """Return the addresses of the files that match a pattern in its last part, sorted.

    Raises:
        DataError: the pattern has wildcards elsewhere, or the folder cannot be listed.
    """
    import pyarrow.fs

    parent, _, last = pattern.rpartition("/")
    if glob.has_magic(parent):
        message = f"The pattern {show_address(pattern)} has wildcards before its last part."
        raise_data_error(message, key_path, "Name each folder with an address.")
    fault = find_address_fault(pattern)
    if fault is not None:
        raise_data_error(fault[0], key_path, fault[1])
    try:
        filesystem, path = _open_filesystem(f"{parent}/")
        infos = filesystem.get_file_info(pyarrow.fs.FileSelector(path.rstrip("/")))
    except _ERRORS as error:
        _raise_unreadable(pattern, error, key_path)
    if len(infos) > _MAX_LISTED:
        raise_data_error(f"{show_address(parent)} has more than {_MAX_LISTED:,} files.", key_path, None)
    names = (info.base_name for info in infos if info.type == pyarrow.fs.FileType.File)
    return sorted(f"{parent}/{name}" for name in names if fnmatch.fnmatchcase(name, last))


_addresses: dict[Path, str] = {}
"""The address of each file that this process has fetched."""


def find_address(path: Path) -> str | None:
    """Return the address of which a file is the local copy."""
    return _addresses.get(path)


@contextmanager
def show_addresses_in_errors() -> Iterator[None]:
    """Name remote files in errors, instead of their local copies.

    Raises:
        DataError: the block raised it.
    """
    try:
        yield
    except DataError as error:
        if not _addresses:
            raise
        findings = [replace(finding, message=_name_addresses(finding.message)) for finding in error.findings]
        raise DataError(*findings, readable=error.readable) from None


def _name_addresses(text: str) -> str:
    for path, address in _addresses.items():
        text = text.replace(str(path), address)
    return text


@cache
def _fetch(address: str) -> Path:
    import pyarrow.fs

    filesystem, path = _open_filesystem(address)
    info = filesystem.get_file_info(path)
    if info.type != pyarrow.fs.FileType.File:
        raise FileNotFoundError("it is a folder" if info.type == pyarrow.fs.FileType.Directory else "")
    version = _read_version(filesystem, info)

    def write(target: Path) -> None:
        if shutil.disk_usage(target.parent).free < info.size:
            raise OSError(errno.ENOSPC, "No space left on device", str(target))
        try:
            _copy(filesystem, path, info.size, target)
            if _read_version(filesystem, filesystem.get_file_info(path)) != version:
                raise ValueError("it was changed while it was read")
        except OSError as error:  # not one of the cache
            raise ValueError(str(error)) from error

    key = hash_json([address, [os.environ.get(name) for name in _ENDPOINTS], version])
    name = _NAME.sub("-", address.rsplit("/", 1)[1])[-100:]
    folder = locate_cache() / "remote"
    with suppress(OSError):  # the cache reports it
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # the files can be private
    local = Cache(folder).get_entry(f"{key}-{name}", write)
    _addresses[local] = address
    return local


def _open_filesystem(address: str) -> tuple[Any, str]:
    """Return pyarrow's file system for an address, and the path in it."""
    import pyarrow.fs

    parts = urlsplit(address)
    path = f"{parts.netloc}{parts.path}"
    if parts.scheme.lower() == "gs":
        is_emulated = "STORAGE_EMULATOR_HOST" in os.environ
        return pyarrow.fs.GcsFileSystem(
            anonymous=is_emulated, retry_time_limit=timedelta(seconds=_CONNECT_SECONDS)
        ), path
    endpoint = urlsplit(next(filter(None, map(os.environ.get, _ENDPOINTS)), ""))
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if region is None and not endpoint.netloc:
        with suppress(OSError):  # the next request reports it
            region = pyarrow.fs.resolve_s3_region(parts.netloc)
    options = {"endpoint_override": endpoint.netloc, "scheme": endpoint.scheme} if endpoint.netloc else {}
    return pyarrow.fs.S3FileSystem(
        anonymous=os.environ.get("AWS_NO_SIGN_REQUEST", "").lower() in ("yes", "true", "1"),
        region=region,
        connect_timeout=_CONNECT_SECONDS,
        request_timeout=_REQUEST_SECONDS,
        retry_strategy=pyarrow.fs.AwsStandardS3RetryStrategy(max_attempts=_ATTEMPTS),
        **options,
    ), path


def _read_version(filesystem: Any, info: Any) -> list[Any]:
    """Return what differs between the versions of a file: size, time of change, and hash as the server knows it."""
    with filesystem.open_input_file(info.path) as file:
        metadata = {key.lower(): value.decode("utf-8", "replace") for key, value in file.metadata().items()}
    return [info.size, info.mtime_ns, metadata.get("etag")]


def _copy(filesystem: Any, path: str, size: int, target: Path) -> None:
    """Copy a remote file in chunks, each of which is tried several times.

    Raises:
        OSError: a chunk cannot be read.
    """
    with filesystem.open_input_file(path) as source, target.open("wb") as file:
        while (offset := file.tell()) < size:
            for attempt in range(1, _ATTEMPTS + 1):
                try:
                    chunk = source.read_at(min(_CHUNK_BYTES, size - offset), offset)
                    if not chunk:
                        raise OSError(f"lost the connection after {offset:,} of {size:,} bytes")
                    break
                except OSError:
                    if attempt == _ATTEMPTS:
                        raise
                    time.sleep(_PAUSE_SECONDS * attempt)
            file.write(chunk)


def _raise_unreadable(address: str, error: Exception, key_path: KeyPath) -> NoReturn:
    """Raise the error of a remote file that cannot be read.

    Raises:
        DataError: always.
    """
    shown, text = show_address(address), str(error)
    if isinstance(error, FileNotFoundError):
        reason = "is a folder" if text == "it is a folder" else "does not exist"
        raise_data_error(f"{shown} {reason}.", key_path, "Check the names of the bucket and the file.")
    for pattern, reason, hint in _REASONS:
        if pattern.search(text):
            raise_data_error(f"{shown} {reason}.", key_path, hint)
    reason = sanitize_text(hide_credentials(text), limit=200).rstrip(".")
    raise_data_error(f"{shown} cannot be read: {reason}.", key_path, "Run the command again.")
