"""Runs chosen by what came of them or what their configs say, and sorted."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

from layercli.runs.listing import Run
from layercli.source.scalars import AmbiguousNumberError, NumberTooLongError, resolve

_CONDITION = re.compile(r"\s*([^\s<>=!]+)\s*(<=|>=|!=|==|=|<|>)\s*(.*?)\s*", re.DOTALL)
_COMPARED: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
    "=": operator.eq, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Condition:
    """What a run must fulfil, such as ``val_accuracy>0.9``."""

    key: str
    sign: str
    wanted: Any

    @classmethod
    def parse(cls, text: str) -> Condition:
        """The condition that a text says.

        Raises:
            ValueError: it says none.
        """
        found = _CONDITION.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} is no condition; write for example 'val_accuracy>0.9'")
        key, sign, written = found.groups()
        try:
            wanted = resolve(written)
        except (AmbiguousNumberError, NumberTooLongError):
            wanted = written
        if sign[0] in "<>" and not _is_number(wanted):
            raise ValueError(f"{text!r} compares with no number; write for example 'val_accuracy>0.9'")
        return cls(key, sign, wanted)

    def holds(self, run: Run) -> bool:
        """Whether a run fulfils it; one that has no such value does not."""
        value = run.value(self.key)
        if value is None or (self.sign[0] in "<>" and not _is_number(value)):
            return self.wanted is None and self.sign in ("=", "==")
        return _COMPARED[self.sign](value, self.wanted)


def named(runs: Iterable[Run], pattern: str) -> list[Run]:
    """The runs whose name or directory fits a pattern with ``*`` and ``?``."""
    return [
        run for run in runs if fnmatchcase(run.name, pattern) or fnmatchcase(run.path.as_posix(), pattern)
    ]


def in_order(runs: Sequence[Run], key: str, *, reverse: bool) -> list[Run]:
    """The runs from the best to the worst by a metric, else from less to more; those without it are last."""
    have = [run for run in runs if run.value(key) is not None]
    lack = [run for run in runs if run.value(key) is None]
    down = next((way == "max" for run in have if (way := run.better(key)) is not None), False)
    have.sort(key=lambda run: _sortable(run.value(key)), reverse=down != reverse)
    return have + lack


def known_keys(runs: Iterable[Run]) -> list[str]:
    """Everything by which these runs can be chosen and sorted."""
    return list(dict.fromkeys(key for run in runs for key in (*run.results, *run.config)))


def differences(runs: Sequence[Run]) -> dict[str, list[Any]]:
    """The values of the configs that are not the same in all of these runs; None where a run has none."""
    keys = dict.fromkeys(key for run in runs for key in run.config)
    values = {key: [run.config.get(key) for run in runs] for key in keys}
    return {
        key: given
        for key, given in values.items()
        if any(type(one) is not type(given[0]) or one != given[0] for one in given[1:])
    }


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _sortable(value: Any) -> tuple[bool, Any]:
    return (False, value) if _is_number(value) else (True, str(value))
