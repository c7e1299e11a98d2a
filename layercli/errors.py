"""What can be wrong with what a person gave us, and how the program ends."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

Severity = Literal["error", "warning"]


class ExitCode(IntEnum):
    """How a command ends."""

    OK = 0
    INVALID_INPUT = 1  # the config, the data or the model is wrong
    USAGE = 2  # the command line is wrong
    BUG = 3  # layercli itself is wrong
    INTERRUPTED = 130
    TERMINATED = 143


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong, where it stands, and how to mend it."""

    code: str
    message: str
    hint: str | None = None
    severity: Severity = "error"
    path: str = ""
    file: str | None = None
    line: int | None = None
    column: int | None = None
    excerpt: str | None = None
    """The line of the file as written; for people, not part of the JSON."""
    via: str | None = None
    """How what stands there came to where it is wrong, as a sentence: through a block, a variable or a file."""

    @property
    def full_message(self) -> str:
        """The message, with the way that what is wrong has come."""
        return f"{self.message} {self.via}" if self.via else self.message

    @property
    def location_prefix(self) -> str:
        """``file:line:column: ``, as far as they are known."""
        return "".join(f"{step}:" for step in (self.file, self.line, self.column) if step is not None) + (
            " " if self.file else ""
        )

    def as_json(self) -> dict[str, object]:
        """The problem as every command prints it under ``--json``."""
        return {
            "code": self.code,
            "severity": self.severity,
            "message": self.full_message,
            "hint": self.hint,
            "path": self.path,
            "file": self.file,
            "line": self.line,
            "column": self.column,
        }


class LayercliError(Exception):
    """An expected failure: what the person gave is wrong, and ``problems`` says why."""

    exit_code: ExitCode = ExitCode.INVALID_INPUT

    def __init__(self, problems: Problem | Iterable[Problem]) -> None:
        self.problems = [problems] if isinstance(problems, Problem) else list(problems)
        super().__init__(
            "\n".join(f"{problem.location_prefix}{problem.full_message}" for problem in self.problems)
        )


def has_errors(problems: Iterable[Problem]) -> bool:
    """Whether any of the problems is more than a warning."""
    return any(problem.severity == "error" for problem in problems)
