"""Problems in user input, and the exit codes of the program."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from os import PathLike, fspath
from typing import Any, Literal

Severity = Literal["error", "warning"]

MAX_PROBLEMS = 5000
"""The search for problems in a text stops after this number of errors."""


class ExitCode(IntEnum):
    """The exit codes of the commands."""

    OK = 0
    INVALID_INPUT = 1  # the config, the data or the model is wrong
    USAGE = 2  # the command line is wrong
    BUG = 3  # layercli itself is wrong
    INTERRUPTED = 130
    TERMINATED = 143


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One error or warning: its location, its message and a hint to fix it."""

    code: str
    message: str
    hint: str | None = None
    severity: Severity = "error"
    path: str = ""
    file: str | None = None
    line: int | None = None
    column: int | None = None
    excerpt: str | None = None
    """The line of the file as written. Printed as text only, not part of the JSON."""
    via: str | None = None
    """A sentence that names the block, variable or file through which the value was inserted."""

    @property
    def full_message(self) -> str:
        """The message, followed by ``via``."""
        return f"{self.message} {self.via}" if self.via else self.message

    @property
    def location_prefix(self) -> str:
        """``file:line:column: ``, without the parts that are unknown."""
        return "".join(f"{step}:" for step in (self.file, self.line, self.column) if step is not None) + (
            " " if self.file else ""
        )

    def as_json(self) -> dict[str, object]:
        """Return the JSON object that every command prints with ``--json``."""
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

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Problem:
        """Return the problem that ``as_json`` wrote; ``message`` then includes ``via``."""
        return cls(**document)


class ProblemList(list[Problem]):
    """Problems in the order in which they are found. Too many errors stop the search."""

    _error_count = 0

    def append(self, problem: Problem) -> None:
        """Add a problem.

        Raises:
            TooManyProblemsError: it is one too many.
        """
        super().append(problem)
        self._error_count += problem.severity == "error"
        if self._error_count >= MAX_PROBLEMS:
            raise TooManyProblemsError(self)

    def extend(self, problems: Iterable[Problem]) -> None:
        """Add problems.

        Raises:
            TooManyProblemsError: they are too many.
        """
        for problem in problems:
            self.append(problem)


class LayercliError(Exception):
    """An expected failure caused by user input or the environment; ``problems`` lists the causes."""

    exit_code: ExitCode = ExitCode.INVALID_INPUT

    def __init__(self, problems: Problem | Iterable[Problem]) -> None:
        self.problems = [problems] if isinstance(problems, Problem) else list(problems)
        super().__init__(self.problems)

    def __str__(self) -> str:
        return "\n".join(f"{problem.location_prefix}{problem.full_message}" for problem in self.problems)


class InvalidConfigError(LayercliError):
    """The problems that ``validate`` finds in a config, too."""


class TooManyProblemsError(LayercliError):
    """The first problems of a text with too many of them."""


def has_errors(problems: Iterable[Problem]) -> bool:
    """Return whether any of the problems is an error."""
    return any(problem.severity == "error" for problem in problems)


def find_first_error(problems: Sequence[Problem]) -> Problem:
    """Return the first problem that is an error; the first warning if there is none."""
    return next((problem for problem in problems if problem.severity == "error"), problems[0])


def make_file_error(
    file: str | PathLike[str], code: str, message: str, hint: str | None = None
) -> LayercliError:
    """Return an error with one problem that names a file and no line."""
    return LayercliError(Problem(code=code, message=message, hint=hint, file=fspath(file)))
