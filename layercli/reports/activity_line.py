"""A line on the terminal that says what a command is doing and how long it will take; removed when it is done."""

from __future__ import annotations

import os
import sys
import threading
import time
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, Self, TextIO

from layercli.activity import Activity, find_current_activity
from layercli.reports.formatting import format_duration

_DELAY_SECONDS: Final = 0.4
"""Time without a line; with the start of Python about a second of a command."""
_INTERVAL_SECONDS: Final = 0.25
_MARGIN_COLUMNS: Final = 3
"""Columns without text: the terminal writes ^C after it, which must not begin another line."""
_ERASE: Final = "\r\x1b[2K"
_TERMINALS_WITHOUT_ERASING: Final = ("dumb", "unknown")
"""Values of TERM that promise no control sequences, as in the shell of Emacs."""


class ActivityLine:
    """Draws the line while it is open; each output of the command erases it first.

    Nothing is drawn if ``is_shown`` is false, or standard output or standard error is not a terminal that can erase a line.
    """

    def __init__(self, *, is_shown: bool) -> None:
        can_erase = os.environ.get("TERM", "").lower() not in _TERMINALS_WITHOUT_ERASING
        self._is_shown = is_shown and can_erase and sys.stdout.isatty() and sys.stderr.isatty()
        self._lock = threading.RLock()
        self._process = os.getpid()
        self._has_ended = threading.Event()
        self._is_drawn = False
        self._can_draw = True

    def __enter__(self) -> Self:
        if self._is_shown:
            # Standard error is redirected while native code runs.
            self._terminal = os.dup(sys.stderr.fileno())
            self._streams = sys.stdout, sys.stderr
            sys.stdout, sys.stderr = (_ErasingStream(stream, self) for stream in self._streams)
            self._opened_at = time.monotonic()
            self._thread = threading.Thread(target=self._draw_until_end, name="activity", daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_shown and self.is_in_process():
            self._has_ended.set()
            self._thread.join()
            self.erase()
            sys.stdout, sys.stderr = self._streams
            os.close(self._terminal)

    def is_in_process(self) -> bool:
        """Return whether this is the process that draws the line."""
        return os.getpid() == self._process

    def erase(self, text: str | None = None) -> None:
        """Erase the line before ``text`` is written; none is drawn until the text ends a line. None: until the next text."""
        with self._lock:
            self._remove_line()
            self._can_draw = text is not None and (text.endswith("\n") if text else self._can_draw)

    def _draw_until_end(self) -> None:
        while not self._has_ended.wait(_INTERVAL_SECONDS):
            now = time.monotonic()
            current = find_current_activity()
            with self._lock:
                if current is None or now - self._opened_at < _DELAY_SECONDS:
                    self._remove_line()
                elif self._can_draw:
                    self._write(
                        _ERASE + describe_activity(*current, now, self._measure_width() - _MARGIN_COLUMNS)
                    )
                    self._is_drawn = True

    def _remove_line(self) -> None:
        if self._is_drawn:
            self._write(_ERASE)
            self._is_drawn = False

    def _measure_width(self) -> int:
        with suppress(OSError):  # the terminal was closed
            return os.get_terminal_size(self._terminal).columns or 80
        return 80

    def _write(self, text: str) -> None:
        with suppress(OSError):  # the terminal was closed
            os.write(self._terminal, text.encode(errors="replace"))


def describe_activity(label: str, activity: Activity, now: float, room: int) -> str:
    """Return ``Reading the data: 42%, 12.0 s, 16.6 s left``, or without what is not known or does not fit into ``room``."""
    elapsed = format_duration(now - activity.started_at)
    left = activity.estimate_seconds_left(now)
    percent = f"{min(100 * activity.done // activity.total, 100)}%" if activity.total else None
    remaining = None if left is None else f"{format_duration(left)} left"
    main = remaining or percent or elapsed
    for parts in ((percent, elapsed, remaining), (percent or elapsed, remaining), (main,)):
        line = f"{label}: {', '.join(part for part in parts if part is not None)}"
        if len(line) <= room:
            return line
    space = room - len(f"…: {main}")
    return f"{label[:space]}…: {main}" if space > 0 else main[:room]


class _ErasingStream:
    """A standard stream that erases the line before it writes."""

    def __init__(self, stream: TextIO, line: ActivityLine) -> None:
        self._stream = stream
        self._line = line

    def write(self, text: str) -> int:
        if not self._line.is_in_process():  # a forked one, in which the lock may be held for ever
            return self._stream.write(text)
        with self._line._lock:
            self._line.erase(text)
            return self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        if name == "buffer":
            self._line.erase()
        return getattr(self._stream, name)
