"""What a run was made with and of: written when it starts, completed when it ends."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from layercli.check import ValidConfig
from layercli.errors import LayercliError, Problem
from layercli.runs.directory import CHECKPOINTS, MANIFEST, MODEL, hash_file, write_json
from layercli.version import __version__

_PACKAGES = ("keras", "tensorflow", "numpy", "scikit-learn")


def collect_versions() -> dict[str, str]:
    """Of layercli, Python and the packages that training rests on."""
    from importlib.metadata import version

    return {
        "layercli": __version__,
        "python": platform.python_version(),
        **{name: version(name) for name in _PACKAGES},
    }


def create_manifest(
    valid: ValidConfig, *, counts: tuple[int, ...], fingerprint: str, execution: Mapping[str, Any]
) -> dict[str, Any]:
    """The manifest of a run that starts: versions, seed, command line, how it is executed, data."""
    return {
        "versions": collect_versions(),
        "platform": platform.platform(),
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
    """Write the manifest with the hashes of the files that are there; checkpoints have their own.

    The hash of a model stands there once the run has ``finished``, and not before.
    """
    excluded_names = {CHECKPOINTS, MANIFEST, excluded} | (set() if is_finished else {MODEL})
    files = {
        path.relative_to(run).as_posix(): hash_file(path)
        for path in sorted(run.rglob("*"))
        if path.is_file() and path.relative_to(run).parts[0] not in excluded_names
    }
    write_json(run / MANIFEST, {**manifest, "files": files})


def read_manifest(run: Path) -> dict[str, Any]:
    """The manifest of a run.

    Raises:
        LayercliError: there is none, or it cannot be read.
    """
    try:
        manifest = json.loads((run / MANIFEST).read_text(encoding="utf-8"))
        if isinstance(manifest["files"], dict):
            return dict(manifest)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        pass
    message = f"This is no run that was begun: it has no {MANIFEST} that can be read."
    hint = "Name the directory of a training, such as runs/digits/1; `layercli runs` lists them."
    raise LayercliError(Problem(code="run-directory", message=message, hint=hint, file=str(run)))


def is_finished(manifest: Mapping[str, Any]) -> bool:
    """Whether the run came to its end: the last thing it does is to write its model's hash here."""
    return MODEL in manifest["files"]


def find_changed_files(run: Path, manifest: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """Those of the named files of a run that are not what was written."""
    return [
        name
        for name in names
        if name in manifest["files"]
        and not ((run / name).is_file() and hash_file(run / name) == manifest["files"][name])
    ]
