"""The checkpoints of a run: each complete or absent, held against its hashes, the last few kept."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from layercli.io.atomic import read_umask, sync_to_disk
from layercli.io.paths import hash_file
from layercli.runs.directory import CHECKPOINTS

_ARRAYS_FILE, _STATE_FILE, _HASHES_FILE = "arrays.npz", "state.json", "hashes.json"
_NAME_PATTERN = re.compile(r"(\d{6,})-(\d{9,})")


class DamagedCheckpointError(Exception):
    """A checkpoint is not what was written."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint that was read: what is done, and the state there."""

    path: Path
    epoch: int
    """Whole epochs that are done."""
    step: int
    """Steps of the next epoch that are done."""
    arrays: Mapping[str, Any]
    state: Mapping[str, Any]


class CheckpointDirectory:
    """The checkpoints of one run."""

    def __init__(self, run: Path, *, keep: int = 1) -> None:
        self._folder = run / CHECKPOINTS
        self._keep = keep

    def save(self, epoch: int, step: int, arrays: Mapping[str, Any], state: Mapping[str, Any]) -> Path:
        """Write a checkpoint, all of it or nothing, and let go of the oldest.

        Raises:
            OSError: it cannot be written; what was there before stands.
        """
        import numpy as np

        self._folder.mkdir(exist_ok=True)
        target = self._folder / f"{epoch:06}-{step:09}"
        staging = Path(tempfile.mkdtemp(prefix=".", dir=self._folder))
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
            self._remove(target)  # a damaged one, or one that an undisturbed run would have written there
            staging.rename(target)
            sync_to_disk(self._folder)
        except BaseException:
            shutil.rmtree(staging, ignore_errors=True)
            raise
        for old in self._list_newest_first()[self._keep :]:
            self._remove(old)
        return target

    def read_latest(self) -> tuple[Checkpoint | None, list[str]]:
        """The newest checkpoint that is whole, and what is wrong with each newer one."""
        damaged: list[str] = []
        for path in self._list_newest_first():
            try:
                return _read_checkpoint(path), damaged
            except DamagedCheckpointError as error:
                damaged.append(f"{path.name} is damaged ({error})")
        return None, damaged

    def remove_partial(self) -> None:
        """Remove what a run that was killed has left half written or half removed."""
        for path in self._folder.iterdir() if self._folder.is_dir() else ():
            if path.name.startswith(".") and path.is_dir():
                shutil.rmtree(path, ignore_errors=True)

    def _list_newest_first(self) -> list[Path]:
        """All checkpoints, the newest first."""
        checkpoints = (
            [path for path in self._folder.iterdir() if _NAME_PATTERN.fullmatch(path.name)]
            if self._folder.is_dir()
            else []
        )
        return sorted(
            checkpoints, key=lambda path: [int(part) for part in path.name.split("-")], reverse=True
        )

    def _remove(self, path: Path) -> None:
        """Remove a checkpoint so that no half of one is ever there under its name."""
        if path.exists():
            trash = Path(tempfile.mkdtemp(prefix=".", dir=self._folder))
            path.rename(trash / path.name)
            shutil.rmtree(trash, ignore_errors=True)


def _read_checkpoint(path: Path) -> Checkpoint:
    """A checkpoint, held against its hashes.

    Raises:
        DamagedError: it is not what was written.
    """
    import numpy as np

    try:
        hashes = json.loads((path / _HASHES_FILE).read_text(encoding="utf-8"))
        changed = [name for name in (_ARRAYS_FILE, _STATE_FILE) if hash_file(path / name) != hashes[name]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedCheckpointError(f"{type(error).__name__}: {error}") from None
    if changed:
        raise DamagedCheckpointError(f"{' and '.join(changed)} changed since")
    state = json.loads((path / _STATE_FILE).read_text(encoding="utf-8"))
    with np.load(path / _ARRAYS_FILE, allow_pickle=False) as arrays:
        epoch, step = (int(part) for part in path.name.split("-"))
        return Checkpoint(path, epoch, step, {name: arrays[name] for name in arrays.files}, state)
