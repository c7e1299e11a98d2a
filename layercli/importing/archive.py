"""What a model's file says of its architecture: a ``.keras`` archive, a run, or Keras's JSON; nothing of it is run."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from layercli.errors import LayercliError, Problem
from layercli.source.nodes import sanitize_text

MAX_JSON: Final = 64 * 2**20
"""Bytes of an architecture; NASNetLarge has one million."""
_DEEPEST = 200
_CONFIG, _MODEL = "config.json", "model.keras"
_HDF5 = b"\x89HDF\r\n\x1a\n"
_ZIP = b"PK\x03\x04"
_CONVERT = "Load it with Keras and save it anew: `keras.models.load_model(path).save('model.keras')`."
_EXPECTED = "Expected a .keras file, a run directory, or the JSON that `model.to_json()` gives."


@dataclass(frozen=True, slots=True)
class Archive:
    """The architecture of a model, as Keras wrote it."""

    path: Path
    kind: Literal["keras", "json"]
    document: dict[str, Any]
    run: Path | None = None
    """The run directory whose model it is."""


def read_model(name: str) -> Archive:
    """The architecture that a ``.keras`` file, a run directory or a JSON file holds.

    Raises:
        LayercliError: there is none, it is too large, or it is in another format.
    """
    path = Path(name)
    run = None
    try:
        if path.is_dir():
            if (path / "saved_model.pb").is_file():
                raise _refused(path, "legacy-model", "This is a SavedModel, which holds no layers any more.",
                               "Import the .keras file from which it was made.")  # fmt: skip
            run, path = path, path / _MODEL
            if not path.is_file():
                raise _refused(
                    path, "unreadable-model", "There is no model.keras in this directory.", _EXPECTED
                )
        with path.open("rb") as file:
            head = file.read(8)
        if head == _HDF5:
            what = "a legacy HDF5 model" if path.suffix != ".weights.h5" else "a file of weights"
            raise _refused(path, "legacy-model", f"This is {what}.", _CONVERT)
        text = _from_archive(path) if head[:4] == _ZIP else _from_file(path)
    except OSError as error:
        raise _refused(
            path, "unreadable-model", f"It cannot be read: {error.strerror or error}.", None
        ) from None
    return Archive(path, "keras" if head[:4] == _ZIP else "json", _parsed(path, text), run)


def _from_archive(path: Path) -> bytes:
    try:
        with zipfile.ZipFile(path) as archive:
            size = archive.getinfo(_CONFIG).file_size
            if size > MAX_JSON:
                raise _too_large(path, size)
            with archive.open(_CONFIG) as member:
                text = member.read(MAX_JSON + 1)  # what the directory says of its size may be false
    except KeyError:
        message = f"There is no {_CONFIG} in this archive, so it is no model that Keras saved."
        raise _refused(path, "unreadable-model", message, _EXPECTED) from None
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        message = f"The archive is damaged: {sanitize_text(str(error), limit=100)}."
        raise _refused(path, "unreadable-model", message, "Save or copy it again.") from None
    if len(text) > MAX_JSON:
        raise _too_large(path, len(text))
    return text


def _from_file(path: Path) -> bytes:
    with path.open("rb") as file:
        text = file.read(MAX_JSON + 1)
    if len(text) > MAX_JSON:
        raise _too_large(path, len(text))
    return text


def _parsed(path: Path, text: bytes) -> dict[str, Any]:
    try:
        document = json.loads(text.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        reason = (
            "it is nested too deeply"
            if isinstance(error, RecursionError)
            else sanitize_text(str(error), limit=100)
        )
        raise _refused(path, "unreadable-model", f"This is no JSON: {reason}.", _EXPECTED) from None
    if not isinstance(document, dict) or not isinstance(document.get("config"), dict):
        raise _refused(path, "unreadable-model", "This JSON describes no Keras model.", _EXPECTED)
    for depth, value in _walk(document):
        if depth > _DEEPEST:
            raise _refused(path, "unreadable-model", f"It is nested deeper than {_DEEPEST} levels.", None)
        del value
    return document


def foreign_modules(document: dict[str, Any]) -> list[str]:
    """Modules outside Keras that the document names, which loading it would import."""
    found = {
        str(value["module"])
        for _, value in _walk(document)
        if isinstance(value, dict) and "class_name" in value and value.get("module") is not None
    }
    return sorted(name for name in found if name.split(".")[0] not in ("keras", "builtins"))


def _walk(document: Any) -> Iterator[tuple[int, Any]]:
    waiting = [(0, document)]
    while waiting:
        depth, value = waiting.pop()
        yield depth, value
        if isinstance(value, dict):
            waiting.extend((depth + 1, child) for child in value.values())
        elif isinstance(value, list):
            waiting.extend((depth + 1, child) for child in value)


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


def _too_large(path: Path, size: int) -> LayercliError:
    message = f"Its description has {size:,} bytes; at most {MAX_JSON:,} are read."
    return _refused(path, "unreadable-model", message, None)


def _refused(path: Path, code: str, message: str, hint: str | None) -> LayercliError:
    return LayercliError(Problem(code=code, message=message, hint=hint, file=sanitize_text(str(path))))
