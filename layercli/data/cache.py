"""Cache of converted data files under $XDG_CACHE_HOME/layercli, identified by fingerprints.

An entry is complete or absent. It can be deleted at any time; it is written again when needed. The hash of each entry is
in a file next to it: an entry that does not match its hash is written again.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from layercli.data.types import raise_data_error
from layercli.io.atomic import describe_os_error, stage_file, write_bytes
from layercli.io.lock import make_lock
from layercli.io.paths import hash_file, locate_cache
from layercli.io.regular import read_inside
from layercli.source.nodes import sanitize_text

_FORMAT_VERSION = 3
"""Version of the file format; increase it when the written content changes."""
_SAMPLE_BYTES = 1 << 16
_UNUSED_SECONDS = 60 * 24 * 3600
_MAX_REMOVED = 100
_HASH_LENGTH = 64


@dataclass(frozen=True, slots=True)
class Cache:
    """Folder of cache entries."""

    folder: Path

    @classmethod
    def default(cls) -> Self:
        """Return the cache of the current user."""
        return cls(locate_cache() / "tables")

    def get_file(self, source: Path, kind: str, options: Any, make: Callable[[Path], None]) -> Path:
        """Return the Parquet file that ``make`` writes from a source with these options; write it if it does not exist.

        Raises:
            DataError: the file cannot be written.
        """
        return self.get_entry(f"{kind}-{hash_json([fingerprint_file(source), kind, options])}.parquet", make)

    def get_json(self, key: Any, make: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
        """Return the JSON document of a key; compute it with ``make`` if it does not exist."""

        def write(target: Path) -> None:
            target.write_text(json.dumps(make()), encoding="utf-8")

        name = f"facts-{hash_json(key)}.json"
        document = _read_json(self.get_entry(name, write))
        if document is None:  # its hash is right, but this is not what layercli writes
            with suppress(OSError):
                (self.folder / name).unlink()
            document = _read_json(self.get_entry(name, write))
        assert document is not None
        return document

    def get_entry(self, name: str, make: Callable[[Path], None]) -> Path:
        """Return the path of an entry; if it does not exist or is damaged, one process writes it and the others wait."""
        path = self.folder / name
        if _is_intact(path):
            for used in (path, _locate_hash(path)):
                with suppress(OSError):
                    # Update the access time, which marks used entries; keep the modification time.
                    os.utime(used, ns=(time.time_ns(), used.stat().st_mtime_ns))
            return path
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock_file = self.folder / f"{name}.lock"
            with make_lock(lock_file):
                try:
                    if not _is_intact(path):  # another process may have written it
                        _write_entry(path, make)
                finally:
                    with suppress(OSError):  # Windows cannot remove an open file
                        lock_file.unlink()
            _remove_unused(self.folder)
        except OSError as error:
            raise_data_error(
                f"The cache for streamed tables, {sanitize_text(str(self.folder))}, cannot be written: "
                f"{describe_os_error(error)}.",
                ("data",),
                "Free disk space there, or choose a different folder with the environment variable XDG_CACHE_HOME.",
            )
        return path


_verified: set[tuple[str, int, int, int]] = set()
"""Entries that this process has compared with their hashes: path, size, modification time and number of the file."""


def _read_json(path: Path) -> dict[str, Any] | None:
    """Return a JSON document; None if it is not a mapping."""
    try:
        document = json.loads(
            path.read_bytes()
        )  # facts of large tables have more values than `parse_json` accepts
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _locate_hash(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _is_intact(path: Path) -> bool:
    """Return whether an entry exists and matches its hash; each state of a file is read once per process."""
    try:
        status = path.lstat()
        state = (str(path), status.st_size, status.st_mtime_ns, status.st_ino)
        if not stat.S_ISREG(status.st_mode):
            return False
        if state not in _verified:
            expected = read_inside(path.parent, _locate_hash(path).name, _HASH_LENGTH)
            if expected != hash_file(path).encode():
                return False
            _verified.add(state)
    except (OSError, ValueError):
        return False
    return True


def _write_entry(path: Path, make: Callable[[Path], None]) -> None:
    """Write an entry and its hash; a process that is killed in between leaves no entry."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    with stage_file(path) as staging:
        make(staging)
        write_bytes(_locate_hash(path), hash_file(staging).encode())


def _remove_unused(folder: Path) -> None:
    """Remove entries that were not used for a long time and files of killed processes; a limited number per call."""
    oldest = time.time() - _UNUSED_SECONDS
    removed = 0
    for path in folder.iterdir():
        with suppress(OSError):  # a concurrent process may remove it, too
            status = path.stat()
            if max(status.st_atime, status.st_mtime) < oldest and path.is_file():
                path.unlink()
                removed += 1
        if removed >= _MAX_REMOVED:
            return


def fingerprint_file(path: Path) -> list[Any]:
    """Return path, size, modification time and a hash of the first and last bytes of a file."""
    status = path.stat()
    hasher = hashlib.sha256()
    with path.open("rb") as file:
        hasher.update(file.read(_SAMPLE_BYTES))
        file.seek(max(0, status.st_size - _SAMPLE_BYTES))
        hasher.update(file.read(_SAMPLE_BYTES))
    return [str(path.resolve()), status.st_size, status.st_mtime_ns, hasher.hexdigest()]


def hash_json(value: Any) -> str:
    """Return a short hash of a JSON document."""
    return hashlib.sha256(json.dumps([_FORMAT_VERSION, value]).encode()).hexdigest()[:32]
