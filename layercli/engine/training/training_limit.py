"""The limit of ``train.until``: how many steps and minutes of it are used, across interruptions."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from layercli.config.training.execution import UntilConfig


class TrainingLimit:
    """A limit on the steps and minutes of a training from step ``first_step``, which counts those of all epochs.

    ``saved_state`` continues the limit of an interrupted training. If that one had reached its limit and
    ``should_renew`` is true, the limit applies again from here.
    """

    def __init__(
        self,
        until: UntilConfig | None,
        first_step: int,
        saved_state: Mapping[str, Any] | None = None,
        *,
        should_renew: bool = False,
    ) -> None:
        self._until = until
        self._used_seconds = 0.0
        self._used_steps = 0
        self.is_reached = False
        """Whether the limit ended the training."""
        self.was_reached = False
        """Whether it had done so before the interruption, so that no step is left."""
        if until is not None and saved_state is not None and not (saved_state["is_reached"] and should_renew):
            self._used_seconds, self._used_steps = saved_state["seconds"], saved_state["steps"]
            self.is_reached = self.was_reached = saved_state["is_reached"]
        self._first_step = first_step - self._used_steps
        self._start_time = 0.0
        self._is_time_up: Callable[[], bool] = self.is_time_up

    @property
    def last_step(self) -> int | None:
        """The step at which the training ends, counted from the first epoch; None: no limit."""
        return (
            None if self._until is None or self._until.steps is None else self._first_step + self._until.steps
        )

    def share_time(self, share: Callable[[Callable[[], bool]], Callable[[], bool]]) -> None:
        """Replace the clock by one that processes share."""
        self._is_time_up = share(self.is_time_up)

    def start_clock(self) -> None:
        """Start to count the seconds, if they are not counted yet."""
        self._start_time = self._start_time or time.monotonic()

    def is_time_up(self) -> bool:
        """Return whether the minutes are over."""
        minutes = None if self._until is None else self._until.minutes
        return minutes is not None and self.seconds >= 60 * minutes

    def is_over(self, step: int) -> bool:
        """Return whether the limit is reached after this step, counted from the first epoch."""
        return (self.last_step is not None and step >= self.last_step) or self._is_time_up()

    @property
    def seconds(self) -> float:
        """The seconds used."""
        return self._used_seconds + time.monotonic() - self._start_time

    def get_state(self, step: int) -> dict[str, Any] | None:
        """Return the state for a checkpoint after this step; None without a limit."""
        if self._until is None:
            return None
        return {
            "seconds": self.seconds,
            "steps": step - self._first_step,
            "is_reached": self.is_reached,
        }
