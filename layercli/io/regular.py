"""Files of untrusted directories: regular files only, without following links and without waiting for pipes."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import IO, Any, Final

MAX_ENTRIES: Final = 100_000
"""Most files and folders of a directory that is scanned."""
_COPY_IN_MEMORY: Final = 64 << 20
"""Bytes of a verified copy that are held in memory; larger copies are on disk."""
_CHUNK_BYTES: Final = 1 << 20
_MAX_JSON_VALUES: Final = 1_000_000
"""Most values of a JSON text: each takes up to 250 bytes of memory."""
_MAX_INT_LENGTH: Final = 300
"""Characters of an integer in JSON; all shorter ones are finite as floats."""
_OPEN_FLAGS: Final = (
    os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
)
_KINDS: Final = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a directory",
    stat.S_IFREG: "a file",
}


class IrregularFileError(OSError):
    """A link, a pipe or another special file, where a regular file or a folder is required."""

    def __init__(self, path: Path, mode: int) -> None:
        kind = _KINDS.get(stat.S_IFMT(mode), "a special file")
        super().__init__(errno.EINVAL, f"{path.name} is {kind}", str(path))


def open_inside(root: Path, name: str) -> BufferedReader:
    """Open the regular file ``name`` below a directory for reading; no component below ``root`` may be a link.

    Raises:
        OSError: the file cannot be opened, or a component is a link or a special file.
    """
    path = root
    parts = Path(name).parts
    if ".." in parts or Path(name).is_absolute():
        raise OSError(errno.EINVAL, "it is outside the directory", str(root / name))
    for part in parts[:-1]:
        path = path / part
        mode = path.lstat().st_mode
        if not stat.S_ISDIR(mode):
            raise IrregularFileError(path, mode)
    path = root / name
    mode = path.lstat().st_mode
    if not stat.S_ISREG(mode):  # before it is opened: opening a device may have effects
        raise IrregularFileError(path, mode)
    return _open_checked(path, _OPEN_FLAGS)


def open_regular(path: Path) -> BufferedReader:
    """Open a regular file that a user named for reading; links are followed, and the call does not wait for a pipe.

    Raises:
        OSError: the file cannot be opened, or is not regular.
    """
    return _open_checked(path, _OPEN_FLAGS & ~getattr(os, "O_NOFOLLOW", 0))


def _open_checked(path: Path, flags: int) -> BufferedReader:
    """Open a file for reading, and check that it is still a regular file."""
    return os.fdopen(_open_regular_handle(path, flags), "rb")


def _open_regular_handle(path: Path, flags: int) -> int:
    """Return the open handle of a regular file.

    Raises:
        OSError: it cannot be opened, or is not regular.
    """
    handle = os.open(path, flags, 0o666)  # the permissions of a file that is created
    try:
        mode = os.fstat(handle).st_mode
        if not stat.S_ISREG(mode):
            raise IrregularFileError(path, mode)
    except BaseException:
        os.close(handle)
        raise
    return handle


def read_inside(root: Path, name: str, max_bytes: int) -> bytes:
    """Return the content of the regular file ``name`` below a directory.

    Raises:
        OSError: as for ``open_inside``.
        ValueError: the file is larger than ``max_bytes``.
    """
    with open_inside(root, name) as file:
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise ValueError("it is too large")
    return content


def is_file_inside(root: Path, name: str) -> bool:
    """Return whether ``name`` is a regular file below a directory, reached without a link."""
    path = root
    parts = Path(name).parts
    if ".." in parts or Path(name).is_absolute():
        return False
    try:
        for part in parts[:-1]:
            path = path / part
            if not stat.S_ISDIR(path.lstat().st_mode):
                return False
        return bool(parts) and stat.S_ISREG((path / parts[-1]).lstat().st_mode)
    except (OSError, ValueError):  # missing, too long, or with a null character
        return False


def is_folder(path: Path) -> bool:
    """Return whether a path is a folder and not a link to one."""
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except (OSError, ValueError):
        return False


def create_folder_inside(root: Path, name: Path) -> None:
    """Create the folder ``name`` below a directory, and its parents; no component below ``root`` may be a link.

    Raises:
        OSError: it cannot be created, or a component is a link or not a folder.
    """
    if ".." in name.parts or name.is_absolute():
        raise OSError(errno.EINVAL, "it is outside the directory", str(root / name))
    root.mkdir(parents=True, exist_ok=True)
    path = root
    for part in name.parts:
        path = path / part
        with suppress(FileExistsError):
            path.mkdir()
        mode = path.lstat().st_mode
        if not stat.S_ISDIR(mode):
            raise IrregularFileError(path, mode)


def scan_entries(root: Path) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Yield each entry below a directory with its relative path; links are yielded and not followed.

    Raises:
        OSError: a folder cannot be read, or there are too many entries.
    """
    pending = [""]
    count = 0
    while pending:
        prefix = pending.pop()
        try:
            entries = os.scandir(root / prefix)
        except FileNotFoundError:
            if not prefix:
                raise
            continue  # another process has removed it
        with entries:
            for entry in entries:
                count += 1
                if count > MAX_ENTRIES:
                    raise OSError(errno.E2BIG, f"it has more than {MAX_ENTRIES:,} files", str(root))
                name = f"{prefix}{entry.name}"
                yield name, entry
                if entry.is_dir(follow_symlinks=False):
                    pending.append(f"{name}/")


