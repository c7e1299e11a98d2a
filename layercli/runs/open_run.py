"""A finished run, opened for use: each file that is read from it is the one that was written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from layercli.check import ValidConfig, check_config, require_valid
from layercli.errors import LayercliError, Problem
from layercli.runs.directory import CONFIG, MANIFEST, MODEL, READER_STATE, hash_file

_LEGACY_SUFFIXES = (".h5", ".hdf5")
_MAX_MANIFEST_BYTES = 64 << 20
"""Bytes that a manifest may have."""


def open_run(name: str) -> tuple[Path, ValidConfig]:
    """The run's directory and its config; the hashes of its config, its model and the files of the user's code are checked.

    Raises:
        LayercliError: it is no finished run, or a file is another one than was written.
    """
    run = Path(name)
    if run.suffix.lower() in _LEGACY_SUFFIXES:
        message = (
            "This is a model in Keras's old HDF5 format, which can hold code; layercli does not load it."
        )
        hint = (
            'If you trust it, convert it: `python -c "import keras; '
            f"keras.models.load_model('{run.name}').save('{run.stem}.keras')\"`."
        )
        raise LayercliError(Problem(code="legacy-model", message=message, hint=hint, file=name))
    missing = [part for part in (CONFIG, MODEL, MANIFEST) if not _is_file(run / part)]
    if missing:
        what = "is no run directory" if len(missing) == 3 else "is no finished run"
        message = f"This {what}: it has no {', '.join(missing)}."
        hint = "Name the directory of a finished training, such as runs/digits/1; `layercli runs` lists them."
        raise LayercliError(Problem(code="run-directory", message=message, hint=hint, file=name))
    valid = require_valid(check_config(str(run / CONFIG)))
    files = {CONFIG, MODEL, *([READER_STATE] if _is_file(run / READER_STATE) else []), *valid.code_files}
    _require_unchanged(run, sorted(files))
    return run, valid


def _require_unchanged(run: Path, files: list[str]) -> None:
    """Hold files of a run against the hashes in its manifest.

    Raises:
        LayercliError: a file is missing, or another one than was written.
    """
    recorded = _read_manifest(run).get("files")
    hashes = recorded if isinstance(recorded, dict) else {}
    problems = []
    for name in files:
        path = run / name
        if not _is_file(path):
            message = f"The run has lost its file {name}."
        elif hash_file(path) != hashes.get(name):
            message = f"{name} is not the file that the training wrote: its hash in {MANIFEST} is another."
        else:
            continue
        hint = "Restore the file, or train the run again."
        problems.append(Problem(code="run-directory", message=message, hint=hint, file=str(path)))
    if problems:
        raise LayercliError(problems)


def _read_manifest(run: Path) -> dict[str, Any]:
    path = run / MANIFEST
    try:
        document = (
            json.loads(path.read_text(encoding="utf-8"))
            if path.stat().st_size <= _MAX_MANIFEST_BYTES
            else None
        )
    except (OSError, ValueError, RecursionError):
        document = None
    if isinstance(document, dict):
        return document
    message = f"{MANIFEST} cannot be read, so the run's files cannot be checked."
    raise LayercliError(
        Problem(code="run-directory", message=message, hint="Restore it, or train again.", file=str(path))
    )


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that no file has
        return False
