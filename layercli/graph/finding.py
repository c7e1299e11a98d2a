"""A problem between parts of a config that has no position in a file yet."""

from __future__ import annotations

from dataclasses import dataclass

from layercli.errors import Problem, Severity
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

    def to_file_problem(self, file: str | None) -> Problem:
        """Return the problem of data that no config names, such as new examples: it is in a file, not at a key."""
        return Problem(
            code=self.code, message=self.message, hint=self.hint, severity=self.severity, file=file
        )
