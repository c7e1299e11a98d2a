"""Read the records of a run that are one line of JSON each, also while they are written or after they were damaged."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from layercli.io.regular import parse_json, read_inside, require_few_values

_MAX_FILE_BYTES: Final = 64 << 20


def read_records(run: Path, name: str) -> list[dict[str, Any]]:
    """Return the records in a file of a run, without lines that cannot be read; empty if the file does not exist."""
    try:
        content = read_inside(run, name, _MAX_FILE_BYTES)
        require_few_values(content)
    except (OSError, ValueError):
        return []
    records = []
    for line in content.splitlines():
        try:
            record = parse_json(line)
        except ValueError:
            continue
        if isinstance(record, dict):
            records.append(record)
    return records
