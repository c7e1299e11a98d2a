"""The manifest of a run: versions, settings and hashes, written at the start and completed at the end."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from layercli.check import ValidConfig
from layercli.errors import LayercliError, Problem
from layercli.io.atomic import write_json
from layercli.io.paths import hash_file
from layercli.runs.directory import CHECKPOINTS, MANIFEST, MODEL
from layercli.runs.environment import collect_environment
from layercli.version import __version__

_MAX_BYTES = 64 << 20
"""Largest size of a manifest."""
_PACKAGES = ("keras", "tensorflow", "numpy", "scikit-learn")


def collect_versions() -> dict[str, str]:
    """Return the versions of layercli, Python and the packages that training depends on."""
    from importlib.metadata import version

    return {
        "layercli": __version__,
        "python": platform.python_version(),
        **{name: version(name) for name in _PACKAGES},
    }


def create_manifest(
    valid: ValidConfig, *, counts: tuple[int, ...], fingerprint: str, execution: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the manifest of a run that starts: versions, seed, command line, execution, data."""
    return {
        "versions": collect_versions(),
        "platform": platform.platform(),
        "environment": collect_environment(),
        "seed": valid.config.seed,
        "command": sys.argv,
        "execution": execution,
        "data": {
            "fingerprint": fingerprint,
            **dict(zip(("train", "validation", "test"), counts, strict=True)),
        },
    }


def write_manifest(
    run: Path, manifest: Mapping[str, Any], *, is_finished: bool = False, excluded: str | None = None
) -> None:
    """Write the manifest with the hashes of the present files, except checkpoints, which have their own.

    The hash of the model is written only if the run ``is_finished``.
    """
    excluded_names = {CHECKPOINTS, MANIFEST, excluded} | (set() if is_finished else {MODEL})
    files = {
        path.relative_to(run).as_posix(): hash_file(path)
        for path in sorted(run.rglob("*"))
        if path.is_file() and path.relative_to(run).parts[0] not in excluded_names
    }
    write_json(run / MANIFEST, {**manifest, "files": files})


def read_manifest(run: Path) -> dict[str, Any]:
    """Return the manifest of a run.

    Raises:
        LayercliError: It is missing, or cannot be read.
    """
    manifest = load_manifest(run)
    if manifest is not None and isinstance(manifest.get("files"), dict):
        return manifest
    message = f"This is not the directory of a started run: it has no readable {MANIFEST}."
    hint = "Pass the directory of a training, such as runs/digits/1; `layercli runs` lists them."
    raise LayercliError(Problem(code="run-directory", message=message, hint=hint, file=str(run)))


def load_manifest(run: Path) -> dict[str, Any] | None:
    """Return the manifest of a run; None if it is missing, too large or not a JSON object."""
    path = run / MANIFEST
    try:
        if path.stat().st_size > _MAX_BYTES:
            return None
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def is_finished(manifest: Mapping[str, Any]) -> bool:
    """Return whether the run is finished: its last action is to write its model's hash into the manifest."""
    return MODEL in manifest["files"]


def find_changed_files(run: Path, manifest: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """Return the names of files that are missing or differ from their hash in the manifest."""
    return [
        name
        for name in names
        if name in manifest["files"]
        and not ((run / name).is_file() and hash_file(run / name) == manifest["files"][name])
    ]
