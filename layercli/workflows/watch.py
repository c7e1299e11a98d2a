"""Check a config again each time it, or a file that it extends, changes."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeAlias

from layercli.check import CheckResult
from layercli.source.load import use_unsaved_texts
from layercli.workflows.config_files import check_file

_INTERVAL: Final = 0.2
"""Seconds between looks at the files. Looking at a few files takes microseconds, works on every disk and needs no package."""

_Stamp: TypeAlias = tuple[int, int, int] | None
"""Numbers that change with the content of a file; None if it does not exist."""


def iterate_checks(
    file: str, overrides: Sequence[str] = (), *, wait: Callable[[float], None] = time.sleep
) -> Iterator[CheckResult]:
    """Yield the result of a check of the file at once and after each change; this never ends."""
    checked_stamps: dict[Path, _Stamp] | None = None
    paths: set[Path] = set()
    with suppress(OSError, ValueError, RuntimeError):  # a name that no file can have, or a loop of links
        paths.add(Path(file).resolve())
    while True:
        stamps = {path: _read_stamp(path) for path in paths}
        if stamps != checked_stamps:
            with use_unsaved_texts({}) as files:
                result = check_file(file, overrides)
            paths = files.read_paths
            # A file may have changed since it was read: its stamp from before the check is older than what was read.
            checked_stamps = {path: stamps[path] if path in stamps else _read_stamp(path) for path in paths}
            yield result
            gc.collect()
        wait(_INTERVAL)


def _read_stamp(path: Path) -> _Stamp:
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
