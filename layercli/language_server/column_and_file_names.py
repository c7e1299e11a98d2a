"""The column names of a config's table and the files near a config: names that only the disk knows."""

from __future__ import annotations

import os
from itertools import islice
from pathlib import Path
from typing import Final

from layercli.data.data_error import DataError
from layercli.formats.csv.config import Csv
from layercli.formats.csv.diagnostics import read_header
from layercli.io.paths import is_file
from layercli.language_server.documents import is_remote
from layercli.source.nodes import YamlNode

_MAX_FILES: Final = 500
_MAX_COLUMNS: Final = 2000
_HEADER_KEYS: Final = ("separator", "encoding", "skip_lines", "comment")
"""Keys of a table on which its column names depend."""


def list_columns(document: YamlNode) -> list[str]:
    """Return the column names of the table of a config, from its key `columns` or the header of its file."""
    section = document.find(("data",))
    plain = section.to_plain() if section is not None else None
    if not isinstance(plain, dict):
        return []
    named = plain.get("columns")
    if isinstance(named, list):
        return [str(name) for name in named]
    path = plain.get("path")
    if str(plain.get("type")).lower() != "csv" or not isinstance(path, str) or is_remote(path):
        return []
    file = document.find_mark(("data", "path")).source.directory / path
    given = {key: plain[key] for key in _HEADER_KEYS if key in plain}
    try:
        data = Csv.model_validate({"path": str(file), "target": "target", **given})
        return read_header(file, data).names[:_MAX_COLUMNS] if is_file(file) else []
    except (ValueError, EOFError, OSError, DataError):
        return []


def list_file_names(config: Path, typed: str) -> list[str]:
    """Return the files and folders near a config, in the folder of a name that is typed; a folder ends with a slash."""
    folder, slash, _ = typed.rpartition("/")
    if Path(folder + slash).is_absolute() or ".." in Path(folder).parts or is_remote(typed):
        return []
    try:
        with os.scandir(config.parent / folder) as found:
            entries = sorted(islice(found, _MAX_FILES), key=lambda entry: entry.name)
    except (OSError, ValueError):
        return []
    start = f"{folder}/" if folder else ""
    return [
        f"{start}{entry.name}/" if entry.is_dir() else f"{start}{entry.name}"
        for entry in entries
        if not entry.name.startswith(".") and entry.path != str(config)
    ]
