"""Remember the first stop signal that this process receives."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """The first SIGINT or SIGTERM that this process received, if any."""

    def __init__(self) -> None:
        self.signal_number: int | None = None

    def __call__(self) -> bool:
        """Return whether a stop signal was received."""
        return self.signal_number is not None

    def record(self, number: int) -> bool:
        """Record a signal, and return whether it is the first one."""
        if self.signal_number is not None:
            return False
        self.signal_number = number
        return True


@contextmanager
def handle_stop_signals(handler: Callable[[int], object]) -> Iterator[None]:
    """Call ``handler`` with the number of each stop signal, and restore the previous handlers at the end."""

    def call(number: int, _: FrameType | None) -> None:
        handler(number)

    previous_handlers = {number: signal.signal(number, call) for number in STOP_SIGNALS}
    try:
        yield
    finally:
        for number, previous in previous_handlers.items():
            signal.signal(number, previous)
