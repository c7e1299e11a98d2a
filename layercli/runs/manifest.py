"""The manifest of a run: versions, settings and hashes, written at the start and completed at the end."""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from layercli.errors import LayercliError, Problem
from layercli.io.atomic import describe_os_error, write_json
from layercli.io.credentials import describe_command
from layercli.io.regular import (
    MAX_ENTRIES,
    copy_with_hash,
    has_valid_characters,
    open_inside,
    parse_json,
    read_inside,
    scan_entries,
)
from layercli.runs.directory import CHECKPOINTS, MANIFEST, MODEL, is_unstarted, make_unstarted_error
from layercli.runs.environment import collect_environment, collect_machine
from layercli.runs.git_state import read_git_state
from layercli.source.nodes import sanitize_text
from layercli.version import __version__

if TYPE_CHECKING:
    from layercli.check import ValidConfig

FORMAT: Final = 1
"""The number of the format of run directories; it grows when an older layercli could misread a run.

Manifests without a number have this format.
"""
_MAX_BYTES = 16 << 20
"""Largest size of a manifest."""
_MAX_RECORDED_BYTES = 256 << 20
"""Largest recorded file other than the model; the state of a reader holds class names."""
_MAX_HASHED_BYTES = 2 << 30
"""Bytes of all recorded files other than the model; a file without content can be of any size."""
_PACKAGES = ("keras", "tensorflow", "numpy", "scikit-learn")
"""A run is resumed only with the same versions of these."""
_READING_PACKAGES = ("h5py", "ml-dtypes", "pillow", "pyarrow", "pydantic", "pyyaml")
"""Packages whose versions are recorded, but need not be the same."""


def collect_versions() -> dict[str, str]:
    """Return the versions of layercli, Python and the packages that training depends on."""
    from importlib.metadata import version

    return {
        "layercli": __version__,
        "python": platform.python_version(),
        **{name: version(name) for name in _PACKAGES},
    }


def collect_packages() -> dict[str, str]:
    """Return the versions of packages that read data, configs and weights, as far as they are installed."""
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for name in _READING_PACKAGES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def create_manifest(
    valid: ValidConfig,
    *,
    counts: tuple[int, ...],
    fingerprint: str,
    execution: Mapping[str, Any],
    memory: int | None,
    gpus: Sequence[str],
) -> dict[str, Any]:
    """Return the manifest of a run that starts: time, commit, versions, machine, seed, command line, execution, data."""
    git_state = read_git_state(Path(valid.check_result.file))
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        **({} if git_state is None else {"git": git_state.as_json()}),
        "versions": collect_versions(),
        "packages": collect_packages(),
        "platform": platform.platform(),
        "environment": collect_environment(),
        "machine": collect_machine(memory=memory, gpus=gpus),
        "seed": valid.config.seed,
        "command": describe_command(sys.argv),
        "needs_trust": valid.needs_trust,
        "execution": execution,
        "data": {
            "fingerprint": fingerprint,
            **dict(zip(("train", "validation", "test"), counts, strict=True)),
        },
    }


def write_manifest(
    run_dir: Path, manifest: Mapping[str, Any], *, is_finished: bool = False, excluded: str | None = None
) -> None:
    """Write the manifest with the hashes of the present files, except checkpoints, which have their own.

    The hash of the model is written only if the run ``is_finished``. Files that are too large to be layercli's, or whose
    name is not Unicode, are not recorded.
    """
    excluded_names = {CHECKPOINTS, MANIFEST, excluded} | (set() if is_finished else {MODEL})
    names = sorted(
        name
        for name, entry in scan_entries(run_dir)
        if entry.is_file(follow_symlinks=False)
        and name.split("/")[0] not in excluded_names
        and has_valid_characters(name)
    )
    hasher = _Hasher(run_dir)
    files = {name: digest for name in names if (digest := hasher.hash(name)) is not None}
    write_json(run_dir / MANIFEST, {"format": FORMAT, **manifest, "files": files})


