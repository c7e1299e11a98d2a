"""Read the records of a run that are one line of JSON each, even while they are written or after they were damaged."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from layercli.io.regular import parse_json, require_few_values
from layercli.runs.directory import HISTORY
from layercli.runs.manifest import open_verified

_MAX_FILE_BYTES: Final = 64 << 20


def read_records(run: Path, name: str) -> list[dict[str, Any]]:
    """Return the records in a file of a run, without lines that cannot be read; empty if the file does not exist.

    Raises:
        LayercliError: The file was modified after training.
    """
    try:
        with open_verified(run, name) as file:
            content = file.read(_MAX_FILE_BYTES + 1)
        require_few_values(content)
    except (OSError, ValueError):
        return []
    if len(content) > _MAX_FILE_BYTES:
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


def find_last_stage(run: Path, count: int) -> int | None:
    """Return the stage, counted from 0, of the last epoch of a run of ``count`` stages; None if it is unknown.

    A limit or a callback can end a training before its last stage.

    Raises:
        LayercliError: The history was modified after training.
    """
    records = read_records(run, HISTORY)
    stage = records[-1].get("stage") if records else None
    return stage - 1 if type(stage) is int and 1 <= stage <= count else None
