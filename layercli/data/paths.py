"""Data files: their paths, checks and content hashes."""

from __future__ import annotations

import glob
import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from layercli.data.types import DataError
from layercli.graph.finding import Finding
from layercli.io.paths import describe_missing_file
from layercli.source.nodes import KeyPath, sanitize_text

PATH_HINT = "Check the name; in a config it is relative to the file that contains it."
_MAX_FILES = 100_000


def require_file(name: str, key: KeyPath) -> Path:
    """Return the path of a file without opening it.

    Raises:
        DataError: it does not exist, or it is a folder, a pipe or a device.
    """
    path = Path(name)
    reason = describe_missing_file(path)
    if reason is None:
        return path
    raise DataError(
        Finding(code="unreadable-data", message=f"{sanitize_text(name)} {reason}.", path=key, hint=PATH_HINT)
    )


def expand_paths(names: Sequence[str], key: KeyPath) -> list[Path]:
    """Return the files of names and patterns without duplicates; those of a pattern are sorted.

    Raises:
        DataError: a name is not a file, or a pattern matches none.
    """
    found: dict[Path, None] = {}
    for name in names:
        # A pattern may be absolute, which Path.glob does not take.
        matches = sorted(glob.glob(name))[:_MAX_FILES] if glob.has_magic(name) else [name]  # noqa: PTH207
        if not matches:
            message = f"No file matches {sanitize_text(name)}."
            raise DataError(Finding(code="unreadable-data", message=message, path=key, hint=PATH_HINT))
        found |= {require_file(match, key): None for match in matches}
    return list(found)


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