def require_manifest(run_dir: Path) -> dict[str, Any]:
    """Return the manifest of a run.

    Raises:
        LayercliError: It is missing, cannot be read, or is of a newer format.
    """
    require_known_format(run_dir)
    manifest = read_manifest_or_none(run_dir)
    if manifest is not None:
        return manifest
    with suppress(OSError):
        if is_unstarted(run_dir):
            raise make_unstarted_error(run_dir)
    message = f"This is not the directory of a started run: it has no readable {MANIFEST}."
    hint = "Pass the directory of a training, such as runs/digits/1; `layercli runs` lists them."
    raise LayercliError(Problem(code="run-directory", message=message, hint=hint, file=str(run_dir)))


def read_manifest_or_none(run_dir: Path) -> dict[str, Any] | None:
    """Return the manifest of a run; None if it is missing, too large, or not what layercli writes."""
    document = _read_document(run_dir)
    return document if _is_manifest(document) else None


def require_known_format(run_dir: Path) -> None:
    """Check that a newer layercli did not write the run in a format that this one does not know.

    Raises:
        LayercliError: it did.
    """
    document = _read_document(run_dir)
    reason = describe_newer_format(document)
    if reason is not None:
        hint = "Update it: `pip install --upgrade layercli`."
        raise LayercliError(
            Problem(code="run-directory", message=f"The run {reason}.", hint=hint, file=str(run_dir))
        )


def describe_newer_format(document: Mapping[str, Any]) -> str | None:
    """Return what is newer about the format of a run, given its manifest; None if this layercli knows the format."""
    number = document.get("format", FORMAT)
    if type(number) is not int or number <= FORMAT:
        return None
    versions = document.get("versions")
    version = versions.get("layercli") if isinstance(versions, dict) else None
    writer = (
        f"layercli {sanitize_text(version, limit=20)}" if isinstance(version, str) else "a newer layercli"
    )
    shown = sanitize_text(str(number)[:20], limit=20) if number < 10**19 else "unknown"
    return (
        f"was written by {writer} in format {shown}, but layercli {__version__} reads formats up to {FORMAT}"
    )


def _read_document(run_dir: Path) -> dict[str, Any]:
    """Return the JSON mapping in the manifest; empty if it cannot be read."""
    try:
        document = parse_json(read_inside(run_dir, MANIFEST, _MAX_BYTES))
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def _is_manifest(document: Mapping[str, Any]) -> bool:
    """Return whether the values have the types that layercli writes; other keys are ignored."""
    files, versions, data = (document.get(key) for key in ("files", "versions", "data"))
    return (
        isinstance(files, dict)
        and len(files) <= MAX_ENTRIES
        and all(isinstance(value, str) for value in files.values())
        and isinstance(versions, dict)
        and isinstance(data, dict)
        and isinstance(data.get("fingerprint"), str)
        and isinstance(document.get("execution"), dict)
        and isinstance(document.get("resumed", []), list)
    )


class _Hasher:
    """SHA-256 of files of a run, of a bounded number of bytes in total."""

    def __init__(self, run: Path, max_model_bytes: int | None = None) -> None:
        self._run = run
        self._max_model_bytes = max_model_bytes
        self._remaining = _MAX_HASHED_BYTES

    def hash(self, name: str) -> str | None:
        """Return the hash of a regular file; None if it is too large to be layercli's.

        Raises:
            OSError: the file cannot be opened, or is reached through a link.
        """
        with open_inside(self._run, name) as file:
            size = os.fstat(file.fileno()).st_size
            if name == MODEL:
                if self._max_model_bytes is not None and size > self._max_model_bytes:
                    return None
            elif size > min(self._remaining, _MAX_RECORDED_BYTES):
                return None
            else:
                self._remaining -= size
            return hashlib.file_digest(file, "sha256").hexdigest()


def open_recorded(run: Path, name: str, max_bytes: int = _MAX_RECORDED_BYTES) -> IO[bytes]:
    """Return a private copy of a file of a run, whose bytes have the hash in the manifest.

    Raises:
        LayercliError: The file is missing, was modified or is too large, or the manifest cannot be read.
    """
    manifest = read_manifest_or_none(run)
    if manifest is None:
        raise _make_unreadable_error(run)
    return _open_with_hash(run, name, manifest["files"].get(name), max_bytes)


