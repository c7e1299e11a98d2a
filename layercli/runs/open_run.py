"""Opening a finished run: every file that is read from it is verified first."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import IO, Final

from layercli.check import ValidConfig, check_config, require_valid
from layercli.errors import LayercliError, Problem, make_file_error
from layercli.io.archives import WEIGHTS_FILE, Archive, ArchiveError
from layercli.io.atomic import describe_os_error
from layercli.io.paths import describe_missing_file
from layercli.io.regular import find_irregular_entries, is_file_inside
from layercli.runs.directory import (
    CONFIG,
    MANIFEST,
    MODEL,
    READER_STATE,
    is_unstarted,
    make_unstarted_error,
    require_local_path,
)
from layercli.runs.manifest import (
    is_finished,
    open_recorded,
    read_manifest_or_none,
    require_known_format,
)
from layercli.runs.resume_command import format_resume_command
from layercli.runs.run_folder import suggest_run
from layercli.source.extend import EXTENDS
from layercli.source.load import MAX_BYTES, load_yaml
from layercli.source.nodes import sanitize_text

EXTRA_BYTES: Final = 256 << 20
"""Bytes of weights beyond those of the layers, such as seeds and counters; and most bytes of vocabularies."""
_WEIGHT_COPIES: Final = 6
"""Copies of the weights that a file may hold: one in the model, several in the optimizer's state."""
_MAX_MISSING_RATIO: Final = 2
"""Most bytes of weights in a model for each byte in its file, which may have a smaller dtype or fewer copies."""
_UNLIMITED: Final = 1 << 62
_LEGACY_SUFFIXES = (".h5", ".hdf5")


def open_run(name: str) -> tuple[Path, ValidConfig]:
    """Return the directory and the config of a finished run, with the hashes of its files verified.

    Raises:
        LayercliError: The run is not finished, or its config, its model or a custom code file was modified.
    """
    require_local_path(name)
    run = Path(name)
    if run.suffix.lower() in _LEGACY_SUFFIXES:
        message = (
            "This is a model in Keras's old HDF5 format, which can contain code; layercli does not load it."
        )
        hint = (
            'If you trust it, convert it: `python -c "import keras; '
            f"keras.models.load_model('{run.name}').save('{run.stem}.keras')\"`."
        )
        raise LayercliError(Problem(code="legacy-model", message=message, hint=hint, file=name))
    require_known_format(run)
    missing = [part for part in (CONFIG, MODEL, MANIFEST) if not is_file_inside(run, part)]
    if len(missing) < 3:
        require_own_files(run)
    with suppress(OSError):
        if is_unstarted(run):
            raise make_unstarted_error(run)
    manifest = read_manifest_or_none(run)
    is_stopped = manifest is not None and not is_finished(manifest)
    if missing or is_stopped:
        noun = "a run directory" if len(missing) == 3 else "a finished run"
        is_absent = describe_missing_file(run) == "does not exist"
        reason = "it does not exist" if is_absent else f"it has no {', '.join(missing)}"
        if not missing:
            reason = "its training ended before everything was written"
        message = f"This is not {noun}: {reason}."
        hint = suggest_run(run)
        if missing == [MODEL]:
            hint = "Restore the file, or train the run again."
        if manifest is not None and is_stopped and missing in ([], [MODEL]):
            command = format_resume_command(run, needs_trust=manifest.get("needs_trust") is True)
            hint = f"Resume with {command}, or pass the directory of a finished training."
        raise LayercliError(Problem(code="run-directory", message=message, hint=hint, file=name))
    valid = check_recorded_config(run)
    problems = []
    for part in (MODEL, *([READER_STATE] if is_file_inside(run, READER_STATE) else []), *valid.code_files):
        try:
            (open_model_file(run, valid) if part == MODEL else open_recorded(run, part)).close()
        except LayercliError as error:
            problems += error.problems
    if problems:
        raise LayercliError(problems)
    return run, valid


