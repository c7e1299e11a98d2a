"""Find and read runs on disk, including incomplete and damaged ones; no framework is loaded."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from layercli.activity import track_items
from layercli.config.training.section import TrainSection
from layercli.errors import LayercliError, make_file_error
from layercli.graph.best_epoch import find_best_epoch, monitor_direction
from layercli.io.atomic import describe_os_error
from layercli.io.regular import is_file_inside, parse_json, read_inside, require_few_values
from layercli.runs.directory import (
    CHECKPOINTS,
    CONFIG,
    HISTORY,
    MANIFEST,
    MODEL,
    RUNS_ROOT,
    SUMMARY,
    is_unstarted,
)
from layercli.runs.git_state import parse_git_state
from layercli.runs.lock import is_run_locked
from layercli.runs.manifest import describe_modification, describe_newer_format, find_recorded_hash
from layercli.source.leaves import format_key_path, has_mappings, iterate_leaves
from layercli.source.load import MAX_BYTES, load_yaml
from layercli.source.scalars import is_number

RunState = Literal["finished", "running", "unfinished", "failed", "damaged", "empty", "foreign"]

_MAX_FILE_BYTES = 64 << 20
"""Largest file of a run that is read."""
_MAX_NUMBER = 1e308
_MAX_DEPTH = 16
"""Maximum folder depth to search for runs."""


@dataclass(frozen=True)
class Run:
    """A run directory, with everything that could be read."""

    path: Path
    state: RunState
    note: str | None = None
    """Its problem, if it has one."""
    epochs: int | None = None
    best: Mapping[str, Any] = field(default_factory=dict)
    test: Mapping[str, Any] = field(default_factory=dict)
    seconds: float | None = None
    examples_per_second: float | None = None
    parameters: int | None = None
    started: datetime | None = None
    """When it started; for runs of earlier versions, when its config was written."""
    ended: Mapping[str, str] | None = None
    """Why an unfinished or failed run ended, if layercli recorded it: ``code`` and ``message`` of the problem."""
    needs_trust: bool = False
    """Whether it can be resumed only with ``--trust``."""
    manifest: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """The JSON of its manifest, whose values can have any type; empty if it cannot be read."""

    @property
    def name(self) -> str:
        """The name of the run: that of its folder, or of the parent folder if its own is a number."""
        return self.path.parent.name if self.path.name.isdecimal() else self.path.name

    @cached_property
    def config(self) -> dict[str, Any]:
        """The values of its config by path, layers by name; empty if it cannot be read."""
        try:
            document = _load_config(self.path)
        except LayercliError:
            return {}
        leaves = iterate_leaves(document, has_mappings, use_item_names=True)
        return {format_key_path(path): value for path, value in leaves if value != {}}

    @property
    def planned_epochs(self) -> int | None:
        """The number of epochs in the config."""
        epochs: int | None = _parse_number(self.config.get("train.epochs"), int)
        if epochs is None and (section := _read_train_section(self.path)) is not None:
            return section.epochs  # the sum of its stages
        return epochs

    @cached_property
    def results(self) -> dict[str, Any]:
        """The results, by the keys for filtering and sorting; a damaged run may have very many."""
        best = {f"best_{key}" if key == "epoch" else key: value for key, value in self.best.items()}
        values = {
            "run": self.path.as_posix(),
            "name": self.name,
            "state": self.state,
            "epochs": self.epochs,
            **{key: value for key, value in best.items() if key != "monitor"},
            **{f"test_{name}": value for name, value in self.test.items()},
            "seconds": self.seconds,
            "examples_per_second": self.examples_per_second,
            "parameters": self.parameters,
        }
        return {key: value for key, value in values.items() if value is not None}

    def value(self, key: str) -> Any:
        """Return a result, or a value of the config by its path; None if there is neither."""
        results = self.results
        return results[key] if key in results else self.config.get(key)

    def direction_of(self, key: str) -> str | None:
        """Return "min" or "max", whichever is better for a result; None if the config does not say."""
        section = _read_train_section(self.path)
        return monitor_direction(key.removeprefix("test_"), section) if section is not None else None

    def as_json(self) -> dict[str, Any]:
        """Return the row of ``runs --json``."""
        return {
            "run": self.path.as_posix(),
            "name": self.name,
            "state": self.state,
            "note": self.note,
            "epochs": self.epochs,
            "best": dict(self.best),
            "test": dict(self.test),
            "seconds": self.seconds,
            "examples_per_second": self.examples_per_second,
            "parameters": self.parameters,
            "started": None if self.started is None else self.started.isoformat(timespec="seconds"),
            "ended": None if self.ended is None else dict(self.ended),
            "git": parse_git_state(self.manifest),
        }


def find_runs(root: Path, max_depth: int = _MAX_DEPTH) -> Iterator[Run]:
    """Yield the runs in a directory, ordered by name and number; the directory itself may be a run.

    Folders below ``max_depth`` are not searched.

    Raises:
        OSError: The directory cannot be read.
    """
    if is_run(root):
        yield read_run(root)
    else:
        yield from _find_runs_below(root, max_depth)


def is_run(path: Path) -> bool:
    """Return whether a directory is a run, judged by its files or its location."""
    if path.name.isdecimal() and path.parent.parent.name == RUNS_ROOT.name:
        return True
    return any(is_file_inside(path, name) for name in (MANIFEST, HISTORY, SUMMARY))


def _find_runs_below(folder: Path, max_depth: int) -> Iterator[Run]:
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    for name in track_items(sorted(names, key=_name_sort_key), len(names)):
        path = folder / name
        if name.startswith("."):
            continue
        try:
            if is_run(path):
                yield read_run(path)
            elif max_depth:
                yield from _find_runs_below(path, max_depth - 1)
        except OSError as error:
            yield Run(path, "damaged", f"it cannot be read: {describe_os_error(error)}")


def _name_sort_key(name: str) -> tuple[bool, int, str]:
    """Sort numbers by value, before names."""
    is_number = name.isascii() and name.isdecimal()
    return not is_number, int(name[:300]) if is_number else 0, name


def read_run(path: Path, *, is_locked_by_caller: bool = False) -> Run:
    """Read a run from its directory, which can be incomplete.

    A locked run is running, unless the caller is the training that has just finished it.
    """
    try:
        manifest = _read_json(path, MANIFEST)
    except (OSError, ValueError):
        manifest = {}
    run = _read_results(path, manifest, is_locked_by_caller=is_locked_by_caller)
    newer = describe_newer_format(manifest)
    if newer is not None:
        run = Run(path, "damaged", f"it {newer}")
    ended = _parse_end(manifest.get("ended")) if run.state == "unfinished" else None
    return replace(
        run,
        state=run.state if ended is None or ended["code"] == "interrupted" else "failed",
        started=_read_start(path, manifest),
        ended=ended,
        needs_trust=manifest.get("needs_trust") is True,
        manifest=manifest,
    )


def _parse_end(ended: Any) -> Mapping[str, str] | None:
    """Return code and message of the problem that ended a run; None if it is not what layercli writes."""
    keys = ("code", "message")
    if not isinstance(ended, dict) or not all(isinstance(ended.get(key), str) for key in keys):
        return None
    return {key: ended[key] for key in keys}


def _read_start(path: Path, manifest: Mapping[str, Any]) -> datetime | None:
    """Return when a run started, in local time: from its manifest, or from the time of its config."""
    try:
        return datetime.fromisoformat(manifest["started"]).astimezone()
    except (KeyError, TypeError, ValueError, OverflowError, OSError):
        pass
    try:
        return datetime.fromtimestamp((path / CONFIG).lstat().st_mtime).astimezone()
    except (OSError, OverflowError, ValueError):
        return None


def _read_results(path: Path, manifest: Mapping[str, Any], *, is_locked_by_caller: bool) -> Run:
    names = {entry.name for entry in path.iterdir()}
    if not names:
        return Run(path, "empty", "nothing has been written to it yet")
    if CHECKPOINTS in names and not is_locked_by_caller and is_run_locked(path):
        return _read_unfinished_run(path, names, "running")
    if is_unstarted(path):
        note = "its process ended before the training started; remove it, and train again"
        return Run(path, "empty", note)
    if not names & {CONFIG, MANIFEST, HISTORY, SUMMARY}:
        return Run(path, "foreign", "it contains no files of a run")
    if not manifest and MANIFEST in names:
        return Run(path, "damaged", f"{MANIFEST} cannot be read, so the files of the run cannot be verified")
    files = manifest.get("files")
    if SUMMARY in names and MANIFEST in names and not isinstance(files, dict):
        return Run(path, "damaged", f"{MANIFEST} has no `files`, so the files of the run cannot be verified")
    if SUMMARY not in names or (isinstance(files, dict) and MODEL not in files):
        return _read_unfinished_run(path, names, "unfinished")
    try:
        content = read_inside(path, SUMMARY, _MAX_FILE_BYTES)
        if (modification := _find_modification(path, manifest, content)) is not None:
            return Run(path, "damaged", modification)
        summary = _parse_mapping(content)
    except (OSError, ValueError) as error:
        return Run(path, "damaged", f"{SUMMARY} cannot be read: {_describe_error(error)}")
    missing = [name for name in ("epochs", "best", "test") if name not in summary]
    return Run(
        path,
        "damaged" if missing else "finished",
        f"{SUMMARY} lacks {' and '.join(missing)}" if missing else None,
        epochs=_parse_number(summary.get("epochs"), int),
        best=_filter_metrics(summary.get("best")),
        test=_filter_metrics(summary.get("test")),
        seconds=_parse_number(summary.get("seconds"), float),
        examples_per_second=_parse_number(summary.get("examples_per_second"), float),
        parameters=_parse_number(summary.get("parameters"), int),
    )


def _find_modification(path: Path, manifest: Mapping[str, Any], summary: bytes) -> str | None:
    """Return what says that the summary or the config of a finished run does not have the hash in its manifest, or None."""
    for name, content in ((SUMMARY, summary), (CONFIG, None)):
        expected = find_recorded_hash(manifest, name)
        if expected is None or (content is None and not os.path.lexists(path / name)):
            continue
        if not is_file_inside(path, name):
            return f"{name} is not a regular file"
        content = read_inside(path, name, MAX_BYTES) if content is None else content
        if sha256(content).hexdigest() != expected:
            return describe_modification(name)
    return None


def _read_unfinished_run(path: Path, names: Collection[str], state: RunState) -> Run:
    """Read a run that is not finished; the last line of its history may be incomplete."""
    records: list[dict[str, Any]] = []
    damaged_line = 0
    try:
        if HISTORY in names:
            content = read_inside(path, HISTORY, _MAX_FILE_BYTES)
            require_few_values(content)
            lines = content.splitlines()
            for number, line in enumerate(lines, start=1):
                try:
                    record = parse_json(line)
                except ValueError:
                    record = None
                if isinstance(record, dict):
                    records.append(record)
                elif number < len(lines):
                    damaged_line = damaged_line or number
    except (OSError, ValueError) as error:
        return Run(path, "damaged", f"{HISTORY} cannot be read: {_describe_error(error)}")
    seconds = [_parse_number(record.get("seconds"), float) or 0.0 for record in records]
    return Run(
        path,
        "damaged" if damaged_line else state,
        f"{HISTORY} is damaged at line {damaged_line}" if damaged_line else None,
        epochs=len(records),
        best=_filter_metrics(find_best_epoch(records, _read_train_section(path))),
        seconds=round(sum(seconds), 3) if records else None,
    )


def _read_train_section(path: Path) -> TrainSection | None:
    """Read the `train` section of the run's config; None if it is invalid."""
    try:
        document = _load_config(path)
        return TrainSection.model_validate(document.get("train"))
    except (LayercliError, ValidationError):
        return None


