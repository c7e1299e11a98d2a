"""Runs chosen by what came of them or what their configs say, and sorted."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

from layercli.runs.listing import Run
from layercli.source.scalars import AmbiguousNumberError, NumberTooLongError, resolve_scalar

_CONDITION_PATTERN = re.compile(r"\s*([^\s<>=!]+)\s*(<=|>=|!=|==|=|<|>)\s*(.*?)\s*", re.DOTALL)
_OPERATORS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
    "=": operator.eq, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Condition:
    """What a run must fulfil, such as ``val_accuracy>0.9``."""

    key: str
    comparison: str
    expected: Any

    @classmethod
    def parse(cls, text: str) -> Condition:
        """The condition that a text says.

        Raises:
            ValueError: it says none.
        """
        match = _CONDITION_PATTERN.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is no condition; write for example 'val_accuracy>0.9'")
        key, comparison, literal = match.groups()
        try:
            expected = resolve_scalar(literal)
        except (AmbiguousNumberError, NumberTooLongError):
            expected = literal
        if comparison[0] in "<>" and not _is_number(expected):
            raise ValueError(f"{text!r} compares with no number; write for example 'val_accuracy>0.9'")
        return cls(key, comparison, expected)

    def is_met_by(self, run: Run) -> bool:
        """Whether a run fulfils it; one that has no such value does not."""
        value = run.value(self.key)
        if value is None or (self.comparison[0] in "<>" and not _is_number(value)):
            return self.expected is None and self.comparison in ("=", "==")
        return _OPERATORS[self.comparison](value, self.expected)


def filter_by_name(runs: Iterable[Run], pattern: str) -> list[Run]:
    """The runs whose name or directory fits a pattern with ``*`` and ``?``."""
    return [
        run for run in runs if fnmatchcase(run.name, pattern) or fnmatchcase(run.path.as_posix(), pattern)
    ]


def sort_runs(runs: Sequence[Run], key: str, *, reverse: bool) -> list[Run]:
    """The runs from the best to the worst by a metric, else from less to more; those without it are last."""
    with_value = [run for run in runs if run.value(key) is not None]
    without_value = [run for run in runs if run.value(key) is None]
    is_descending = next(
        (direction == "max" for run in with_value if (direction := run.direction_of(key)) is not None), False
    )
    with_value.sort(key=lambda run: _sort_key(run.value(key)), reverse=is_descending != reverse)
    return with_value + without_value


def list_run_keys(runs: Iterable[Run]) -> list[str]:
    """Everything by which these runs can be chosen and sorted."""
    return list(dict.fromkeys(key for run in runs for key in (*run.results, *run.config)))


def find_config_differences(runs: Sequence[Run]) -> dict[str, list[Any]]:
    """The values of the configs that are not the same in all of these runs; None where a run has none."""
    keys = dict.fromkeys(key for run in runs for key in run.config)
    values = {key: [run.config.get(key) for run in runs] for key in keys}
    return {
        key: run_values
        for key, run_values in values.items()
        if any(type(one) is not type(run_values[0]) or one != run_values[0] for one in run_values[1:])
    }


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _sort_key(value: Any) -> tuple[bool, Any]:
    return (False, value) if _is_number(value) else (True, str(value))
