"""A problem between parts of a config that has no position in a file yet."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

from layercli.errors import Problem, Severity
from layercli.source.nodes import KeyPath

_CONFIG_CHANGE: Final = re.compile(
    r"`(?:missing|types|dates|decimal|thousands|encoding|separator|label_separators|target_type)\b[^`]*`"
)
"""A change of `data` in a hint."""


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

    def to_new_data_problem(self, file: str | None) -> Problem:
        """Return the problem of new data for a model that is trained, whose config cannot change any more."""
        problem = self.to_file_problem(file)
        changes = _CONFIG_CHANGE.findall(problem.hint or "")
        if not changes:
            return problem
        hint = f"Correct these values in the file, or remove their rows; {' or '.join(changes)} would need a new training."
        return replace(problem, hint=hint)

    def to_file_problem(self, file: str | None) -> Problem:
        """Return the problem of data that no config names, such as new examples: it is in a file, not at a key."""
        return Problem(
            code=self.code, message=self.message, hint=self.hint, severity=self.severity, file=file
        )
