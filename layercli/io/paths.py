"""Paths of files that may have any name, and their hashes."""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from contextlib import suppress
from pathlib import Path


def compose_name(name: str) -> str:
    """Return a name with composed letters: file systems and archives of macOS write ``ü`` as ``u`` and two dots."""
    return unicodedata.normalize("NFC", name)


def is_file(path: Path) -> bool:
    """Return whether ``path`` is a regular file; False for a name that no file can have."""
    try:
        return path.is_file()
    except (OSError, ValueError):  # too long, or with a null character
        return False


def describe_missing_file(path: Path) -> str | None:
    """Return the end of the sentence why ``path`` is not a regular file; None if it is one."""
    if is_file(path):
        return None
    try:
        exists = path.exists()
    except (OSError, ValueError):
        exists = False
    if exists and path.is_dir():
        return "is a folder, not a file"
    return "is not a regular file" if exists else "does not exist"


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def shorten_paths(text: str) -> str:
    """Return a text whose absolute paths are relative to the current folder if they are below it, else to ``~``."""
    with suppress(OSError, RuntimeError):  # the folder was deleted, or the user has no home
        for folder, short in ((Path.cwd(), ""), (Path.home(), "~/")):
            if folder != Path(folder.anchor):
                text = re.sub(rf"(?<![\w.~/-]){re.escape(folder.as_posix())}/", short, text)
    return text


def locate_cache() -> Path:
    """Return the folder of cached and temporary files of the current user; it may not exist."""
    home = os.environ.get("XDG_CACHE_HOME") or str(Path("~/.cache").expanduser())
    return Path(home, "layercli")
