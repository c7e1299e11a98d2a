"""Cache of converted data files under $XDG_CACHE_HOME/layercli, identified by fingerprints.

An entry is complete or absent. It can be deleted at any time; it is written again when needed.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from layercli.data.types import raise_data_error
from layercli.source.nodes import sanitize_text

_FORMAT_VERSION = 1
"""Version of the file format; increase it when the written content changes."""
_SAMPLE_BYTES = 1 << 16
_UNUSED_SECONDS = 60 * 24 * 3600
_MAX_REMOVED = 100


@dataclass(frozen=True, slots=True)
class Cache:
    """Folder of cache entries."""

    folder: Path

    @classmethod
    def default(cls) -> Self:
        """Return the cache of the current user."""
        home = os.environ.get("XDG_CACHE_HOME") or str(Path("~/.cache").expanduser())
        return cls(Path(home, "layercli", "tables"))

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

        path = self.get_entry(f"facts-{hash_json(key)}.json", write)
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found

    def get_entry(self, name: str, make: Callable[[Path], None]) -> Path:
        """Return the path of an entry; if it does not exist, one process writes it and the others wait."""
        path = self.folder / name
        if path.is_file():
            with suppress(OSError):
                # Update the access time, which marks used entries; keep the modification time.
                os.utime(path, ns=(time.time_ns(), path.stat().st_mtime_ns))
            return path
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with _hold_lock(self.folder / f"{name}.lock"):
                if not path.is_file():
                    _write_entry(path, make)
            _remove_unused(self.folder)
        except OSError as error:
            message = f"{sanitize_text(str(self.folder))}, where tables are kept to be streamed, cannot be written: "
            raise_data_error(f"{message}{error.strerror or error}.", ("data",),
                   "Make room there, or name another folder by the environment variable XDG_CACHE_HOME.")  # fmt: skip
        return path


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


def _write_entry(path: Path, make: Callable[[Path], None]) -> None:
    handle, name = tempfile.mkstemp(prefix=".", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    staging = Path(name)
    try:
        make(staging)
        with staging.open("rb+") as file:
            os.fsync(file.fileno())
        staging.replace(path)
    finally:
        staging.unlink(missing_ok=True)


@contextmanager
def _hold_lock(path: Path) -> Iterator[None]:
    """Hold a lock between processes where the system has such; without one the last to write wins, which is as good."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


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
