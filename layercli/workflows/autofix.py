"""Compute the changes of ``validate --fix``: safe fixes, which a second check confirms, and unsafe ones, only to show."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import yaml

from layercli.check import CheckResult
from layercli.errors import Problem
from layercli.io.atomic import report_write_errors, write_bytes
from layercli.schema.other_names import find_renamed_key
from layercli.schema.suggestions import Suggestion
from layercli.source.load import YamlLoader, split_lines
from layercli.workflows.config_files import check_text

_REPLACEMENT_PATTERN = re.compile(
    r"(?:Write(?: it as a number, without quotes or separators:)?|Remove the quotes(?: and separators)?:) "
    r"`(?:(?P<key>\w+): )?(?P<value>[^`]+)`\."
)
_VALUE_CODES = (
    "unknown-key",
    "unknown-type",
    "unknown-value",
    "wrong-type",
    "out-of-range",
    "wrong-length",
    "not-finite",
    "bad-argument",
    "duplicate-key",
)
"""Codes of problems of a key or value itself."""
_MAX_ROUNDS = 5
"""Maximum number of rounds; a fixed line can reveal a new error."""
_MAX_SINGLE_EDITS = 50
"""Maximum number of edits that are tried one by one."""
_MAX_CHECKED_TEXT = 5_000_000
"""Maximum number of characters of the texts that are checked to try edits one by one."""

Check: TypeAlias = Callable[[str, str], CheckResult]
"""Checks a text in place of the content of a file."""


@dataclass(frozen=True, slots=True, order=True)
class _Edit:
    """A replacement of a range of one line."""

    line: int
    start: int
    end: int
    replacement: str
    path: str
    """The path of the value or entry in the fixed config."""
    reveals_errors: bool


@dataclass(frozen=True, slots=True)
class UnsafeFix:
    """A fix that is not applied because it may change the meaning of the config."""

    problem: Problem
    reason: str


def compute_fixes(file: str) -> tuple[str, str]:
    """Return the text of a file before and after all safe fixes; both are equal if nothing can be fixed."""
    try:
        with Path(file).open(encoding="utf-8", newline="") as stream:
            before = stream.read()
    except (OSError, ValueError):  # the check reports the error
        return "", ""
    return before, fix_text(file, before)


def fix_text(file: str, text: str, check: Check = check_text) -> str:
    """Return a text in place of the content of a file after all safe fixes."""
    for _ in range(_MAX_ROUNDS):
        better = _apply_safe_edits(file, text, check)
        if better == text:
            break
        text = better
    return text


def fix_problem(file: str, text: str, problem: Problem, check: Check = check_text) -> str | None:
    """Return the text after the safe fix of one problem, or None if it has none."""
    edits = _find_edits(file, text, [problem])
    if not edits:
        return None
    fixed = _apply_edits(text, edits)
    before, after = _find_errors(file, text, check), _find_errors(file, fixed, check)
    return fixed if _is_improvement(before, after, edits) else None


def find_unsafe_fixes(file: str) -> list[UnsafeFix]:
    """Return the fixes that hints of a file's errors suggest, but that are not safe."""
    try:
        with Path(file).open(encoding="utf-8", newline="") as stream:
            text = stream.read()
    except (OSError, ValueError):
        return []
    errors = _find_errors(file, text)
    shown = [problem for problem in errors if _has_unsafe_fix(problem)]
    return [UnsafeFix(problem, _explain_unsafe(problem, file, text, errors)) for problem in shown]


def _has_unsafe_fix(problem: Problem) -> bool:
    """Return whether the hint of a problem states what to write."""
    is_name = problem.code in ("unknown-key", "unknown-type")
    return isinstance(problem.hint, Suggestion) or (is_name and (problem.hint or "").startswith("Write "))


def _explain_unsafe(problem: Problem, file: str, text: str, errors: list[Problem]) -> str:
    """Return why the fix of a problem is not safe, as a clause."""
    if not isinstance(problem.hint, Suggestion):
        return "it needs a decision"
    if problem.hint.reason_against is not None:
        return problem.hint.reason_against
    edits = _find_edits(file, text, [problem])
    if not edits:
        return "the value is not a word on one line of this file"
    known = {(error.code, error.line, error.path) for error in errors}
    caused = [
        error.message
        for error in _find_errors(file, _apply_edits(text, edits))
        if (error.code, error.line, error.path) not in known
    ]
    return caused[0].removesuffix(".") if caused else "it would cause another problem"


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


def _apply_safe_edits(file: str, text: str, check: Check) -> str:
    """Return the text with all edits, otherwise with those that are improvements one after the other."""
    errors = _find_errors(file, text, check)
    edits = _find_edits(file, text, errors)
    if not edits:
        return text
    fixed = _apply_edits(text, edits)
    if _is_improvement(errors, _find_errors(file, fixed, check), edits):
        return fixed
    accepted: list[_Edit] = []
    for edit in edits[: _count_single_edits(text)]:
        fixed = _apply_edits(text, [*accepted, edit])
        if _is_improvement(errors, _find_errors(file, fixed, check), [*accepted, edit]):
            accepted.append(edit)
    return _apply_edits(text, accepted)


