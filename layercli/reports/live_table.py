"""A table that is drawn again on a terminal while a command runs."""

from __future__ import annotations

import time
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Self

from layercli.activity import Activity, show_activity
from layercli.reports.formatting import format_duration

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live
    from rich.table import Table


class LiveTable:
    """A display that shows tables while it is open; only if ``is_live``, on a terminal."""

    def __init__(self, console: Console, *, is_live: bool) -> None:
        self._console = console
        self._is_live = is_live
        self._live: Live | None = None
        self._own_display = ExitStack()
        self._progress: Activity | None = None

    def __enter__(self) -> Self:
        if self._is_live:
            from rich.live import Live

            self._live = Live(console=self._console, refresh_per_second=4, transient=True)
            self._live.start()
            self._own_display.enter_context(show_activity(""))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
        self._own_display.close()

    def _describe_time_left(self, done: float, total: int) -> str:
        """Return ``, 1 m 05 s left`` for ``done`` of ``total`` parts; nothing before some were done since the first call."""
        thousandths = round(done * 1000)
        if self._progress is None:
            self._progress = Activity(None, total * 1000, thousandths)
        self._progress.done = thousandths
        left = self._progress.estimate_seconds_left(time.monotonic())
        return "" if left is None else f", {format_duration(left)} left"

    def _draw_table(self, table: Table) -> None:
        """Replace the table that is shown."""
        assert self._live is not None
        self._live.update(table)
