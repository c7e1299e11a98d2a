"""The JSON Schemas of the documents that commands print with ``--json``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

FOLDER: Final = Path(__file__).parents[1] / "json_documents"
"""A file for each command, without the definitions that they share."""
_SHARED_FILE: Final = "common.json"
_SAME_DOCUMENT: Final = {"launch": "train"}
"""Command -> the command whose document it prints."""


def list_documented_commands() -> list[str]:
    """Return the commands whose documents have a schema, sorted."""
    names = {path.stem for path in FOLDER.glob("*.json") if path.name != _SHARED_FILE}
    return sorted(names | _SAME_DOCUMENT.keys())


def find_schema_file(command: str) -> Path:
    """Return the file with the schema of a command's document."""
    return FOLDER / f"{_SAME_DOCUMENT.get(command, command)}.json"


def read_document_schema(command: str) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a command's document, with all definitions that it uses."""
    schema: dict[str, Any] = json.loads(find_schema_file(command).read_text(encoding="utf-8"))
    shared = json.loads((FOLDER / _SHARED_FILE).read_text(encoding="utf-8"))
    return schema | {
        "title": f"layercli {command} --json",
        "$defs": {**schema.get("$defs", {}), **shared["$defs"]},
    }
