"""The run directory: what a training leaves behind, each file complete or absent."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from layercli import __version__
from layercli.check import Valid
from layercli.config.custom import CustomLayer
from layercli.errors import LayercliError, Problem
from layercli.source.dump import to_yaml

ROOT = Path("runs")
CONFIG, MANIFEST, HISTORY, MODEL, SUMMARY, LEARNED = (
    "config.yaml", "manifest.json", "history.jsonl", "model.keras", "summary.json", "data.json",
)  # fmt: skip


def create(name: str, run_dir: str | None) -> Path:
    """A new, empty run directory: ``run_dir``, or the next number under ``runs/<name>/``.

    Raises:
        LayercliError: it exists and holds something, or cannot be made.
    """
    if run_dir is not None:
        path = Path(run_dir)
        try:
            path.mkdir(parents=True, exist_ok=True)
            if any(path.iterdir()):
                raise _problem(
                    path, "The run directory is not empty.", "Name a new one; a run is never overwritten."
                )
        except OSError as error:
            raise _problem(path, f"The run directory cannot be made: {error.strerror}.", None) from None
        return path
    root = ROOT / name
    try:
        root.mkdir(parents=True, exist_ok=True)
        if not root.resolve().is_relative_to(ROOT.resolve()):
            raise _problem(root, "A run's name may not lead out of `runs/`.", "Change `name:`.")
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
        raise _problem(root, f"The run directory cannot be made: {error.strerror}.", None) from None


def discard(run: Path) -> None:
    """Remove a run directory in which nothing has been written yet."""
    with suppress(OSError):
        run.rmdir()


@contextmanager
def staged(path: Path) -> Iterator[Path]:
    """A path to write to, which becomes ``path`` when all is written and on disk, or is removed."""
    handle, name = tempfile.mkstemp(prefix=".", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    staging = Path(name)
    try:
        yield staging
        with staging.open("rb+") as file:
            os.fsync(file.fileno())
        staging.chmod(0o666 & ~_umask())
        staging.replace(path)
    finally:
        staging.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file, all of it or nothing."""
    with staged(path) as staging:
        staging.write_text(text, encoding="utf-8")


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write a JSON file, all of it or nothing."""
    write_text(path, json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_yaml(path: Path, document: Mapping[str, Any]) -> None:
    """Write a YAML file in the order of its keys, all of it or nothing."""
    write_text(path, to_yaml(document))


def write_config(run: Path, valid: Valid, name: str = CONFIG) -> None:
    """The resolved config, every default written out, and the user's layer files: it trains by itself."""
    write_yaml(run / name, valid.resolved())
    for node in valid.custom_layers:
        layer = node.layer
        if isinstance(layer, CustomLayer) and layer.kind == "file":
            target = run / layer.place
            target.parent.mkdir(parents=True, exist_ok=True)
            with staged(target) as staging:
                staging.write_bytes(valid.file_of(node).read_bytes())


def write_manifest(
    run: Path, valid: Valid, *, counts: tuple[int, ...], fingerprint: str, execution: Mapping[str, Any]
) -> None:
    """What the run was made with and of: versions, seed, command line, data, and hashes of its files."""
    from importlib.metadata import version

    packages = ("keras", "tensorflow", "numpy", "scikit-learn")
    write_json(
        run / MANIFEST,
        {
            "versions": {
                "layercli": __version__,
                "python": platform.python_version(),
                **{name: version(name) for name in packages},
            },
            "platform": platform.platform(),
            "seed": valid.config.seed,
            "command": sys.argv,
            "execution": execution,
            "data": {
                "fingerprint": fingerprint,
                **dict(zip(("train", "validation", "test"), counts, strict=True)),
            },
            "files": {
                path.relative_to(run).as_posix(): digest(path)
                for path in sorted(run.rglob("*"))
                if path.is_file()
            },
        },
    )


def append_line(path: Path, document: Mapping[str, Any]) -> None:
    """Add a line of JSON to a file."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(document, ensure_ascii=False, allow_nan=False) + "\n")


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _problem(path: Path, message: str, hint: str | None) -> LayercliError:
    return LayercliError(Problem(code="run-directory", message=message, hint=hint, file=str(path)))