def _make_unreadable_error(run: Path) -> LayercliError:
    message = f"{MANIFEST} cannot be read, so the files of the run cannot be verified."
    hint = "Restore it, or train again."
    return LayercliError(Problem(code="run-directory", message=message, hint=hint, file=str(run / MANIFEST)))


def open_verified(run: Path, name: str) -> IO[bytes]:
    """Return a file of a run for reading; of a finished run, a private copy whose bytes have the hash in the manifest.

    A file without a recorded hash, such as one of an earlier version, is not verified.

    Raises:
        OSError: The file of an unfinished run, or one without a hash, cannot be opened.
        LayercliError: The file was modified after training, or the manifest is present but cannot be read.
    """
    manifest = _read_document(run)
    if not manifest and os.path.lexists(run / MANIFEST):
        raise _make_unreadable_error(run)
    digest = find_recorded_hash(manifest, name)
    return open_inside(run, name) if digest is None else _open_with_hash(run, name, digest)


def find_recorded_hash(manifest: Mapping[str, Any], name: str) -> str | None:
    """Return the hash of a file of a finished run; None if the run is not finished, or has no hash of this file.

    The values of the manifest may have any type.
    """
    files = manifest.get("files")
    digest = files.get(name) if isinstance(files, dict) and MODEL in files else None
    return digest if isinstance(digest, str) else None


def describe_modification(name: str) -> str:
    """Return a clause that says that a file does not have the hash in the manifest."""
    return f"{name} was modified after training: its SHA-256 does not match {MANIFEST}"


def _open_with_hash(
    run: Path, name: str, expected: str | None, max_bytes: int = _MAX_RECORDED_BYTES
) -> IO[bytes]:
    """Return a private copy of a file of a run, whose bytes have a hash.

    Raises:
        LayercliError: The file is missing, has a different hash or is too large.
    """
    try:
        with open_inside(run, name) as file:
            copy, digest = copy_with_hash(file, max_bytes)
    except FileNotFoundError:
        message = f"The file {name} of the run is missing."
    except OSError as error:
        message = f"The file {name} of the run cannot be read: {describe_os_error(error)}."
    else:
        if digest == expected:
            return copy
        copy.close()
        message = f"{describe_modification(name)}."
    hint = "Restore the file, or train the run again."
    raise LayercliError(Problem(code="run-directory", message=message, hint=hint, file=str(run / name)))


PREDICTIONS_HASH: Final = "predictions"
"""Key of the hash of the predictions of a fold, which are in the directory of the cross-validation."""


def record_predictions(run: Path, predictions: Path) -> None:
    """Write the hash of the predictions of a fold into the manifest of its run.

    Raises:
        LayercliError: The manifest cannot be read.
        OSError: The predictions cannot be read, or the manifest cannot be written.
    """
    manifest = require_manifest(run)
    with open_inside(predictions.parent, predictions.name) as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    write_json(run / MANIFEST, {**manifest, PREDICTIONS_HASH: digest})


_END_KEYS: Final = ("ended", "ended_by")
"""Keys on the end of a training: the problem that ended it, or the section of the config."""


def with_end(manifest: Mapping[str, Any], *, has_reached_limit: bool = False) -> dict[str, Any]:
    """Return the manifest without the end of an earlier training, and with this one."""
    kept = {key: value for key, value in manifest.items() if key not in _END_KEYS}
    return {**kept, "ended_by": "until"} if has_reached_limit else kept


def has_reached_limit(manifest: Mapping[str, Any]) -> bool:
    """Return whether `train.until` ended the training, so that it can be resumed."""
    return is_finished(manifest) and manifest.get("ended_by") == "until"


def is_finished(manifest: Mapping[str, Any]) -> bool:
    """Return whether the run is finished: its last action is to write its model's hash into the manifest."""
    return MODEL in manifest["files"]


def find_changed_files(
    run_dir: Path, manifest: Mapping[str, Any], names: Iterable[str], max_model_bytes: int | None = None
) -> list[str]:
    """Return the names of files that are missing or too large, or differ from their hash in the manifest or have none."""
    hasher = _Hasher(run_dir, max_model_bytes)
    changed = []
    for name in names:
        try:
            digest = hasher.hash(name)
        except (OSError, ValueError):
            digest = None
        if digest is None or digest != manifest["files"].get(name):
            changed.append(name)
    return changed