def _count_single_edits(text: str) -> int:
    """Return how many edits of a text are tried one by one: of a long text fewer, since each one is a check."""
    return min(_MAX_SINGLE_EDITS, _MAX_CHECKED_TEXT // max(1, len(text)))


def _find_errors(file: str, text: str, check: Check = check_text) -> list[Problem]:
    problems = check(file, text.removeprefix("\ufeff")).problems
    return [problem for problem in problems if problem.severity == "error"]


def _is_improvement(before: list[Problem], after: list[Problem], edits: list[_Edit]) -> bool:
    """Return whether all edited lines lost an error, and no replaced key or value has a new one without a safe fix.

    Errors elsewhere are accepted, because they were hidden: the model is only checked if every layer is valid. The
    replacement of a type reveals the errors of its arguments.
    """
    known, left = Counter(map(_make_problem_key, before)), Counter(map(_make_problem_key, after))
    resolved_lines = {line for _, line, _ in known - left}
    if not all(edit.line in resolved_lines for edit in edits):
        return False
    return not any(
        _make_problem_key(problem) not in known
        and _find_replacement(problem) is None
        and (problem.code == "duplicate-key" or any(_is_caused_by(problem, edit) for edit in edits))
        for problem in after
    )


def _is_caused_by(problem: Problem, edit: _Edit) -> bool:
    """Return whether a new problem is one of the replaced key or value itself, not of the arguments that it reveals."""
    if problem.code not in _VALUE_CODES:
        return problem.code == "yaml-syntax"
    if edit.reveals_errors:
        return problem.path in (edit.path, f"{edit.path}.type") or problem.path.startswith(f"{edit.path}[")
    return problem.path == edit.path or problem.path.startswith((f"{edit.path}.", f"{edit.path}["))


def _make_problem_key(problem: Problem) -> tuple[str, int | None, str]:
    return problem.code, problem.line, problem.path


def _find_edits(file: str, text: str, errors: list[Problem]) -> list[_Edit]:
    lines = split_lines(text.removeprefix("\ufeff"))
    scalars = _locate_scalars(lines)
    edits: dict[tuple[int, int], _Edit] = {}
    for problem in errors:
        position = (problem.line or 0, problem.column or 0)
        if problem.file != file or position not in scalars:
            continue
        edit = _make_edit(problem, lines[position[0] - 1], *scalars[position])
        if edit is not None:
            edits.setdefault(position, edit)
    return sorted(edits.values())


def _make_edit(problem: Problem, line: str, end: int, current: str) -> _Edit | None:
    """Return the edit that the hint of a problem states, or None if it is not safe."""
    assert problem.line is not None
    assert problem.column is not None
    start, path = problem.column - 1, problem.path
    new = _find_replacement(problem)
    if new is None:
        return None
    reveals_errors = False
    if problem.code == "unknown-key" and "." in current:  # a path in `space` of a sweep file
        steps = [new if step == _find_quoted_word(problem.message) else step for step in current.split(".")]
        new = ".".join(steps)
        return _Edit(problem.line, start, end, new, path, reveals_errors=False) if new != current else None
    if problem.code == "unknown-key":
        path = f"{path.removesuffix(current)}{new}"
        reveals_errors = find_renamed_key(current, [new]) is not None
    if problem.code != "unknown-type":
        return _Edit(problem.line, start, end, new, path, reveals_errors=reveals_errors)
    if new.startswith("{") and (before := re.search(r"\btype:\s*$", line[:start])) is not None:
        items = re.split(r", (?=\w+: )", new[1:-1].removeprefix("type: "))
        is_block = re.fullmatch(r"[\s-]*", line[: before.start()]) is not None
        new = f"\n{' ' * before.start()}".join(items) if is_block else ", ".join(items)
    return _Edit(problem.line, start, end, new, path.removesuffix(".type"), reveals_errors=True)


def _find_replacement(problem: Problem) -> str | None:
    """Return the replacement that the hint states, or None if it is not certain."""
    if isinstance(problem.hint, Suggestion):
        return problem.hint.replacement if problem.hint.reason_against is None else None
    write = _REPLACEMENT_PATTERN.fullmatch(problem.hint or "") if problem.code == "wrong-type" else None
    if write is None:
        return None
    is_value = write["value"].startswith("[") or write[0].startswith("Remove the quotes")
    if write["key"] is None and not is_value:
        return None
    own_key = problem.path.rpartition(".")[2].partition("[")[0]
    has_matching_key = (
        write["key"] in (None, own_key) or problem.via is not None
    )  # a variable has a different name than the key
    return write["value"] if has_matching_key and "..." not in write["value"] else None


def _find_quoted_word(message: str) -> str | None:
    found = re.search(r'"([^"]+)"', message)
    return found[1] if found is not None else None


def _locate_scalars(lines: list[str]) -> dict[tuple[int, int], tuple[int, str]]:
    """Return the start of each scalar on one line (line and column from 1) -> its end column and its text."""
    scalars = {}
    try:
        loader = YamlLoader("\n".join(lines))
    except UnicodeEncodeError:  # the text has a lone surrogate
        return {}
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
        replacement = edit.replacement.replace("\n", "\r\n" if "\r\n" in body else "\n")
        body = body[: offset + edit.start] + replacement + body[offset + edit.end :]
    return bom + body
