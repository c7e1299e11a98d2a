"""How training goes: a live line on a terminal, a line an epoch elsewhere."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from layercli.config.metrics import BOOKKEEPING
from layercli.reports.numbers import duration

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live


class Silent:
    """Shows nothing: for callers from Python."""

    def say(self, text: str) -> None:
        """Nothing."""

    def begin(self, counts: tuple[int, ...], *, epochs: int, batch_size: int) -> None:
        """Nothing."""

    def step(self, epoch: int, step: int, logs: Mapping[str, float]) -> None:
        """Nothing."""

    def epoch(self, record: Mapping[str, Any]) -> None:
        """Nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


class Progress(Silent):
    """Shows epochs and steps as they come; ``live`` redraws the line of the running epoch."""

    def __init__(self, console: Console, *, live: bool) -> None:
        self._console = console
        self._epochs = self._steps = 1
        self._started = 0.0
        self._live: Live | None = None
        self._wants_live = live

    def say(self, text: str) -> None:
        """Print a line."""
        self._console.print(text, soft_wrap=True)

    def begin(self, counts: tuple[int, ...], *, epochs: int, batch_size: int) -> None:
        """Say what there is to train on, and remember how long the way is."""
        train, validation, test = counts
        self._epochs, self._steps = epochs, -(-train // batch_size)
        self._started = time.monotonic()
        self.say(f"{train:,} examples to train on, {validation:,} to validate, {test:,} to test; "
                 f"{self._steps:,} steps an epoch.")  # fmt: skip
        if self._wants_live:
            from rich.live import Live

            self._live = Live(console=self._console, refresh_per_second=10, transient=True)

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def step(self, epoch: int, step: int, logs: Mapping[str, float]) -> None:
        """Redraw the running epoch's line."""
        if self._live is None:
            return
        from rich.text import Text

        done = ((epoch - 1) * self._steps + step) / (self._epochs * self._steps)
        left = (time.monotonic() - self._started) * (1 - done) / done
        width = 16
        filled = round(width * step / self._steps)
        line = Text(f"epoch {epoch}/{self._epochs} ", style="bold")
        line.append("━" * filled, style="green").append("━" * (width - filled), style="dim")
        line.append(f" {step}/{self._steps}  {metrics(logs)}  {duration(left)} left", style="none")
        line.truncate(self._console.width, overflow="ellipsis")
        self._live.update(line)

    def epoch(self, record: Mapping[str, Any]) -> None:
        """Print the finished epoch as a row of a table; its head comes before the first."""
        names = [name for name in record if name not in BOOKKEEPING]
        cells = {"epoch": f"{record['epoch']}/{self._epochs}"}
        cells |= {name: number(record[name]) for name in names}
        cells |= {"time": duration(record["seconds"]), "examples/s": f"{record['examples_per_second']:,.0f}"}
        widths = [max(len(name), _NARROWEST) for name in cells]
        if record["epoch"] == 1:
            self.say("  ".join(name.rjust(width) for name, width in zip(cells, widths, strict=True)))
        self.say("  ".join(cell.rjust(width) for cell, width in zip(cells.values(), widths, strict=True)))


_NARROWEST = 7
"""Width of a column whose name is shorter: room for ``12/20``, ``0.1234`` and ``9 m 59 s``."""


def metrics(logs: Mapping[str, Any]) -> str:
    """``loss 0.1234  accuracy 0.9712``."""
    return "  ".join(f"{name} {number(value)}" for name, value in logs.items())


def number(value: Any) -> str:
    """Four digits that matter; a list of numbers for a metric that has one for each class."""
    if isinstance(value, list):
        return f"[{', '.join(number(item) for item in value)}]"
    return f"{value:.4f}" if 1e-3 <= abs(value) < 1e4 or value == 0 else f"{value:.3e}"
