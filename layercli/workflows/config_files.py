"""Find the config files in paths and folders, and check them on several cores."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TypeVar

from layercli.activity import track_items
from layercli.check import CheckResult, check_config, is_sweep, require_valid
from layercli.errors import LayercliError, Problem, make_file_error
from layercli.io.regular import MAX_ENTRIES
from layercli.layers.registry import LAYERS
from layercli.runtime import count_cores
from layercli.source.load import MAX_BYTES, STDIN, use_unsaved_texts
from layercli.source.nodes import sanitize_text
from layercli.workflows.preflight import check_memory

T = TypeVar("T")

_SKIPPED_FOLDERS = ("runs",)
"""Folders that layercli writes."""
_CONFIG_PATTERN = re.compile(
    rb"^(?:\xef\xbb\xbf)?[\"']?(?:model|extends|space)[\"']?[ \t]*:|\A(?:\xef\xbb\xbf)?\s*\{", re.MULTILINE
)
"""Start of a line that only configs and sweep files contain."""
_TYPE_PATTERN = re.compile(r"\btype:[ \t]*[\"']?([A-Za-z][\w-]*)")
_FILES_PER_PROCESS = 12
"""Number of files per process that makes up for its start time."""


def find_configs(names: Iterable[str]) -> tuple[list[str], int, list[Problem]]:
    """Return the files and the configs in folders, the number of skipped YAML files, and a problem for each folder
    without configs.
    """
    unique_files: dict[str, None] = {}
    skipped = 0
    problems = []
    for name in names:
        if name == STDIN or not _is_folder(name):
            unique_files[name] = None
            continue
        inside = list(_find_yaml_files(Path(name)))
        configs = [file for file in inside if _is_config(file)]
        skipped += len(inside) - len(configs)
        unique_files |= {str(file): None for file in configs}
        if not configs:
            message = "The folder contains no config (a .yaml file with the key `model` or `extends`)."
            hint = "Check the path. It is relative to the current directory."
            problems.append(
                Problem(code="unreadable-file", message=message, file=sanitize_text(name), hint=hint)
            )
    return list(unique_files), skipped, problems


def find_problems_in_files(files: Sequence[str], *, overrides: Sequence[str] = ()) -> list[Problem]:
    """Return the problems of all files, in the order of the files."""
    return [problem for found in map_files(find_problems, files, tuple(overrides)) for problem in found]


def find_problems(file: str, overrides: Sequence[str] = ()) -> list[Problem]:
    """Return the problems of one file."""
    return check_file(file, overrides).problems


def check_file(file: str, overrides: Sequence[str] = ()) -> CheckResult:
    """Check a config or a sweep file. A model that exceeds the memory of this machine is only a warning."""
    result = check_config(file, overrides)
    if result.written is not None and is_sweep(result.written) and file != STDIN:
        return CheckResult(result.file, _find_sweep_problems(file, overrides), written=result.written)
    too_large = check_memory(require_valid(result), copies=1, severity="warning") if result.ok else None
    return replace(result, problems=[*result.problems, too_large]) if too_large else result


def check_text(file: str, text: str) -> CheckResult:
    """Check a text in place of the content of a config or a sweep file."""
    with use_unsaved_texts({Path(file).resolve(): text}):
        return check_file(file)


def _find_sweep_problems(file: str, overrides: Sequence[str]) -> list[Problem]:
    from layercli.sweep.plan import read_sweep_plan

    try:
        return read_sweep_plan(file, overrides)[1]
    except LayercliError as error:
        return error.problems


def looks_like_config(text: str) -> bool:
    """Return whether a text has a key, or the type of a layer, that only configs and sweep files have."""
    return _CONFIG_PATTERN.search(text[:MAX_BYTES].encode("utf-8", "replace")) is not None or any(
        LAYERS.find(found[1]) is not None for found in islice(_TYPE_PATTERN.finditer(text[:MAX_BYTES]), 20)
    )


def map_files(function: Callable[..., T], files: Sequence[str], *args: object) -> Iterator[T]:
    """Yield the result of ``function`` for each file, in order. Many files are spread over all cores."""
    workers = min(count_cores(), len(files) // _FILES_PER_PROCESS + 1)
    if workers == 1 or STDIN in files:
        yield from track_items((function(file, *args) for file in files), len(files))
        return
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor
    from functools import partial

    # A forked process has no copy of the thread of the progress line, and prints nothing.
    method = "fork" if "fork" in multiprocessing.get_all_start_methods() else None
    pool = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context(method))
    try:
        chunk_size = max(1, len(files) // (8 * workers))
        results = pool.map(partial(_apply_to_file, function, args), files, chunksize=chunk_size)
        yield from track_items(results, len(files))
    finally:
        pool.shutdown(cancel_futures=True)


def _apply_to_file(function: Callable[..., T], args: tuple[object, ...], file: str) -> T:
    return function(file, *args)


def _find_yaml_files(folder: Path) -> Iterator[Path]:
    """Yield the YAML files below a folder; links that leave it are not followed.

    Raises:
        LayercliError: the folder has too many entries.
    """
    root = folder.resolve()
    pending = [folder]
    entries_left = MAX_ENTRIES
    while pending:  # without recursion: folders can be nested deeper than Python's stack
        directory = pending.pop()
        try:
            with os.scandir(directory) as scanned:
                entries = sorted(islice(scanned, entries_left + 1), key=lambda entry: entry.name)
        except OSError:
            continue
        entries_left -= len(entries)
        if entries_left < 0:
            message = f"The folder contains more than {MAX_ENTRIES:,} files and folders."
            hint = "Name the configs, or smaller folders."
            raise make_file_error(sanitize_text(str(folder)), "unreadable-file", message, hint)
        shown = [entry for entry in entries if not entry.name.startswith(".")]
        for entry in shown:
            path = directory / entry.name
            if entry.name.endswith((".yaml", ".yml")) and (
                not entry.is_symlink() or path.resolve().is_relative_to(root)
            ):
                yield path
        pending += [
            directory / entry.name
            for entry in reversed(shown)
            if entry.is_dir(follow_symlinks=False) and entry.name not in _SKIPPED_FOLDERS
        ]


def _is_folder(name: str) -> bool:
    try:
        return Path(name).is_dir()
    except (OSError, ValueError):  # for example, the name is too long; reading it reports the error
        return False


def _is_config(file: Path) -> bool:
    """Return whether the file may be a config; true if it cannot be read."""
    if not file.is_file():
        return False
    try:
        with file.open("rb") as stream:
            return _CONFIG_PATTERN.search(stream.read(MAX_BYTES)) is not None
    except OSError:
        return True
