"""What ``validate --fix`` changes: a word or value in its place, where the hint leaves no doubt and the check agrees."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path

import yaml

from layercli.check import check
from layercli.errors import LayercliError, Problem
from layercli.runs.directory import staged
from layercli.source.load import Loader, split_lines

_MEANT = re.compile(r"Did you mean `([^`]+)`\?")
_WRITE = re.compile(
    r"Write (?:it as a number, without quotes or separators: )?`(?:(?P<key>\w+): )?(?P<value>[^`]+)`\."
)
_ALIKE = 0.75
"""How alike a word must be to the one that was meant, by difflib's ratio."""
_ROUNDS = 5
"""A mended line can show what was hidden behind it."""


@dataclass(frozen=True, slots=True, order=True)
class _Edit:
    """A stretch of one line, and what comes in its place."""

    line: int
    start: int
    end: int
    new: str


def mended(file: str) -> tuple[str, str]:
    """The text of a file as it is, and with what can be mended with certainty; the two are equal where nothing can."""
    try:
        with Path(file).open(encoding="utf-8", newline="") as stream:
            before = stream.read()
    except (OSError, ValueError):  # the check says what is wrong with it
        return "", ""
    after = before
    for _ in range(_ROUNDS):
        better = _better(file, after)
        if better == after:
            break
        after = better
    return before, after


def write(file: str, text: str) -> None:
    """Write the text in place of the file's, all of it or nothing.

    Raises:
        LayercliError: it cannot be written.
    """
    path = Path(file).resolve()  # a link stays a link
    try:
        mode = path.stat().st_mode
        with staged(path) as staging:
            staging.write_bytes(text.encode())
        path.chmod(mode)
    except OSError as error:
        message = f"The file cannot be written: {error.strerror or error}."
        raise LayercliError(Problem(code="cannot-write", message=message, file=file)) from None


def _better(file: str, text: str) -> str:
    """The text with all edits at once, or with the first that makes it better by itself."""
    errors = _errors(file, text)
    edits = _edits(file, text, errors)
    for some in (edits, *([edit] for edit in edits)):
        new = _applied(text, some)
        if some and _improves(errors, _errors(file, new), {edit.line: edit for edit in some}):
            return new
    return text


def _errors(file: str, text: str) -> list[Problem]:
    body = text.removeprefix("\ufeff")
    return [problem for problem in check(file, text=body).problems if problem.severity == "error"]


def _improves(before: list[Problem], after: list[Problem], edits: dict[int, _Edit]) -> bool:
    """Whether there are fewer errors, and none that was not there; a word that is now known may show what it hid."""
    new = _places(after) - _places(before)
    gone = _places(before) - _places(after)
    shown = {line for code, line in gone if code in ("unknown-type", "unknown-key")}
    return (
        bool(gone)
        and all(code != "duplicate-key" and line in shown and line in edits for code, line in new)
        and (len(after) < len(before) or bool(shown))
    )


def _places(problems: list[Problem]) -> Counter[tuple[str, int | None]]:
    return Counter((problem.code, problem.line) for problem in problems)


def _edits(file: str, text: str, errors: list[Problem]) -> list[_Edit]:
    lines = split_lines(text.removeprefix("\ufeff"))
    scalars = _scalars(lines)
    edits = set()
    for problem in errors:
        place = (problem.line or 0, problem.column or 0)
        if problem.file != file or place not in scalars:
            continue
        end, received = scalars[place]
        new = _replacement(problem, received)
        if new is not None:
            edits.add(_Edit(place[0], place[1] - 1, end, new))
    return sorted(edits)


def _replacement(problem: Problem, received: str) -> str | None:
    """What the hint says to write in place of the word or value, where that is certain."""
    meant = _MEANT.fullmatch(problem.hint or "")
    if meant is not None:
        return meant[1] if _alike(received, meant[1]) else None
    write = _WRITE.fullmatch(problem.hint or "")
    if write is None or (write["key"] is None and not write["value"].startswith("[")):
        return None
    own_key = problem.path.rpartition(".")[2].partition("[")[0]
    fits = write["key"] in (None, own_key) or problem.through is not None  # a variable has a name of its own
    return write["value"] if fits and "..." not in write["value"] else None


def _alike(one: str, other: str) -> bool:
    return SequenceMatcher(a=one.lower(), b=other.lower()).ratio() >= _ALIKE


def _scalars(lines: list[str]) -> dict[tuple[int, int], tuple[int, str]]:
    """Where each word or value of one line begins (line and column from 1) -> the column at which it ends, and its text."""
    found = {}
    loader = Loader("\n".join(lines))
    try:
        while loader.check_token():
            token = loader.get_token()
            if isinstance(token, yaml.ScalarToken) and token.start_mark.line == token.end_mark.line:
                start = (token.start_mark.line + 1, token.start_mark.column + 1)
                found[start] = (token.end_mark.column, token.value)
    except yaml.YAMLError:
        return {}
    finally:
        loader.dispose()
    return found


def _applied(text: str, edits: list[_Edit]) -> str:
    """The text with these stretches replaced; every other byte stays."""
    bom = "\ufeff" if text.startswith("\ufeff") else ""
    body = text.removeprefix("\ufeff")
    starts = [0]
    for line in split_lines(body):
        end = starts[-1] + len(line)
        starts.append(end + (2 if body[end : end + 2] == "\r\n" else 1))
    for edit in sorted(edits, reverse=True):
        offset = starts[edit.line - 1]
        body = body[: offset + edit.start] + edit.new + body[offset + edit.end :]
    return bom + body
