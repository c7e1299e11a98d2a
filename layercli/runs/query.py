"""Filter, sort and compare runs by their results and configs."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
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

_MAX_COLUMNS: Final = 5_000
"""Most columns of a table of runs; those of similar configs have about a hundred."""
_MIN_COLUMNS: Final = 200
"""Columns that a table of any number of runs can have."""
_MAX_CELLS: Final = 2_000_000
"""Most cells of a table of runs with more columns than that."""


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
    """Return the config values that differ between these runs, by key; None for a run without the key.

    If there are very many such keys, only those that most runs have are returned.
    """
    counts: dict[str, int] = {}
    first: dict[str, Any] = {}
    differing: set[str] = set()
    for run in track_items(runs, len(runs)):
        for key, value in run.config.items():
            if value is not None:
                counts[key] = counts.get(key, 0) + 1
                known = first.setdefault(key, value)
                if type(value) is not type(known) or value != known:
                    differing.add(key)
    counts = {key: count for key, count in counts.items() if key in differing or count < len(runs)}
    return {key: [run.config.get(key) for run in runs] for key in choose_columns(counts, len(runs))}


def limit_columns(rows: int) -> int:
    """Return the most columns of a table with this number of rows."""
    return min(_MAX_COLUMNS, max(_MIN_COLUMNS, _MAX_CELLS // max(rows, 1)))


def choose_columns(counts: Mapping[str, int], rows: int) -> list[str]:
    """Return the columns of a table of a bounded number of cells: in their order, those with a value in most rows.

    Args:
        counts: Column -> the number of rows that have a value.
        rows: The number of rows.
    """
    chosen = set(sorted(counts, key=lambda name: -counts[name])[: limit_columns(rows)])
    return [name for name in counts if name in chosen]


def _sort_key(value: Any) -> tuple[bool, Any]:
    return (False, value) if is_number(value) else (True, str(value))
