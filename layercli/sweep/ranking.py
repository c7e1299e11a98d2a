"""The order of trials: by the objectives, then by the loss, then by the number of parameters."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

TrialRow = Mapping[str, Any]


def rank_rows(rows: Sequence[TrialRow], maximize: Sequence[bool]) -> list[TrialRow]:
    """Return the complete trials: those of the Pareto set first, then by value, loss, parameters and number.

    Args:
        rows: The trials as ``list_trial_rows`` returns them.
        maximize: For each objective, whether a larger value is better.
    """
    complete = [row for row in rows if row["state"] == "complete"]
    front = set(find_pareto_numbers(complete, maximize)) if len(maximize) > 1 else set()
    return sorted(
        complete,
        key=lambda row: (
            row["number"] not in front,
            _negate_maximized(row["values"], maximize),
            _order_unknown_last(row["loss"]),
            _order_unknown_last(row["parameters"]),
            row["number"],
        ),
    )


def find_pareto_numbers(rows: Sequence[TrialRow], maximize: Sequence[bool]) -> list[int]:
    """Return the numbers of the complete trials that no other trial beats in one objective without losing in another.

    Trials with equal values are all part of the set. The best in the first objective comes first.
    """
    points = sorted(
        (_negate_maximized(row["values"], maximize), row["number"])
        for row in rows
        if row["state"] == "complete"
    )
    front: list[tuple[float, ...]] = []
    numbers = []
    for point, number in points:
        # With two objectives, the last one of the front has the best second value so far.
        others = front[-1:] if len(maximize) == 2 else front
        if not any(other != point and all(map(float.__le__, other, point)) for other in others):
            front.append(point)
            numbers.append(number)
    return numbers


def count_refused(rows: Sequence[TrialRow]) -> dict[str, int]:
    """Return how many trials exceed each limit; a trial can exceed several."""
    counts: dict[str, int] = {}
    for row in rows:
        for each in row["refused"]:
            counts[each["limit"]] = counts.get(each["limit"], 0) + 1
    return counts


def _negate_maximized(values: Sequence[float], maximize: Sequence[bool]) -> tuple[float, ...]:
    """Return the values such that a smaller one is better."""
    return tuple(
        -float(value) if is_maximized else float(value)
        for value, is_maximized in zip(values, maximize, strict=True)
    )


def _order_unknown_last(value: float | None) -> float:
    return math.inf if value is None else value
