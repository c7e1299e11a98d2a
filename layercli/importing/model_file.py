"""The architecture of a model file: a ``.keras`` archive, a run, or Keras's JSON; no code in it runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

from layercli.errors import LayercliError, Problem
from layercli.io.archives import MAX_JSON_BYTES, Archive, ArchiveError
from layercli.io.regular import copy_with_hash, is_file_inside, open_inside, open_regular, require_few_values
from layercli.source.calls import CONVERSION_HINT
from layercli.source.nodes import sanitize_text

_MAX_DEPTH = 200
_CONFIG_NAME, _MODEL_NAME = "config.json", "model.keras"
_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
_ZIP_MAGIC = b"PK\x03\x04"
_RESAVE_HINT = "Load it with Keras and save it again: `keras.models.load_model(path).save('model.keras')`."
_EXPECTED_HINT = "Expected a .keras file, a run directory, or the JSON from `model.to_json()`."


@dataclass(frozen=True, slots=True)
class ModelFile:
    """The architecture of a model, as Keras wrote it."""

    path: Path
    kind: Literal["keras", "json"]
    document: dict[str, Any]
    file: IO[bytes]
    """A private copy of the file, with its weights."""
    run_dir: Path | None = None
    """The run directory, if the path is one."""


def read_model_file(name: str, content: IO[bytes] | None = None) -> ModelFile:
    """Return the architecture in a ``.keras`` file, a run directory or a JSON file.

    ``content`` is the open model file of a run, if it was verified.

    Raises:
        LayercliError: the file has no architecture, is too large, or has a different format.
    """
    path = Path(name)
    run_dir = None
    try:
        if path.is_dir():
            if (path / "saved_model.pb").is_file():
                raise _file_error(
                    path,
                    "legacy-model",
                    "This is a SavedModel, which does not contain the layers.",
                    "Import the .keras file that it was exported from.",
                )
            run_dir, path = path, path / _MODEL_NAME
            if content is None and not is_file_inside(run_dir, _MODEL_NAME):
                raise _file_error(
                    path, "unreadable-model", "This directory does not contain model.keras.", _EXPECTED_HINT
                )
        file = content or _copy_file(path, run_dir)
        head = file.read(8)
        file.seek(0)
        if head == _HDF5_MAGIC:
            description = "a legacy HDF5 model" if path.suffix != ".weights.h5" else "a weights file"
            raise _file_error(path, "legacy-model", f"This is {description}.", _RESAVE_HINT)
        text = _read_zip_config(path, file) if head[:4] == _ZIP_MAGIC else _read_json_file(path, file)
    except OSError as error:
        raise _file_error(
            path, "unreadable-model", f"Cannot read the file: {error.strerror or error}.", None
        ) from None
    return ModelFile(
        path, "keras" if head[:4] == _ZIP_MAGIC else "json", _parse_document(path, text), file, run_dir
    )


def _copy_file(path: Path, run_dir: Path | None) -> IO[bytes]:
    """Return a private copy of a model file, so that the architecture and the weights are those of the same file.

    Raises:
        OSError: the file cannot be opened.
    """
    with open_regular(path) if run_dir is None else open_inside(run_dir, _MODEL_NAME) as file:
        return copy_with_hash(file)[0]


def _read_zip_config(path: Path, file: IO[bytes]) -> bytes:
    try:
        archive = Archive(file)
        if _CONFIG_NAME not in archive.names:
            message = f"This archive does not contain {_CONFIG_NAME}, so it is not a model saved by Keras."
            raise _file_error(path, "unreadable-model", message, _EXPECTED_HINT)
        size = archive.size(_CONFIG_NAME)
        if size > MAX_JSON_BYTES:
            raise _size_error(path, size)
        return archive.read(_CONFIG_NAME, MAX_JSON_BYTES)
    except ArchiveError as error:
        message = f"The archive is damaged: {sanitize_text(str(error), limit=100)}."
        raise _file_error(path, "unreadable-model", message, "Save or copy the file again.") from None


def _read_json_file(path: Path, file: IO[bytes]) -> bytes:
    text = file.read(MAX_JSON_BYTES + 1)
    if len(text) > MAX_JSON_BYTES:
        raise _size_error(path, len(text))
    return text


def _parse_document(path: Path, text: bytes) -> dict[str, Any]:
    try:
        require_few_values(text)
        document = json.loads(text.decode("utf-8"), parse_constant=_reject_constant)
    except (ValueError, RecursionError) as error:
        reason = (
            "it is nested too deeply"
            if isinstance(error, RecursionError)
            else sanitize_text(str(error), limit=100)
        )
        message, hint = f"This is not valid JSON: {reason}.", _EXPECTED_HINT
        if path.suffix.lower() in (".py", ".ipynb"):
            message, hint = "A script cannot be imported; the model that it builds can.", CONVERSION_HINT
        raise _file_error(path, "unreadable-model", message, hint) from None
    if not isinstance(document, dict) or not isinstance(document.get("config"), dict):
        raise _file_error(
            path, "unreadable-model", "This JSON does not describe a Keras model.", _EXPECTED_HINT
        )
    for depth, value in _walk_values(document):
        if depth > _MAX_DEPTH:
            raise _file_error(
                path, "unreadable-model", f"The description is nested deeper than {_MAX_DEPTH} levels.", None
            )
        del value
    return with_loadable_factors(document)


def with_loadable_factors(document: dict[str, Any]) -> dict[str, Any]:
    """Return the document, in which each range of RandomShear is the factor that Keras made it from.

    Keras writes 0.2 as (-0.2, 0.2), which it refuses to load.
    """
    for _, value in _walk_values(document):
        match value:
            case {"class_name": "RandomShear", "config": dict() as config}:
                for key in ("x_factor", "y_factor"):
                    match config.get(key):
                        case [int() | float() as lowest, int() | float() as highest] if lowest == -highest:
                            config[key] = highest
    return document


def find_foreign_modules(document: dict[str, Any]) -> list[str]:
    """Return the modules outside Keras that loading the document would import."""
    module_names = {
        str(value["module"])
        for _, value in _walk_values(document)
        if isinstance(value, dict) and "class_name" in value and value.get("module") is not None
    }
    return sorted(name for name in module_names if name.split(".")[0] not in ("keras", "builtins"))


def _walk_values(document: Any) -> Iterator[tuple[int, Any]]:
    pending = [(0, document)]
    while pending:
        depth, value = pending.pop()
        yield depth, value
        if isinstance(value, dict):
            pending.extend((depth + 1, child) for child in value.values())
        elif isinstance(value, list):
            pending.extend((depth + 1, child) for child in value)


def _reject_constant(name: str) -> float:
    raise ValueError(f"{name} is not valid JSON")


def _size_error(path: Path, size: int) -> LayercliError:
    message = f"The description has {size:,} bytes; the maximum is {MAX_JSON_BYTES:,}."
    return _file_error(path, "unreadable-model", message, None)


def _file_error(path: Path, code: str, message: str, hint: str | None) -> LayercliError:
    return LayercliError(Problem(code=code, message=message, hint=hint, file=sanitize_text(str(path))))
