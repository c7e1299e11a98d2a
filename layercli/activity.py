"""The work that this process is doing now, and how much of it is done, for a line on a terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

_Item = TypeVar("_Item")


class Activity:
    """A part of the work; ``done`` of ``total`` units are finished. Without a label it has that of the work around it."""

    def __init__(self, label: str | None, total: int | None, done: int = 0) -> None:
        self.label = label
        self.total = total
        self.done = done
        self.first = done
        self.started_at = time.monotonic()

    def estimate_seconds_left(self, now: float) -> float | None:
        """Return the time left if the rest takes as long as what is done; None if nothing is known."""
        finished = self.done - self.first
        if self.total is None or finished <= 0:
            return None
        return (now - self.started_at) * max(self.total - self.done, 0) / finished


_activities: list[Activity] = []


@contextmanager
def show_activity(label: str | None, total: int | None = None, done: int = 0) -> Iterator[Activity]:
    """Make this the current work; "" shows nothing, for work with a separate display."""
    activity = Activity(label, total, done)
    _activities.append(activity)
    try:
        yield activity
    finally:
        _activities.remove(activity)


def track_items(
    items: Iterable[_Item], total: int | None, *, count: Callable[[_Item], int] = lambda _: 1, done: int = 0
) -> Iterator[_Item]:
    """Yield the items and count the units of those that were used; the label is that of the work around it."""
    with show_activity(None, total, done) as activity:
        for item in items:
            yield item
            activity.done += count(item)


def find_current_activity(*, of_display: bool = False) -> tuple[str, Activity] | None:
    """Return the label and the progress of the current work; None if nothing should be shown.

    The progress is that of the outermost part with several units: the parts inside it start again and again.

    Args:
        of_display: Find the work inside the part with a separate display, which shows it itself.
    """
    activities = list(_activities)  # another thread changes it
    labels = [activity.label for activity in activities]
    if of_display:
        first = labels.index("") + 1 if "" in labels else len(labels)
        activities, labels = activities[first:], labels[first:]
    known = [index for index, label in enumerate(labels) if label is not None]
    if not known or "" in labels:
        return None
    parts = activities[known[-1] :]
    label = labels[known[-1]]
    assert label is not None
    return label, next((part for part in parts if (part.total or 0) > 1), parts[-1])
