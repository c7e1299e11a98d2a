"""Check a config again each time it, or a file that it extends, changes."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from layercli.check import CheckResult
from layercli.source.load import use_unsaved_texts
from layercli.workflows.config_files import check_file

_INTERVAL: Final = 0.2
"""Seconds between looks at the files. Looking at a few files takes microseconds, works on every disk and needs no package."""


def iterate_checks(
    file: str, overrides: Sequence[str] = (), *, wait: Callable[[float], None] = time.sleep
) -> Iterator[CheckResult]:
    """Yield the result of a check of the file at once and after each change; this never ends."""
    before: object = None
    paths: Iterable[Path] = (Path(file),)
    while True:
        stamps = [_read_stamp(path) for path in paths]
        if stamps != before:
            with use_unsaved_texts({}) as files:
                result = check_file(file, overrides)
            paths = sorted(files.read_paths)
            before = [_read_stamp(path) for path in paths]
            yield result
            gc.collect()
        wait(_INTERVAL)


def _read_stamp(path: Path) -> tuple[int, ...] | None:
    """Return numbers that change with the content of a file; None if it does not exist."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
