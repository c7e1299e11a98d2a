"""The run directory: the files of a training, each complete or absent."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from shlex import quote
from typing import Any

from layercli.check import ValidConfig
from layercli.errors import LayercliError, Problem, make_file_error
from layercli.io.atomic import describe_os_error, write_bytes, write_text
from layercli.io.regular import find_irregular_files, is_file_inside, is_folder
from layercli.runs.resume_command import format_resume_command
from layercli.schema.addresses import is_address, show_address
from layercli.source.dump import to_yaml
from layercli.source.nodes import sanitize_text

RUNS_ROOT = Path("runs")
CONFIG, MANIFEST, HISTORY = "config.yaml", "manifest.json", "history.jsonl"
DIAGNOSTICS = "diagnostics.jsonl"
MODEL, SUMMARY, READER_STATE = "model.keras", "summary.json", "data.json"
CHECKPOINTS = "checkpoints"
LOCK = ".lock"
"""File in the folder of checkpoints, which the process that trains locks."""
LATEST = "latest"


def create_run(name: str, run_dir: str | None) -> Path:
    """Create a run directory: ``run_dir``, or the next number under ``runs/<name>/``.

    ``run_dir`` may be the directory of a training whose process was killed while it loaded the data.

    Raises:
        LayercliError: It exists and is not empty, or cannot be created.
    """
    require_local_path(run_dir)
    path = Path(run_dir) if run_dir is not None else RUNS_ROOT / name
    try:
        path.mkdir(parents=True, exist_ok=True)
        if run_dir is None:
            return _create_numbered_run(path)
        names = {entry.name for entry in path.iterdir()}
        is_empty = not names or (names == {CHECKPOINTS} and is_unstarted(path))
    except OSError as error:
        message = f"The run directory cannot be created: {describe_os_error(error)}."
        raise make_file_error(path, "run-directory", message) from None
    if not is_empty:
        hint = "Choose a new directory; layercli never overwrites a run."
        if MANIFEST in names and not is_file_inside(path, SUMMARY):
            hint = f"Resume its training with {format_resume_command(path)}, or choose a new directory."
        raise make_file_error(path, "run-directory", "The run directory is not empty.", hint)
    return path


def require_local_path(name: str | None) -> None:
    """Check that the directory of a run is not a remote address, which cannot be locked and written step by step.

    Raises:
        LayercliError: It is one.
    """
    if name is not None and is_address(name):
        message = f"A run directory must be a local or mounted path, got {show_address(name)}."
        hint = "Runs and checkpoints are written to file systems only; copy a finished run to or from the storage."
        raise LayercliError(Problem(code="run-directory", message=message, hint=hint))


def require_own_entries(folder: Path, *, may_be_link: bool) -> None:
    """Check that a directory of several runs has no links or special files; the runs are checked when they are opened.

    Args:
        folder: The directory.
        may_be_link: Whether the user named the directory, so that it may be a link itself.

    Raises:
        LayercliError: it has one, or is one.
        OSError: it cannot be read.
    """
    found = [] if may_be_link or not folder.is_symlink() else [f"{folder.name} is a symbolic link"]
    found += find_irregular_files(folder)
    if found:
        shown = ", ".join(sanitize_text(entry, limit=100) for entry in found[:3])
        message = f"A directory of runs must contain only regular files and folders, no links: {shown}."
        raise make_file_error(folder, "run-directory", message, "Replace each of them by a file or folder.")


def _create_numbered_run(root: Path) -> Path:
    if root.is_symlink() or not root.resolve().is_relative_to(RUNS_ROOT.resolve()):
        message = "The name of a run must not point outside `runs/`."
        raise make_file_error(root, "run-directory", message, "Change `name:`.")
    numbers = [int(entry.name) for entry in root.iterdir() if entry.name.isdecimal()]
    number = max(numbers, default=0) + 1
    while True:
        try:
            (root / str(number)).mkdir()
        except FileExistsError:  # a concurrent run has just created it
            number += 1
        else:
            return root / str(number)


def is_unstarted(run_dir: Path) -> bool:
    """Return whether layercli created a run directory, but its process ended before the training started.

    Raises:
        OSError: The directory cannot be read.
    """
    folder = run_dir / CHECKPOINTS
    if any(is_file_inside(run_dir, name) for name in (MANIFEST, HISTORY, SUMMARY, MODEL)):
        return False
    return is_folder(folder) and {entry.name for entry in folder.iterdir()} <= {LOCK}


def make_unstarted_error(run_dir: Path) -> LayercliError:
    """Return the error that a run was not started, so that nothing can be read or resumed."""
    message = "The training of this run did not start: its process ended while it loaded the data."
    hint = f"Remove the directory, then train again: `rm -r {quote(str(run_dir))}`."
    return make_file_error(run_dir, "run-directory", message, hint)


def discard_run(run_dir: Path) -> None:
    """Remove the directory of a run that has not started, unless it contains other files."""
    with suppress(OSError):
        for name in (CONFIG, READER_STATE, MANIFEST, f"{CHECKPOINTS}/{LOCK}"):
            (run_dir / name).unlink(missing_ok=True)
        if (run_dir / CHECKPOINTS).is_dir():
            (run_dir / CHECKPOINTS).rmdir()
        run_dir.rmdir()


def update_latest_link(run_dir: Path) -> None:
    """Point ``runs/latest`` at this run, if it is under ``runs/``."""
    with suppress(OSError, ValueError):  # some file systems have no links
        target = run_dir.resolve().relative_to(RUNS_ROOT.resolve())
        staging = RUNS_ROOT / f".{LATEST}-{os.getpid()}"
        staging.symlink_to(target, target_is_directory=True)
        try:
            staging.replace(RUNS_ROOT / LATEST)
        finally:
            staging.unlink(missing_ok=True)


def write_yaml(path: Path, document: Mapping[str, Any]) -> None:
    """Write a YAML file in the order of its keys."""
    write_text(path, to_yaml(document))


def write_config(run_dir: Path, valid: ValidConfig, name: str = CONFIG) -> None:
    """Write the resolved config with all defaults, and the custom code files: it can be trained from there."""
    write_yaml(run_dir / name, valid.to_resolved_dict(is_for_run=True))
    for relative_path, file in valid.code_files.items():
        target = run_dir / relative_path
        target.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(target, file.read_bytes())