def find_irregular_files(folder: Path) -> list[str]:
    """Return the links and special files directly in a folder, each with what it is.

    Raises:
        OSError: the folder cannot be read.
    """
    with os.scandir(folder) as entries:
        described = [_describe_irregular_entry(entry.name, entry) for entry in entries]
    return sorted(each for each in described if each is not None)


def _describe_irregular_entry(name: str, entry: os.DirEntry[str]) -> str | None:
    """Return what a link or special file is; None for a regular file, a folder, or one that another process has removed."""
    try:
        mode = entry.stat(follow_symlinks=False).st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        return None
    return f"{name} is {_KINDS.get(stat.S_IFMT(mode), 'a special file')}"


def open_log(path: Path) -> IO[bytes]:
    """Open a file for appending, and create it if it does not exist; it must not be a link or a special file.

    Raises:
        OSError: it cannot be opened, or is not regular.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | (_OPEN_FLAGS & ~os.O_RDONLY)
    return os.fdopen(_open_regular_handle(path, flags), "ab")


def has_valid_characters(name: str) -> bool:
    """Return whether a name is Unicode text: Python makes half characters of the other bytes in a file name."""
    return name == name.encode("utf-8", "replace").decode("utf-8")


def find_irregular_entries(root: Path) -> list[str]:
    """Return a description of each entry below a directory that is not a regular file or a folder.

    Raises:
        OSError: as for ``scan_entries``.
    """
    described = (_describe_irregular_entry(name, entry) for name, entry in scan_entries(root))
    return sorted(each for each in described if each is not None)


def copy_with_hash(file: IO[bytes], max_bytes: int | None = None) -> tuple[IO[bytes], str]:
    """Return a private copy of a file's content, at its start, and the SHA-256 of these bytes.

    Raises:
        OSError: the file is larger than ``max_bytes``, or the copy cannot be written.
    """
    size = os.fstat(file.fileno()).st_size
    if max_bytes is not None and size > max_bytes:
        raise OSError(errno.EFBIG, f"it has {size:,} bytes; the maximum is {max_bytes:,}")
    copy: IO[bytes] = BytesIO()
    digest = hashlib.sha256()
    while chunk := file.read(_CHUNK_BYTES):
        digest.update(chunk)
        if isinstance(copy, BytesIO) and copy.tell() + len(chunk) > _COPY_IN_MEMORY:
            content = copy.getvalue()
            copy = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
            copy.write(content)
        copy.write(chunk)
    copy.seek(0)
    return copy, digest.hexdigest()


def require_few_values(content: bytes) -> None:
    """Check how many values a JSON text can have, before they are in memory.

    Raises:
        ValueError: it may have too many.
    """
    if content.count(b",") + content.count(b"[") + content.count(b"{") > _MAX_JSON_VALUES:
        raise ValueError("it has too many values")


def _parse_int(text: str) -> int:
    if len(text) > _MAX_INT_LENGTH:
        raise ValueError(f"it has a number of {len(text):,} digits")
    return int(text)


def parse_json(content: bytes) -> Any:
    """Parse JSON of a bounded number of values.

    Raises:
        ValueError: the content is not JSON in UTF-8, is nested too deeply, or has too many values or too long a number.
    """
    require_few_values(content)
    try:
        return json.loads(content.decode("utf-8"), parse_int=_parse_int)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
