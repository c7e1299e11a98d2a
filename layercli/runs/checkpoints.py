"""The checkpoints of a run: each complete or absent, verified by hashes; only the latest are kept."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from layercli.io.archives import read_npz
from layercli.io.atomic import describe_os_error, read_umask, sync_to_disk
from layercli.io.paths import hash_file
from layercli.io.regular import copy_with_hash, is_folder, open_inside, parse_json, read_inside
from layercli.runs.directory import CHECKPOINTS

_ARRAYS_FILE, _STATE_FILE, _HASHES_FILE = "arrays.npz", "state.json", "hashes.json"
_FOLDER_PATTERN = re.compile(r"(\d{6,12})-(\d{9,15})", re.ASCII)
_PARTIAL_PREFIX = ".partial-"
_PARTIAL_NAME = re.compile(r"\.partial-[a-z0-9_]{8}")
"""Names of folders while a checkpoint in them is written or removed."""
_ARRAY_NAME = re.compile(
    r"(model|optimizer|metrics)/\d{1,9}|callbacks/\d{1,4}/\w{1,100}/\d{1,9}|random/(python|numpy)", re.ASCII
)
"""Names of the arrays that a training writes."""
_MAX_STATE_BYTES = 256 << 20
"""Largest JSON of a checkpoint; it holds vocabularies and a record for each epoch."""
_MAX_DAMAGED = 20
"""Most damaged checkpoints that are tried; older ones are ignored."""

StateCheck = Callable[[Mapping[str, Any], int], None]
"""Raises ValueError if a state, after a number of finished epochs, is not what a training writes."""


class DamagedCheckpointError(Exception):
    """A checkpoint was damaged after it was written."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint that was read: its position in the training, and the state there."""

    path: Path
    epoch: int
    """Finished epochs."""
    step: int
    """Finished steps of the next epoch."""
    arrays: Mapping[str, Any]
    state: Mapping[str, Any]


class CheckpointDirectory:
    """The checkpoints of one run."""

    def __init__(self, run_dir: Path, *, keep: int = 1) -> None:
        self._folder = run_dir / CHECKPOINTS
        self._keep = keep

    def save(self, epoch: int, step: int, arrays: Mapping[str, Any], state: Mapping[str, Any]) -> Path:
        """Write a checkpoint atomically, and remove the oldest ones.

        Raises:
            OSError: It cannot be written; earlier checkpoints remain.
        """
        import numpy as np

        self._folder.mkdir(exist_ok=True)
        target = self._folder / f"{epoch:06}-{step:09}"
        staging = Path(tempfile.mkdtemp(prefix=_PARTIAL_PREFIX, dir=self._folder))
        try:
            with (staging / _ARRAYS_FILE).open("wb") as file:
                np.savez(file, **arrays)
            (staging / _STATE_FILE).write_text(json.dumps(state), encoding="utf-8")
            hashes = {name: hash_file(staging / name) for name in (_ARRAYS_FILE, _STATE_FILE)}
            (staging / _HASHES_FILE).write_text(json.dumps(hashes), encoding="utf-8")
            for name in (_ARRAYS_FILE, _STATE_FILE, _HASHES_FILE):
                sync_to_disk(staging / name)
            staging.chmod(0o777 & ~read_umask())
            sync_to_disk(staging)
            self._remove_checkpoint(target)  # a damaged one, or that of an earlier attempt
            staging.rename(target)
            sync_to_disk(self._folder)
        except BaseException:
            shutil.rmtree(staging, ignore_errors=True)
            raise
        for old in self._list_newest_first()[self._keep :]:
            self._remove_checkpoint(old)
        return target

    def read_latest(
        self, max_bytes: int | None = None, check_state: StateCheck | None = None
    ) -> tuple[Checkpoint | None, list[str]]:
        """Return the newest undamaged checkpoint, and a description of each newer, damaged one.

        A checkpoint with more than ``max_bytes`` of arrays, or whose state ``check_state`` refuses, is damaged.
        """
        damaged: list[str] = []
        for path in self._list_newest_first()[:_MAX_DAMAGED]:
            try:
                return _read_checkpoint(path, max_bytes, check_state), damaged
            except DamagedCheckpointError as error:
                damaged.append(f"{path.name} is damaged ({error})")
        return None, damaged

    def remove_partial(self) -> None:
        """Remove the half-written and half-removed checkpoints of a process that was killed."""
        for path in self._list_own_folders(_PARTIAL_NAME):
            shutil.rmtree(path, ignore_errors=True)

    def _list_newest_first(self) -> list[Path]:
        """Return the folders of all checkpoints, newest first."""
        return sorted(
            self._list_own_folders(_FOLDER_PATTERN),
            key=lambda path: [int(part) for part in path.name.split("-")],
            reverse=True,
        )

    def _list_own_folders(self, pattern: re.Pattern[str]) -> list[Path]:
        """Return the folders with such a name; links, and folders behind a link, are not followed."""
        if not is_folder(self._folder):
            return []
        return [path for path in self._folder.iterdir() if pattern.fullmatch(path.name) and is_folder(path)]

    def _remove_checkpoint(self, path: Path) -> None:
        """Remove a checkpoint atomically."""
        if is_folder(path):
            trash = Path(tempfile.mkdtemp(prefix=_PARTIAL_PREFIX, dir=self._folder))
            path.rename(trash / path.name)
            shutil.rmtree(trash, ignore_errors=True)


def _read_checkpoint(path: Path, max_bytes: int | None, check_state: StateCheck | None) -> Checkpoint:
    """Read a checkpoint from the same bytes that have the recorded hashes.

    Raises:
        DamagedCheckpointError: A file is missing or was modified, or does not contain a checkpoint.
    """
    epoch, step = (int(part) for part in path.name.split("-"))
    try:
        hashes = parse_json(read_inside(path.parent, f"{path.name}/{_HASHES_FILE}", _MAX_STATE_BYTES))
        if not isinstance(hashes, dict):
            raise ValueError(f"{_HASHES_FILE} does not contain the hashes of its files")
        with ExitStack() as stack:
            files = {}
            changed = []
            for name, limit in ((_ARRAYS_FILE, max_bytes), (_STATE_FILE, _MAX_STATE_BYTES)):
                with open_inside(path.parent, f"{path.name}/{name}") as file:
                    copy, digest = copy_with_hash(file, limit)
                files[name] = stack.enter_context(copy)
                if digest != hashes.get(name):
                    changed.append(name)
            if changed:
                raise DamagedCheckpointError(f"{' and '.join(changed)} changed since")
            state = parse_json(files[_STATE_FILE].read())
            if not isinstance(state, dict):
                raise ValueError("its state is not a mapping")
            if check_state is not None:
                check_state(state, epoch)
            arrays = read_npz(files[_ARRAYS_FILE], _ARRAY_NAME)
    except OSError as error:
        prefix = f"{Path(error.filename).name}: " if error.filename else ""
        raise DamagedCheckpointError(f"{prefix}{describe_os_error(error)}") from None
    except ValueError as error:
        raise DamagedCheckpointError(str(error)) from None
    return Checkpoint(path, epoch, step, arrays, state)
