"""Files below a folder, at any depth, without hidden ones."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_SYSTEM_NAMES: Final = frozenset({"thumbs.db", "desktop.ini", "__macosx"})
"""Names in lower case that file managers and archives add to folders."""

SETS_BY_FOLDER: Final = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
"""Names in lower case of folders that are sets, not classes -> the set."""


def is_hidden(name: str) -> bool:
    """Return whether a file or folder is hidden, or was added by a file manager: ``.DS_Store``, ``._a.png``, ``Thumbs.db``."""
    return name.startswith(".") or name.lower() in _SYSTEM_NAMES


def walk_files(folder: Path) -> Iterator[Path]:
    """Yield the files in a folder and in all folders below it that are not hidden, in the order of their paths.

    Links to folders are followed only directly in ``folder``, since links can repeat a folder at every level, and only
    if they do not lead to a folder around it, which may be the whole disk.

    Raises:
        OSError: a folder cannot be read.
    """
    pending = _list_entries(folder)
    is_top = {entry.path for entry in pending}
    while pending:
        entry = pending.pop()
        if _is_folder(entry, follow_symlinks=entry.path in is_top):
            pending += _list_entries(Path(entry.path))
        elif Path(entry.path).is_file():  # unlike that of the entry, this is false for links to themselves
            yield Path(entry.path)


def list_folders(folder: Path) -> list[str]:
    """Return the names of the folders directly in a folder that are not hidden, sorted.

    Raises:
        OSError: the folder cannot be read.
    """
    return [
        entry.name for entry in reversed(_list_entries(folder)) if _is_folder(entry, follow_symlinks=True)
    ]


def list_visible_files(folder: Path) -> list[Path]:
    """Return the files directly in a folder that are not hidden, sorted.

    Raises:
        OSError: the folder cannot be read.
    """
    return [path for entry in reversed(_list_entries(folder)) if (path := Path(entry.path)).is_file()]


def _is_folder(entry: os.DirEntry[str], *, follow_symlinks: bool) -> bool:
    try:
        if not entry.is_dir(follow_symlinks=follow_symlinks):
            return False
        return not entry.is_symlink() or not _is_inside(Path(entry.path).resolve(), Path(entry.path).parent)
    except (OSError, RuntimeError):  # a link to itself
        return False


def _is_inside(folder: Path, inner: Path) -> bool:
    return inner.resolve().is_relative_to(folder)


def _list_entries(folder: Path) -> list[os.DirEntry[str]]:
    """Return the entries of a folder that are not hidden, in descending order."""
    with os.scandir(folder) as entries:
        return sorted(
            (entry for entry in entries if not is_hidden(entry.name)),
            key=lambda entry: entry.name,
            reverse=True,
        )
