"""Opening a finished run: every file that is read from it is verified first."""

from __future__ import annotations

from pathlib import Path

from layercli.check import ValidConfig, check_config, require_valid
from layercli.errors import LayercliError, Problem
from layercli.io.paths import hash_file, is_file
from layercli.runs.directory import CONFIG, MANIFEST, MODEL, READER_STATE
from layercli.runs.manifest import load_manifest

_LEGACY_SUFFIXES = (".h5", ".hdf5")


def open_run(name: str) -> tuple[Path, ValidConfig]:
    """Return the directory and the config of a finished run, with the hashes of its files verified.

    Raises:
        LayercliError: The run is not finished, or its config, its model or a custom code file was modified.
    """
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
    missing = [part for part in (CONFIG, MODEL, MANIFEST) if not is_file(run / part)]
    if missing:
        noun = "a run directory" if len(missing) == 3 else "a finished run"
        message = f"This is not {noun}: it has no {', '.join(missing)}."
        hint = "Pass the directory of a finished training, such as runs/digits/1; `layercli runs` lists them."
        raise LayercliError(Problem(code="run-directory", message=message, hint=hint, file=name))
    valid = require_valid(check_config(str(run / CONFIG)))
    files = {CONFIG, MODEL, *([READER_STATE] if is_file(run / READER_STATE) else []), *valid.code_files}
    _require_unchanged(run, sorted(files))
    return run, valid


def _require_unchanged(run: Path, files: list[str]) -> None:
    """Compare files of a run with the hashes in its manifest.

    Raises:
        LayercliError: A file is missing or was modified, or the manifest cannot be read.
    """
    manifest = load_manifest(run)
    if manifest is None:
        message = f"{MANIFEST} cannot be read, so the files of the run cannot be verified."
        hint = "Restore it, or train again."
        raise LayercliError(
            Problem(code="run-directory", message=message, hint=hint, file=str(run / MANIFEST))
        )
    recorded = manifest.get("files")
    hashes = recorded if isinstance(recorded, dict) else {}
    problems = []
    for name in files:
        path = run / name
        if not is_file(path):
            message = f"The file {name} of the run is missing."
        elif hash_file(path) != hashes.get(name):
            message = f"{name} was modified after training: its SHA-256 does not match {MANIFEST}."
        else:
            continue
        hint = "Restore the file, or train the run again."
        problems.append(Problem(code="run-directory", message=message, hint=hint, file=str(path)))
    if problems:
        raise LayercliError(problems)
