"""A problem between parts of a config that has no position in a file yet."""

from __future__ import annotations

from dataclasses import dataclass

from layercli.errors import Severity
from layercli.source.nodes import KeyPath


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A mismatch between two parts of a config."""

    code: str
    message: str
    path: KeyPath
    hint: str | None = None
    severity: Severity = "error"
    other_path: KeyPath | None = None
    """A second path, whose line replaces ``{}`` in the message."""
    at_key: bool = False
    """Whether the key at the path is wrong, not its value."""
