"""Data files: their paths, checks and content hashes."""

from __future__ import annotations

import fnmatch
import glob
import hashlib
import os
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from layercli.config.data.arrays import ArraysConfig
from layercli.config.data.section import DataConfig
from layercli.data.remote_files import expand_address, fetch_file
from layercli.data.types import DataError
from layercli.graph.finding import Finding
from layercli.io.paths import describe_missing_file
from layercli.schema.addresses import is_address
from layercli.source.nodes import KeyPath, sanitize_text

PATH_HINT = "Check the name; in a config it is relative to the file that contains it."
_MAX_VISITS = 200_000
"""Entries of folders that the search for files of a pattern may look at."""


_MAX_SHOWN_LENGTH = 500
_MAX_SHOWN_PATTERNS = 5


def require_file(name: str, key_path: KeyPath) -> Path:
    """Return the path of a file without opening it.

    Raises:
        DataError: it does not exist, or it is a folder, a pipe or a device.
    """
    if is_address(name):
        return fetch_file(name, key_path)
    path = Path(name)
    reason = describe_missing_file(path)
    if reason is None:
        return path
    raise DataError(
        Finding(
            code="unreadable-data", message=f"{_show_path(name)} {reason}.", path=key_path, hint=PATH_HINT
        )
    )


def _show_path(name: str) -> str:
    return sanitize_text(name, limit=_MAX_SHOWN_LENGTH)


def expand_paths(names: Sequence[str], key_path: KeyPath) -> list[Path]:
    """Return the files of names and patterns without duplicates; those of a pattern are sorted.

    Raises:
        DataError: a name is not a file, or a pattern matches none.
    """
    unique_paths: dict[Path, None] = {}
    for name in names:
        matches = _match_pattern(name, key_path) if glob.has_magic(name) else [name]
        if not matches:
            message = f"No file matches {_show_path(name)}."
            hint = (
                "Write one `*` for each level of folders; `**` matches only one."
                if "**" in name
                else PATH_HINT
            )
            raise DataError(Finding(code="unreadable-data", message=message, path=key_path, hint=hint))
        unique_paths |= {require_file(match, key_path): None for match in matches}
    return list(unique_paths)


def list_held_out_paths(patterns: Sequence[str], key_path: KeyPath, data: DataConfig) -> list[str]:
    """Return the files of a set with separate files; the folders of class folders, if each class is a folder.

    Raises:
        DataError: a path does not exist, or a pattern matches none.
    """
    paths: list[str] = []
    for pattern in patterns:
        if (
            isinstance(data, ArraysConfig)
            or is_address(pattern)
            or not (glob.has_magic(pattern) or Path(pattern).is_dir())
        ):
            paths.append(pattern)
        elif data.example_suffixes is not None:
            paths += _match_pattern(pattern, key_path) if glob.has_magic(pattern) else [pattern]
        else:
            is_folder = Path(pattern).is_dir()
            paths += map(str, expand_paths([f"{glob.escape(pattern)}/*" if is_folder else pattern], key_path))
    if not paths:
        message = f"No folder matches {', '.join(map(_show_path, patterns[:_MAX_SHOWN_PATTERNS]))}."
        raise DataError(Finding(code="unreadable-data", message=message, path=key_path, hint=PATH_HINT))
    return paths


def _match_pattern(pattern: str, key: KeyPath) -> list[str]:
    """Return the paths that match a pattern, sorted.

    Folders that are links are not searched, since links can repeat a folder at every level; ``/proc`` has many such links.

    Raises:
        DataError: the search visits too many entries.
    """
    if is_address(pattern):
        return expand_address(pattern, key)
    root = Path(pattern).anchor
    steps = Path(pattern).parts[1 if root else 0 :]
    places, visited = [root], 0
    for number, step in enumerate(steps):
        is_last = number == len(steps) - 1
        if not glob.has_magic(step):
            places = [path for place in places if os.path.lexists(path := os.path.join(place, step))]  # noqa: PTH118
            continue
        matches = re.compile(fnmatch.translate(step)).match
        found: list[str] = []
        for place in places:
            with suppress(OSError), os.scandir(place or ".") as entries:
                for entry in entries:
                    visited += 1
                    if visited > _MAX_VISITS:
                        message = f"The pattern {sanitize_text(pattern, limit=100)} visits more than {_MAX_VISITS:,} files."
                        hint = "Name the folder that contains the files."
                        raise DataError(Finding(code="unreadable-data", message=message, path=key, hint=hint))
                    is_hidden = entry.name.startswith(".") and not step.startswith(".")
                    if (
                        not is_hidden
                        and matches(entry.name)
                        and (is_last or entry.is_dir(follow_symlinks=False))
                    ):
                        found.append(os.path.join(place, entry.name))  # noqa: PTH118
        places = found
    return sorted(places)


_SAMPLE_COUNT, _SAMPLE_BYTES = 32, 1 << 16


def hash_content_sample(paths: Iterable[Path]) -> str:
    """Return the SHA-256 of the sizes of files and of evenly spaced samples of their content."""
    hasher = hashlib.sha256()
    for path in paths:
        size = path.stat().st_size
        hasher.update(f"{size} ".encode())
        with path.open("rb") as file:
            last = max(0, size - _SAMPLE_BYTES)
            for offset in sorted({last * number // (_SAMPLE_COUNT - 1) for number in range(_SAMPLE_COUNT)}):
                file.seek(offset)
                hasher.update(file.read(_SAMPLE_BYTES))
    return hasher.hexdigest()
