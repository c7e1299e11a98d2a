"""The file summary.json of a run: what its training ended with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from layercli.io.regular import parse_json
from layercli.runs.directory import SUMMARY
from layercli.runs.manifest import open_verified

_MAX_BYTES: Final = 64 << 20


def read_summary(path: Path) -> Mapping[str, Any]:
    """Return the content of a run's summary; empty if it cannot be read.

    Raises:
        LayercliError: It was modified after training.
    """
    try:
        with open_verified(path, SUMMARY) as file:
            content = file.read(_MAX_BYTES + 1)
        document = parse_json(content) if len(content) <= _MAX_BYTES else None
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def find_guess(summary: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a guess from the training targets predicts, as nested lists by output; empty if it is unknown."""
    baseline = summary.get("baseline")
    constants = baseline.get("constants") if isinstance(baseline, dict) else None
    return constants if isinstance(constants, dict) else {}
