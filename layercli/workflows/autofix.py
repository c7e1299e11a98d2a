"""Compute the changes of ``validate --fix``: replacements that a hint states and that a second check confirms."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path

import yaml

from layercli.check import check_config
from layercli.errors import Problem
from layercli.io.atomic import report_write_errors, write_bytes
from layercli.source.load import YamlLoader, split_lines

_SUGGESTION_PATTERN = re.compile(r"Did you mean `([^`]+)`\?")
_REPLACEMENT_PATTERN = re.compile(
    r"(?:Write(?: it as a number, without quotes or separators:)?|Remove the quotes(?: and separators)?:) "
    r"`(?:(?P<key>\w+): )?(?P<value>[^`]+)`\."
)
_MIN_SIMILARITY = 0.75
"""Minimum ``difflib`` ratio between a word and its suggested replacement."""
_MAX_ROUNDS = 5
"""Maximum number of rounds; a fixed line can reveal a new error."""


@dataclass(frozen=True, slots=True, order=True)
class _Edit:
    """A replacement of a range of one line."""

    line: int
    start: int
    end: int
    replacement: str


def compute_fixes(file: str) -> tuple[str, str]:
    """Return the text of a file before and after all safe fixes; both are equal if nothing can be fixed."""
    try:
        with Path(file).open(encoding="utf-8", newline="") as stream:
            before = stream.read()
    except (OSError, ValueError):  # the check reports the error
        return "", ""
    after = before
    for _ in range(_MAX_ROUNDS):
        better = _apply_safe_edits(file, after)
        if better == after:
            break
        after = better
    return before, after


def write_fixed_file(file: str, text: str) -> None:
    """Replace the text of the file. The file is written completely or not at all.

    Raises:
        LayercliError: The file cannot be written.
    """
    path = Path(file).resolve()  # a link stays a link
    with report_write_errors("The file", file):
        mode = path.stat().st_mode
        write_bytes(path, text.encode())
        path.chmod(mode)


def _apply_safe_edits(file: str, text: str) -> str:
    """Return the text with all edits, or else with the first single edit that is an improvement."""
    errors = _find_errors(file, text)
    edits = _find_edits(file, text, errors)
    for candidate in (edits, *([edit] for edit in edits)):
        fixed = _apply_edits(text, candidate)
        if candidate and _is_improvement(
            errors, _find_errors(file, fixed), {edit.line: edit for edit in candidate}
        ):
            return fixed
    return text


def _find_errors(file: str, text: str) -> list[Problem]:
    body = text.removeprefix("\ufeff")
    return [problem for problem in check_config(file, text=body).problems if problem.severity == "error"]


def _is_improvement(before: list[Problem], after: list[Problem], edits: dict[int, _Edit]) -> bool:
    """Return whether errors were resolved and no unrelated ones appeared.

    A new error is accepted on a line whose unknown word was replaced, because the word hid it.
    """
    new = _count_locations(after) - _count_locations(before)
    resolved = _count_locations(before) - _count_locations(after)
    revealed_lines = {line for code, line in resolved if code in ("unknown-type", "unknown-key")}
    return (
        bool(resolved)
        and all(code != "duplicate-key" and line in revealed_lines and line in edits for code, line in new)
        and (len(after) < len(before) or bool(revealed_lines))
    )


def _count_locations(problems: list[Problem]) -> Counter[tuple[str, int | None]]:
    return Counter((problem.code, problem.line) for problem in problems)


def _find_edits(file: str, text: str, errors: list[Problem]) -> list[_Edit]:
    lines = split_lines(text.removeprefix("\ufeff"))
    scalars = _locate_scalars(lines)
    edits = set()
    for problem in errors:
        position = (problem.line or 0, problem.column or 0)
        if problem.file != file or position not in scalars:
            continue
        end, current = scalars[position]
        new = _find_replacement(problem, current)
        if new is not None:
            edits.add(_Edit(position[0], position[1] - 1, end, new))
    return sorted(edits)


def _find_replacement(problem: Problem, current: str) -> str | None:
    """Return the replacement that the hint states, or None if it is not certain."""
    suggestion = _SUGGESTION_PATTERN.fullmatch(problem.hint or "")
    if suggestion is not None:
        return suggestion[1] if _is_similar(current, suggestion[1]) else None
    write = _REPLACEMENT_PATTERN.fullmatch(problem.hint or "")
    if write is None or (write["key"] is None and not write["value"].startswith("[")):
        return None
    own_key = problem.path.rpartition(".")[2].partition("[")[0]
    has_matching_key = (
        write["key"] in (None, own_key) or problem.via is not None
    )  # a variable has a different name than the key
    return write["value"] if has_matching_key and "..." not in write["value"] else None


def _is_similar(one: str, other: str) -> bool:
    return SequenceMatcher(a=one.lower(), b=other.lower()).ratio() >= _MIN_SIMILARITY


def _locate_scalars(lines: list[str]) -> dict[tuple[int, int], tuple[int, str]]:
    """Return the start of each scalar on one line (line and column from 1) -> its end column and its text."""
    scalars = {}
    loader = YamlLoader("\n".join(lines))
    try:
        while loader.check_token():
            token = loader.get_token()
            if isinstance(token, yaml.ScalarToken) and token.start_mark.line == token.end_mark.line:
                start = (token.start_mark.line + 1, token.start_mark.column + 1)
                scalars[start] = (token.end_mark.column, token.value)
    except yaml.YAMLError:
        return {}
    finally:
        loader.dispose()
    return scalars


def _apply_edits(text: str, edits: list[_Edit]) -> str:
    """Return the text with the edits applied; every other byte is unchanged."""
    bom = "\ufeff" if text.startswith("\ufeff") else ""
    body = text.removeprefix("\ufeff")
    starts = [0]
    for line in split_lines(body):
        end = starts[-1] + len(line)
        starts.append(end + (2 if body[end : end + 2] == "\r\n" else 1))
    for edit in sorted(edits, reverse=True):
        offset = starts[edit.line - 1]
        body = body[: offset + edit.start] + edit.replacement + body[offset + edit.end :]
    return bom + body
