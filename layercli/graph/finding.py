"""What is wrong between parts of a config, before it is placed in a file."""

from __future__ import annotations

from dataclasses import dataclass

from layercli.errors import Severity
from layercli.source.nodes import KeyPath


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Two parts of a config that do not fit."""

    code: str
    message: str
    path: KeyPath
    hint: str | None = None
    severity: Severity = "error"
    other_path: KeyPath | None = None
    """Another place that the message names as ``{}``."""
    at_key: bool = False
    """Whether the key at the path is what is wrong, not its value."""
