"""What is a defect in the answer of a command."""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from jsonschema.exceptions import ValidationError

from tests.json_documents import check_document
from tests.running import invoke

SECONDS: Final = 120
"""Limit of the processor time of a command."""
_BUSY_FACTOR: Final = 5
"""How much longer a command may take than its processor time, since the machine may be busy."""
RAW_MESSAGES: Final = (
    "Traceback", "tensorflow.python", "<class '", "Exception encountered when calling", "{{function_node", "pydantic",
    "ValueError:", "TypeError:", "KeyError:", "AttributeError:", "InvalidArgumentError", "KerasTensor", "object at 0x",
    "site-packages", "Graph execution error", "[Op:", "UserWarning", "DeprecationWarning", "RuntimeWarning", "Symbol(",
)  # fmt: skip
"""Texts of Python and of the frameworks, which mean nothing to a user."""
_OWN_ERRORS: Final = re.compile(r"make\.py:make raised \w+")
"""What the user's own function raises is quoted."""
_PRINTS_PROBLEMS: Final = ("validate", "inspect-data", "runs")
"""Commands whose result is a list of problems, so that it belongs on standard output."""
_WRITTEN_OPTIONS: Final = ("--output", "--plot", "--sheet")
_PARTIAL: Final = re.compile(r"\.partial-|\.tmp$|\.staging")


class HangError(BaseException):
    """A command takes too long; no command catches this."""


@contextmanager
def time_limit(seconds: float = SECONDS) -> Iterator[None]:
    """Raise an error that no command catches if the block takes too much processor time, or far too long."""

    def stop(*_: object) -> None:
        raise HangError

    timers = (
        (signal.SIGPROF, signal.ITIMER_PROF, seconds),
        (signal.SIGALRM, signal.ITIMER_REAL, seconds * _BUSY_FACTOR),
    )
    before = [signal.signal(number, stop) for number, _, _ in timers]
    for _, timer, limit in timers:
        signal.setitimer(timer, limit)
    try:
        yield
    finally:
        for (number, timer, _), handler in zip(timers, before, strict=True):
            signal.setitimer(timer, 0)
            signal.signal(number, handler)


def run_command(arguments: Sequence[str], folder: Path) -> tuple[int | None, str, list[str]]:
    """Run a command in the folder; return exit code, output and defects."""
    outputs = _list_outputs(arguments, folder)
    existing = {path for path in outputs if path.exists()}
    start = sum(os.times()[:4])
    try:
        with time_limit():
            result = invoke(*arguments)
    except HangError:
        return None, "", [f"hang: more than {SECONDS} s of processor time"]
    code, output = result.exit_code, f"{result.stdout}{result.stderr}"
    defects = []
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        defects.append(f"exception: {result.exception!r}"[:300])
    elif code not in (0, 1, 2):
        defects.append(f"exit code {code}: {output[-300:]}")
    output = _OWN_ERRORS.sub("", output)
    defects += [
        f"raw message {mark!r}: {_cut_around(output, mark)}" for mark in RAW_MESSAGES if mark in output
    ]
    defects += _find_wrong_streams(arguments, code, result.stdout, result.stderr)
    if code != 0:
        defects += [
            f"left after an error: {path.name}" for path in outputs if path.exists() and path not in existing
        ]
    found = [path for path in folder.rglob("*") if _PARTIAL.search(path.name)]
    defects += [f"temporary file left: {path.relative_to(folder)}" for path in found]
    seconds = sum(os.times()[:4]) - start
    if seconds > SECONDS / 4:
        defects.append(f"slow: {seconds:.0f} s of processor time")
    return code, output, defects


def _cut_around(output: str, mark: str) -> str:
    position = output.index(mark)
    return " ".join(output[max(0, position - 150) : position + 200].split())


def _list_outputs(arguments: Sequence[str], folder: Path) -> list[Path]:
    pairs = itertools.pairwise(arguments)
    return [folder / value for option, value in pairs if option in _WRITTEN_OPTIONS]


def _find_wrong_streams(arguments: Sequence[str], code: int, stdout: str, stderr: str) -> list[str]:
    """Return whether an error is on the wrong stream, missing, or not the JSON document that is documented."""
    command = arguments[0]
    if "--json" in arguments:
        try:
            check_document(arguments, code, stdout)
        except (AssertionError, json.JSONDecodeError, ValidationError, KeyError) as error:
            return [f"JSON of {command}: {str(error)[:300]}; {stdout[:200]}"]
        return []
    if code == 0:
        return []
    if command in _PRINTS_PROBLEMS:
        return [] if (stdout + stderr).strip() else ["no message"]
    defects = [] if stderr.strip() else ["no message on standard error"]
    if stdout.strip() and "error:" in stdout:
        defects.append(f"error on standard output: {stdout[:200]}")
    return defects


def read_problems(output: str) -> list[dict[str, Any]]:
    """Return the errors of a JSON document, after which standard error may follow."""
    document, _ = json.JSONDecoder().raw_decode(output)
    problems: list[dict[str, Any]] = document.get("problems", [])
    return [problem for problem in problems if problem["severity"] == "error"]
