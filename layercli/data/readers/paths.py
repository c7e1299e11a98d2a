"""Files of data: where they are, and that they are files."""

from __future__ import annotations

import glob
import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from layercli.data.types import DataError
from layercli.graph.finding import Finding
from layercli.source.nodes import KeyPath, sanitize_text

_MAX_FILES = 100_000


def require_file(name: str, key: KeyPath) -> Path:
    """The file, if it is one; nothing is opened.

    Raises:
        RefusedDataError: there is no such file, or it is a folder, a pipe or a device.
    """
    path = Path(name)
    try:
        is_regular, exists = path.is_file(), path.exists()
    except (OSError, ValueError):
        is_regular = exists = False
    if is_regular:
        return path
    what = "is no regular file" if exists else "does not exist"
    raise DataError(
        Finding(code="unreadable-data", message=f"{sanitize_text(name)} {what}.", path=key,
                hint="Check the name; in a config it is relative to the file in which it stands.")
    )  # fmt: skip


def expand_paths(names: Sequence[str], key: KeyPath) -> list[Path]:
    """The files that names and patterns stand for, each once, in the order of the names and then of the alphabet.

    Raises:
        RefusedDataError: a name or a pattern stands for none.
    """
    found: dict[Path, None] = {}
    for name in names:
        # A pattern may be absolute, which Path.glob does not take.
        matches = sorted(glob.glob(name))[:_MAX_FILES] if glob.has_magic(name) else [name]  # noqa: PTH207
        if not matches:
            message = f"No file fits {sanitize_text(name)}."
            hint = "Check the name; in a config it is relative to the file in which it stands."
            raise DataError(Finding(code="unreadable-data", message=message, path=key, hint=hint))
        found |= {require_file(match, key): None for match in matches}
    return list(found)


_SAMPLE_COUNT, _SAMPLE_BYTES = 32, 1 << 16


def hash_content_sample(paths: Iterable[Path]) -> str:
    """SHA-256 of the sizes of files and of some of their content, from the first byte to the last."""
    hasher = hashlib.sha256()
    for path in paths:
        size = path.stat().st_size
        hasher.update(f"{size} ".encode())
        with path.open("rb") as file:
            last = max(0, size - _SAMPLE_BYTES)
            for place in sorted({last * number // (_SAMPLE_COUNT - 1) for number in range(_SAMPLE_COUNT)}):
                file.seek(place)
                hasher.update(file.read(_SAMPLE_BYTES))
    return hasher.hexdigest()
