"""Problems for the terminal, JSON and GitHub: location, message, source line and fix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from layercli.errors import Problem
from layercli.io.credentials import hide_credentials
from layercli.source.nodes import replace_unprintable, sanitize_text

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

MAX_SHOWN_PROBLEMS = 20
ALL_ADVICE = "`layercli validate --all` shows all of a config."


def print_problems(
    console: Console, problems: Sequence[Problem], *, show_all: bool = False, advice: str = ""
) -> None:
    """Print the first problems, and the total with the advice how to see the others if there are more; or all."""
    from rich.text import Text

    shown = problems if show_all else problems[:MAX_SHOWN_PROBLEMS]
    for problem in shown:
        # Wrap at words on a terminal; elsewhere print one line per problem, for other programs.
        console.print(_problem_text(problem, console.width), soft_wrap=not console.is_terminal)
    if len(problems) > len(shown):
        line = (
            f"… and {len(problems) - len(shown)} more; {len(problems)} problems in total. {advice}".rstrip()
        )
        console.print(Text(line), soft_wrap=not console.is_terminal)


def problems_json(problems: Sequence[Problem], *, show_all: bool = False) -> dict[str, Any]:
    """Return the ``problems`` of a JSON document: the first ones, and ``problem_count`` if there are more; or all."""
    shown = problems if show_all else problems[:MAX_SHOWN_PROBLEMS]
    document: dict[str, Any] = {"problems": [problem.as_json() for problem in shown]}
    if len(problems) > len(shown):
        document["problem_count"] = len(problems)
    return document


def github_annotation(problem: Problem) -> str:
    """Return the problem as a workflow command, which GitHub shows next to the line."""
    places = {
        "file": problem.file and replace_unprintable(problem.file),
        "line": problem.line,
        "col": problem.column,
        "title": f"layercli {problem.code}",
    }
    properties = ",".join(
        f"{key}={_percent_encode(str(value), ':,')}" for key, value in places.items() if value is not None
    )
    text = sanitize_text(problem.full_message) + (
        f"\nfix: {sanitize_text(problem.hint)}" if problem.hint else ""
    )
    return f"::{problem.severity} {properties}::{_percent_encode(text)}"


def print_text_diff(console: Console, name: str, before: str, after: str) -> None:
    """Print the changed lines of a file in the format of ``diff -u``."""
    from difflib import unified_diff

    from rich.text import Text

    colors = {"+": "green", "-": "red", "@": "cyan"}
    lines = (before.splitlines(), after.splitlines())
    for line in unified_diff(*lines, f"{name} (current)", f"{name} (fixed)", lineterm="", n=1):
        bold = "bold" if line.startswith(("+++", "---")) else colors.get(line[:1], "")
        console.print(Text(sanitize_text(line), style=bold), soft_wrap=True)


def print_unsafe_fixes(console: Console, fixes: Sequence[tuple[Problem, str]]) -> None:
    """Print each problem whose fix was not applied, with the reason."""
    from rich.text import Text

    if not fixes:
        return
    console.print(Text("Unsafe fixes, not applied:", style="bold"))
    for problem, reason in fixes[:MAX_SHOWN_PROBLEMS]:
        text = f"  {problem.location_prefix}{problem.hint} Not applied: {reason}."
        console.print(Text(sanitize_text(text)), soft_wrap=not console.is_terminal)
    console.print()


def _percent_encode(text: str, others: str = "") -> str:
    """Return the text percent-encoded for GitHub's runner."""
    for char in f"%\r\n{others}":
        text = text.replace(char, f"%{ord(char):02X}")
    return text


def _problem_text(problem: Problem, width: int) -> Text:
    from rich.text import Text

    color = "red" if problem.severity == "error" else "yellow"
    text = Text(sanitize_text(problem.location_prefix), style="bold")
    text.append(f"{problem.severity}", style=f"bold {color}")
    text.append(f": {sanitize_text(problem.full_message)}")
    text.append(f" [{problem.code}]\n", style="dim")
    is_shown = problem.excerpt is not None and hide_credentials(problem.excerpt) == problem.excerpt
    if is_shown and problem.excerpt and problem.line is not None and problem.column is not None:
        text.append(_excerpt_text(problem.excerpt, problem.line, problem.column, width, color))
    if problem.hint:
        text.append("  fix: ", style="bold green")
        text.append(f"{sanitize_text(problem.hint)}\n")
    return text


def _excerpt_text(line: str, number: int, column: int, width: int, color: str) -> Text:
    """Return the line with a caret below the column; a long line is cut around it."""
    from rich.cells import cell_len
    from rich.text import Text

    room = max(width - len(f"  {number} | ") - 1, 20)
    start = max(0, column - 1 - room // 2) if len(line) > room else 0
    lead = "…" if start else ""
    shown = sanitize_text(lead + line[start : start + room - len(lead)])
    text = Text(f"  {number} | ", style="dim")
    text.append(f"{shown}\n", style="none")
    text.append(" " * len(str(number)) + "   | ", style="dim")
    before = cell_len(shown[: column - 1 - start + len(lead)])  # a wide character takes two cells
    text.append(" " * before + "^\n", style=f"bold {color}")
    return text
