"""Atomic writing: each file is complete or absent, even if the process is killed."""

from __future__ import annotations

import errno
import json
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from layercli.errors import LayercliError, Problem, make_file_error
from layercli.io.lock import lock_open_file, remove_unlocked_file
from layercli.io.regular import is_file_inside

_STAGED_PREFIX = ".partial-"
_STAGED_NAME = re.compile(r"\.partial-[a-z0-9_]{8}(\.\w+)?")
"""Names of files while they are written."""


@contextmanager
def stage_file(path: Path) -> Iterator[Path]:
    """Yield a path to write to, which becomes ``path`` when all is written and on disk, or is removed."""
    with _create_staged_file(path) as staging:
        try:
            yield staging
            with staging.open("rb+") as file:
                os.fsync(file.fileno())
            staging.chmod(0o666 & ~read_umask())
            staging.replace(path)
        finally:
            staging.unlink(missing_ok=True)
    sync_to_disk(path.parent)


@contextmanager
def _create_staged_file(path: Path) -> Iterator[Path]:
    """Yield a new file next to ``path``, which is locked so that no other process removes it."""
    while True:
        handle, name = tempfile.mkstemp(prefix=_STAGED_PREFIX, suffix=path.suffix, dir=path.parent)
        with lock_open_file(handle) as exists:
            if exists:  # no process has removed it before it was locked
                yield Path(name)
                return


def remove_partial_files(folder: Path) -> None:
    """Remove the half-written files of processes that were killed; those that a process still writes are locked."""
    for path in folder.iterdir():
        if _STAGED_NAME.fullmatch(path.name) and is_file_inside(folder, path.name):
            remove_unlocked_file(path)


@contextmanager
def report_write_errors(
    subject: str, file: Path | str, *, code: str = "cannot-write", hint: str | None = None
) -> Iterator[None]:
    """Raise a LayercliError instead of an OSError: "``subject`` cannot be written: No space left on device."."""
    try:
        yield
    except OSError as error:
        raise make_write_error(subject, file, error, code=code, hint=hint) from None


def make_write_error(
    subject: str, file: Path | str, error: OSError, *, code: str = "cannot-write", hint: str | None = None
) -> LayercliError:
    """Return the error for a file or folder that cannot be written."""
    message = f"{subject} cannot be written: {describe_os_error(error)}."
    return make_file_error(file, code, message, hint)


def describe_os_error(error: OSError) -> str:
    """Return the system's reason, such as "Permission denied"."""
    return error.strerror or str(error) or type(error).__name__


def make_system_error(error: OSError) -> LayercliError:
    """Return the error for a call of the operating system that failed, such as a full disk."""
    cannot_write = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
    return LayercliError(
        Problem(
            code="cannot-write" if cannot_write else "unreadable-file",
            message=f"The operating system reports: {describe_os_error(error)}.",
            file=None if error.filename is None else str(error.filename),
        )
    )


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8."""
    with stage_file(path) as staging:
        staging.write_text(text, encoding="utf-8")


def write_bytes(path: Path, content: bytes) -> None:
    """Write a binary file."""
    with stage_file(path) as staging:
        staging.write_bytes(content)


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write a JSON file. Raise ValueError for NaN and infinity."""
    write_text(path, json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_json_lines(path: Path, documents: Iterable[Mapping[str, Any]]) -> None:
    """Write a file with one line of JSON for each document."""
    write_text(path, "".join(map(_format_json_line, documents)))


def append_json_line(path: Path, document: Mapping[str, Any]) -> None:
    """Append one line of JSON to a file. A kill may leave that line incomplete."""
    with path.open("a", encoding="utf-8") as file:
        file.write(_format_json_line(document))


def _format_json_line(document: Mapping[str, Any]) -> str:
    return json.dumps(document, ensure_ascii=False, allow_nan=False) + "\n"


def sync_to_disk(path: Path) -> None:
    """Wait until a file, or the entries of a directory, are on disk."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:  # some systems cannot open directories
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read_umask() -> int:
    """Return the umask: the permissions that new files of this process do not get."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
