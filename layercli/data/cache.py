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
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from layercli.data.types import raise_data_error
from layercli.io.atomic import describe_os_error, remove_partial_files, stage_file, write_bytes
from layercli.io.lock import make_lock
from layercli.io.paths import hash_file, locate_cache
from layercli.io.regular import read_inside
from layercli.source.nodes import sanitize_text

_FORMAT_VERSION = 4
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

    def get_file(
        self,
        source: Path,
        kind: str,
        options: Any,
        make: Callable[[Path], None],
        columns: Collection[str] = (),
    ) -> Path:
        """Return the Parquet file that ``make`` writes from a source with these options; write it if it does not exist.

        A file that is not a Parquet file with these columns is written again.

        Raises:
            DataError: the file cannot be written.
        """
        name = f"{kind}-{hash_json([fingerprint_file(source), kind, options])}.parquet"
        return self.get_entry(name, make, lambda path: _has_columns(path, columns))

    def get_texts(
        self, key: Any, make: Callable[[], Mapping[str, str]], names: Collection[str]
    ) -> dict[str, str]:
        """Return the texts with these names that belong to a key; compute them with ``make`` if they do not exist."""

        def write(target: Path) -> None:
            target.write_text(json.dumps(make()), encoding="utf-8")

        def is_valid(path: Path) -> bool:
            return _read_texts(path, names) is not None

        texts = _read_texts(self.get_entry(f"facts-{hash_json(key)}.json", write, is_valid), names)
        assert texts is not None
        return texts

    def get_entry(
        self, name: str, make: Callable[[Path], None], is_valid: Callable[[Path], bool] = lambda _: True
    ) -> Path:
        """Return the path of an entry; if it does not exist or is damaged, one process writes it and the others wait.

        ``is_valid`` returns whether an entry with the right hash contains what ``make`` writes.
        """
        path = self.folder / name
        if _is_intact(path) and is_valid(path):
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
                    if not (_is_intact(path) and is_valid(path)):  # another process may have written it
                        _write_entry(path, make)
                finally:
                    with suppress(OSError):  # Windows cannot remove an open file
                        lock_file.unlink()
            with suppress(OSError):  # what remains is removed with the unused entries
                remove_partial_files(self.folder)
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


def _read_texts(path: Path, names: Collection[str]) -> dict[str, str] | None:
    """Return the texts of a JSON document; None if it does not have exactly these names."""
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    is_valid = isinstance(document, dict) and set(document) == set(names)
    return document if is_valid and all(isinstance(text, str) for text in document.values()) else None


def _has_columns(path: Path, columns: Collection[str]) -> bool:
    """Return whether a file is a Parquet file with these columns."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        names = parquet.read_schema(path).names
    except (OSError, ValueError, pa.ArrowException):
        return False
    return set(columns) <= set(names)


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