def max_weight_bytes(valid: ValidConfig, *, copies: int = _WEIGHT_COPIES) -> int:
    """Return the most bytes of weights in a file with the model of a config; own layers may have any."""
    if valid.custom_layers:
        return _UNLIMITED
    return copies * valid.shapes.weight_bytes + EXTRA_BYTES


def open_model_file(run: Path, valid: ValidConfig) -> IO[bytes]:
    """Return a private copy of the model file of a run.

    Raises:
        LayercliError: It was modified, or is larger or much smaller than the model of the config can be.
    """
    file = open_recorded(run, MODEL, max_weight_bytes(valid) + EXTRA_BYTES)
    try:
        require_weights(file, valid, run / MODEL)
    except LayercliError:
        file.close()
        raise
    return file


def require_weights(file: IO[bytes], valid: ValidConfig, path: Path, code: str = "run-directory") -> None:
    """Check that a ``.keras`` file has about as many bytes of weights as the model of a config, before that is built.

    Raises:
        LayercliError: It has far fewer: a small file would take the memory of a large model.
    """
    expected = valid.shapes.weight_bytes
    with suppress(ArchiveError, KeyError):  # whoever reads the file reports the damage
        found = Archive(file).size(WEIGHTS_FILE)
        if expected > _MAX_MISSING_RATIO * found + EXTRA_BYTES:
            message = f"The model has {expected:,} bytes of weights, but the file has {found:,}."
            hint = "The weights are those of a different model. Restore the file, or train the model again."
            raise make_file_error(path, code, message, hint)
    file.seek(0)


def _refuse_base(run: Path, text: str | None = None) -> None:
    """Check that the config of a run has no base; ``text`` is its content, if it was read.

    Raises:
        LayercliError: It has one.
    """
    if load_yaml(str(run / CONFIG), text).find((EXTENDS,)) is not None:
        message = f"`{EXTENDS}` in {CONFIG} names a file outside the run. layercli writes complete configs."
        raise make_file_error(
            run / CONFIG, "run-directory", message, "Restore the file, or train the run again."
        )


def require_own_config(run: Path) -> None:
    """Check that the config of a run is a file of the run, and names no other.

    Raises:
        LayercliError: The run contains a link or a special file, or its config has a base.
    """
    require_own_files(run)
    _refuse_base(run)


def require_own_files(run: Path) -> None:
    """Check that a run consists of regular files and folders: a link or pipe in it may lead anywhere.

    Raises:
        LayercliError: It contains a link or a special file, or cannot be read.
    """
    try:
        found = find_irregular_entries(run)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return  # the caller reports what is missing
    except OSError as error:
        message = f"The run directory cannot be read: {describe_os_error(error)}."
        raise make_file_error(run, "run-directory", message) from None
    if found:
        shown = ", ".join(sanitize_text(entry, limit=100) for entry in found[:3])
        more = f", and {len(found) - 3} more" if len(found) > 3 else ""
        message = f"A run directory must contain only regular files and folders, no links: {shown}{more}."
        raise make_file_error(run, "run-directory", message, "Replace each of them by a file or folder.")


def check_recorded_config(run: Path) -> ValidConfig:
    """Return the config of a run, read from the same bytes that have the hash in its manifest.

    Raises:
        LayercliError: The config was modified or is invalid.
    """
    with open_recorded(run, CONFIG) as file:
        return check_run_config(run, file.read(MAX_BYTES + 1))


def check_run_config(run: Path, content: bytes) -> ValidConfig:
    """Return the config in ``content``, the bytes of a run's config file.

    Raises:
        LayercliError: The config is invalid.
    """
    try:
        if len(content) > MAX_BYTES:
            raise ValueError("is too large")
        text = content.decode("utf-8-sig")
    except ValueError as error:
        reason = "is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else str(error)
        raise make_file_error(run / CONFIG, "run-directory", f"{CONFIG} {reason}.") from None
    _refuse_base(run, text)
    return require_valid(check_config(str(run / CONFIG), text=text))
