"""Which files a command that takes many of them works on, and how it spreads over the machine's cores."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from layercli.errors import Problem
from layercli.source.load import MAX_BYTES, STDIN
from layercli.source.nodes import sanitize_text

T = TypeVar("T")

_SKIPPED_FOLDERS = ("runs",)
"""Folders that hold what layercli has written."""
_CONFIG_PATTERN = re.compile(
    rb"^(?:\xef\xbb\xbf)?[\"']?(?:model|extends)[\"']?[ \t]*:|\A(?:\xef\xbb\xbf)?\s*\{", re.MULTILINE
)
"""How a line of a config begins that a file of another kind does not have."""
_FILES_PER_PROCESS = 12
"""Files from which on a second process pays for its start."""


def find_configs(names: Iterable[str]) -> tuple[list[str], int, list[Problem]]:
    """The files themselves and the configs in folders; how many other YAML files were left out; folders without any."""
    found: dict[str, None] = {}
    skipped = 0
    problems = []
    for name in names:
        if name == STDIN or not _is_folder(name):
            found[name] = None
            continue
        inside = list(_find_yaml_files(Path(name)))
        configs = [file for file in inside if _is_config(file)]
        skipped += len(inside) - len(configs)
        found |= {str(file): None for file in configs}
        if not configs:
            message = "There is no config in this folder: no .yaml file with `model` or `extends` in it."
            problems.append(Problem(code="unreadable-file", message=message, file=sanitize_text(name),
                                    hint="Check the path; it is relative to this directory."))  # fmt: skip
    return list(found), skipped, problems


def map_files(function: Callable[..., T], files: Sequence[str], *args: object) -> Iterator[T]:
    """What ``work`` makes of each file, in their order; of many files on all cores."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    workers = min(cores, len(files) // _FILES_PER_PROCESS + 1)
    if workers == 1 or STDIN in files:
        yield from (function(file, *args) for file in files)
        return
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor
    from functools import partial

    method = "fork" if "fork" in multiprocessing.get_all_start_methods() else None  # nothing here has threads
    pool = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context(method))
    try:
        yield from pool.map(
            partial(_apply_to_file, function, args), files, chunksize=max(1, len(files) // (8 * workers))
        )
    finally:
        pool.shutdown(cancel_futures=True)


def _apply_to_file(function: Callable[..., T], args: tuple[object, ...], file: str) -> T:
    return function(file, *args)


def _find_yaml_files(folder: Path) -> Iterator[Path]:
    for directory, folders, names in os.walk(folder):
        folders[:] = sorted(
            name for name in folders if not name.startswith(".") and name not in _SKIPPED_FOLDERS
        )
        for name in sorted(names):
            if name.endswith((".yaml", ".yml")) and not name.startswith("."):
                yield Path(directory, name)


def _is_folder(name: str) -> bool:
    try:
        return Path(name).is_dir()
    except (OSError, ValueError):  # such as a name that is too long; reading it says so
        return False


def _is_config(file: Path) -> bool:
    """Whether it may be meant as a config; one that cannot be read may."""
    if not file.is_file():
        return False
    try:
        with file.open("rb") as stream:
            return _CONFIG_PATTERN.search(stream.read(MAX_BYTES)) is not None
    except OSError:
        return True
