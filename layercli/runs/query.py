"""Filter, sort and compare runs by their results and configs."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

from layercli.activity import show_activity, track_items
from layercli.runs.listing import Run
from layercli.source.scalars import AmbiguousNumberError, NumberTooLongError, is_number, resolve_scalar

_CONDITION_PATTERN = re.compile(r"\s*([^\s<>=!]+)\s*(<=|>=|!=|==|=|<|>)\s*(.*?)\s*", re.DOTALL)
_OPERATORS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
}


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition on runs, such as ``val_accuracy>0.9``."""

    key: str
    comparison: str
    expected: Any

    @classmethod
    def parse(cls, text: str) -> Condition:
        """Parse a condition.

        Raises:
            ValueError: The text is not a condition.
        """
        match = _CONDITION_PATTERN.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is not a condition; write for example 'val_accuracy>0.9'")
        key, comparison, literal = match.groups()
        try:
            expected = resolve_scalar(literal)
        except (AmbiguousNumberError, NumberTooLongError):
            expected = literal
        if comparison[0] in "<>" and not is_number(expected):
            raise ValueError(f"{text!r} does not compare with a number; write for example 'val_accuracy>0.9'")
        return cls(key, comparison, expected)

    def is_met_by(self, run: Run) -> bool:
        """Return whether a run meets it; a run without such a value does not."""
        value = run.value(self.key)
        if value is None or (self.comparison[0] in "<>" and not is_number(value)):
            return self.expected is None and self.comparison in ("=", "==")
        return _OPERATORS[self.comparison](value, self.expected)


def filter_by_name(runs: Iterable[Run], pattern: str) -> list[Run]:
    """Return the runs whose name or directory matches a pattern with ``*`` and ``?``."""
    return [
        run for run in runs if fnmatchcase(run.name, pattern) or fnmatchcase(run.path.as_posix(), pattern)
    ]


def sort_runs(runs: Sequence[Run], key: str, *, reverse: bool) -> list[Run]:
    """Sort runs from best to worst by a metric, or in ascending order by other keys; runs without it are last."""
    with_value = [run for run in runs if run.value(key) is not None]
    without_value = [run for run in runs if run.value(key) is None]
    is_descending = next(
        (direction == "max" for run in with_value if (direction := run.direction_of(key)) is not None), False
    )
    with_value.sort(key=lambda run: _sort_key(run.value(key)), reverse=is_descending != reverse)
    return with_value + without_value


def list_run_keys(runs: Iterable[Run]) -> list[str]:
    """Return all keys by which these runs can be filtered and sorted."""
    return list(dict.fromkeys(key for run in runs for key in (*run.results, *run.config)))


@show_activity("Comparing the configs")
def find_config_differences(runs: Sequence[Run]) -> dict[str, list[Any]]:
    """Return the config values that differ between these runs, by key; None for a run without the key."""
    keys = dict.fromkeys(key for run in track_items(runs, len(runs)) for key in run.config)
    values = {key: [run.config.get(key) for run in runs] for key in keys}
    return {
        key: run_values
        for key, run_values in values.items()
        if any(type(value) is not type(run_values[0]) or value != run_values[0] for value in run_values[1:])
    }


def _sort_key(value: Any) -> tuple[bool, Any]:
    return (False, value) if is_number(value) else (True, str(value))