def _load_config(path: Path) -> dict[str, Any]:
    """Read the config of a run without checking it.

    Raises:
        LayercliError: It cannot be read.
    """
    try:
        text = read_inside(path, CONFIG, MAX_BYTES).decode("utf-8-sig")
    except (OSError, ValueError) as error:
        message = f"{CONFIG} cannot be read: {_describe_error(error)}."
        raise make_file_error(path / CONFIG, "run-directory", message) from None
    document: dict[str, Any] = load_yaml(str(path / CONFIG), text).to_plain()
    return document


def _read_json(path: Path, name: str) -> dict[str, Any]:
    return _parse_mapping(read_inside(path, name, _MAX_FILE_BYTES))


def _parse_mapping(content: bytes) -> dict[str, Any]:
    document = parse_json(content)
    if not isinstance(document, dict):
        raise ValueError("it is not a mapping")
    return document


def _describe_error(error: Exception) -> str:
    if isinstance(error, OSError):
        return describe_os_error(error)
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8 text"
    return "it is not JSON" if isinstance(error, (json.JSONDecodeError, RecursionError)) else str(error)


def _parse_number(value: Any, kind: type) -> Any:
    """Return a finite number as ``kind``; None for other values."""
    if not is_number(value):
        return None
    return kind(value) if abs(value) <= _MAX_NUMBER else None  # also false for NaN


def _filter_metrics(value: Any) -> dict[str, Any]:
    """Return the numbers by name and the monitored name, without other values of a damaged file."""
    if not isinstance(value, Mapping):
        return {}
    metrics = {
        key: item
        for key, item in value.items()
        if _parse_number(item, float) is not None
        or (isinstance(item, list) and all(_parse_number(each, float) is not None for each in item))
    }
    monitor = value.get("monitor")
    return ({"monitor": monitor} if isinstance(monitor, str) and monitor in metrics else {}) | metrics
