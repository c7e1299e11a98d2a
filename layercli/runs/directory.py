"""The run directory: what a training leaves behind, each file complete or absent."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from layercli.check import ValidConfig
from layercli.errors import make_file_error
from layercli.io.atomic import write_bytes, write_text
from layercli.source.dump import to_yaml

RUNS_ROOT = Path("runs")
CONFIG, MANIFEST, HISTORY, MODEL, SUMMARY, READER_STATE = (
    "config.yaml", "manifest.json", "history.jsonl", "model.keras", "summary.json", "data.json",
)  # fmt: skip
CHECKPOINTS = "checkpoints"
LOCK = ".lock"
"""In that folder: held by the process that trains."""
LATEST = "latest"


def create_run(name: str, run_dir: str | None) -> Path:
    """A new, empty run directory: ``run_dir``, or the next number under ``runs/<name>/``.

    Raises:
        LayercliError: it exists and holds something, or cannot be made.
    """
    if run_dir is not None:
        path = Path(run_dir)
        try:
            path.mkdir(parents=True, exist_ok=True)
            if any(path.iterdir()):
                raise make_file_error(
                    path,
                    "run-directory",
                    "The run directory is not empty.",
                    "Name a new one; a run is never overwritten.",
                )
        except OSError as error:
            raise make_file_error(
                path, "run-directory", f"The run directory cannot be made: {error.strerror}."
            ) from None
        return path
    root = RUNS_ROOT / name
    try:
        root.mkdir(parents=True, exist_ok=True)
        if root.is_symlink() or not root.resolve().is_relative_to(RUNS_ROOT.resolve()):
            raise make_file_error(
                root, "run-directory", "A run's name may not lead out of `runs/`.", "Change `name:`."
            )
        numbers = [int(entry.name) for entry in root.iterdir() if entry.name.isdecimal()]
        number = max(numbers, default=0) + 1
        while True:
            try:
                (root / str(number)).mkdir()
            except FileExistsError:  # another run has just taken it
                number += 1
            else:
                return root / str(number)
    except OSError as error:
        raise make_file_error(
            root, "run-directory", f"The run directory cannot be made: {error.strerror}."
        ) from None


def discard_run(run: Path) -> None:
    """Remove the directory of a run that has not begun, unless it holds files of others."""
    with suppress(OSError):
        for name in (CONFIG, READER_STATE, MANIFEST, f"{CHECKPOINTS}/{LOCK}"):
            (run / name).unlink(missing_ok=True)
        if (run / CHECKPOINTS).is_dir():
            (run / CHECKPOINTS).rmdir()
        run.rmdir()


def update_latest_link(run: Path) -> None:
    """Let ``runs/latest`` be this run, where it lies under ``runs/``."""
    with suppress(OSError, ValueError):  # a file system may lack such links
        target = run.resolve().relative_to(RUNS_ROOT.resolve())
        staging = RUNS_ROOT / f".{LATEST}-{os.getpid()}"
        staging.symlink_to(target, target_is_directory=True)
        try:
            staging.replace(RUNS_ROOT / LATEST)
        finally:
            staging.unlink(missing_ok=True)


def write_yaml(path: Path, document: Mapping[str, Any]) -> None:
    """Write a YAML file in the order of its keys, all of it or nothing."""
    write_text(path, to_yaml(document))


def write_config(run: Path, valid: ValidConfig, name: str = CONFIG) -> None:
    """The resolved config, every default written out, and the files of the user's code: it trains by itself."""
    write_yaml(run / name, valid.to_resolved_dict(is_for_run=True))
    for relative_path, file in valid.code_files.items():
        target = run / relative_path
        target.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(target, file.read_bytes())
