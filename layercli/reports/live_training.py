"""A training on a terminal: curves of the loss and a metric, the running epoch, the speed, the time left."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from layercli.config.training.metrics import NON_METRIC_KEYS
from layercli.reports.chart import Chart, Point, draw
from layercli.reports.formatting import duration, metrics, number
from layercli.source.nodes import sanitize_text

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.text import Text

_MOST_POINTS = 2000
"""Points of a curve that are kept; a screen has fewer columns."""
_COLOURS = ("cyan", "yellow")
"""Of training and of validation."""
_SETTLED = 0.25
"""Part of an epoch after which its means are worth drawing beside those of whole epochs."""
_LABEL = 10
"""Columns in front of a chart."""
_NARROW = 50
"""Columns below which there is room for one chart alone."""


class Screen:
    """What is known of a running training, and how it is drawn; it is drawn from another thread than it is told in."""

    def __init__(self, *, epochs: int, steps: int, batch_size: int) -> None:
        self._epochs, self._steps, self._batch_size = epochs, steps, batch_size
        self._curves: dict[str, list[Point]] = {}
        self._running: dict[str, list[Point]] = {}
        self._now: Mapping[str, Any] = {}
        self._epoch, self._step = 1, 0
        self._began: tuple[float, float] | None = None
        self._best = ""
        self._speed = 0.0

    def step(self, epoch: int, step: int, logs: Mapping[str, float]) -> None:
        """A step is done; both count from 1."""
        now = time.monotonic(), self._done(epoch, step)
        if self._began is None:
            self._began = now
        elapsed = now[0] - self._began[0]
        if elapsed > 1 and not self._speed:
            self._speed = (now[1] - self._began[1]) * self._steps * self._batch_size / elapsed
        self._epoch, self._step, self._now = epoch, step, logs
        if self._curves and step / self._steps < _SETTLED:
            return  # means over a few steps would draw a spike at the beginning of each epoch
        for name, value in logs.items():
            _add(self._running.setdefault(name, []), (epoch - 1 + step / self._steps, value))

    def epoch(self, record: Mapping[str, Any], best: Mapping[str, Any]) -> None:
        """An epoch is done; ``best`` is the best so far."""
        logs = {name: value for name, value in record.items() if name not in NON_METRIC_KEYS}
        for name, value in logs.items():
            _add(self._curves.setdefault(name, []), (record["epoch"], value))
        self._running = {}
        self._now = logs
        self._epoch, self._step = record["epoch"], self._steps
        self._speed = record["examples_per_second"]
        if best:
            watched = best["monitor"]
            self._best = f"{watched} {number(best[watched])} at epoch {best['epoch']}"

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        width = options.max_width - 1
        if console.height >= 14:
            yield from self._charts(width, min(8, console.height // 3))
        yield self._bar(width)
        for line in self._lines():
            yield _fitted(line, width)

    def _done(self, epoch: int, step: int) -> float:
        """How many epochs are done."""
        return epoch - 1 + step / self._steps

    def _bar(self, width: int) -> Text:
        from rich.text import Text

        line = Text(f"epoch {self._epoch}/{self._epochs} ", style="bold")
        end = f" {self._step:,}/{self._steps:,} steps"
        room = max(width - len(line) - len(end), 1)
        filled = round(room * self._step / self._steps)
        line.append("━" * filled, style="green").append("━" * (room - filled), style="dim")
        return _fitted(line.append(end, style="none"), width)

    def _lines(self) -> Iterator[Text]:
        from rich.text import Text

        if self._now:
            yield Text(sanitize_text(metrics(self._now)))
        parts = [f"best {sanitize_text(self._best)}"] if self._best else []
        if self._speed:
            parts.append(f"{self._speed:,.0f} examples/s")
        if (left := self._seconds_left()) is not None:
            parts.append(f"{duration(left)} left")
        yield Text("   ".join(parts), style="dim")

    def _seconds_left(self) -> float | None:
        if self._began is None:
            return None
        since, at = self._began
        done = self._done(self._epoch, self._step)
        pace = (time.monotonic() - since) / (done - at) if done > at else 0.0
        return pace * (self._epochs - done) if pace else None

    def _charts(self, width: int, height: int) -> Iterator[Text]:
        """The loss, and beside it the first metric, with a line of names above."""
        names = [name for name in (self._curves or self._running) if not name.startswith("val_")]
        if not names:
            return
        shown = names[: 1 if width < _NARROW else 2]
        columns = width // len(shown)
        drawn = [self._chart(name, columns, height) for name in shown]
        for parts in zip(*drawn, strict=True):
            line = parts[0]
            for part in parts[1:]:
                line.append_text(part)
            yield line

    def _chart(self, name: str, columns: int, height: int) -> list[Text]:
        """Lines of exactly ``columns`` characters: a title, then the curves of training and validation."""
        from rich.text import Text

        curves = [
            [*self._curves.get(name, []), *self._running.get(name, [])],
            list(self._curves.get(f"val_{name}", [])),
        ]
        title = Text(sanitize_text(name, limit=columns // 2), style="bold")
        for style, said, curve in zip(_COLOURS, ("training", "validation"), curves, strict=True):
            if curve:
                title.append("  ").append(said, style=style)
        room = max(columns - _LABEL - 2, 4)
        chart = draw([curve for curve in curves if curve], width=room, height=height)
        lines = [title]
        if chart is not None:
            lines += [_row(chart, index) for index in range(height)]
        else:
            lines += [Text()] * height
        return [_fitted(line, columns, pad=True) for line in lines]


def _row(chart: Chart, index: int) -> Text:
    from rich.text import Text

    label = {0: number(chart.high), len(chart.rows) - 1: number(chart.low)}.get(index, "")
    line = Text(f"{label:>{_LABEL}} ", style="dim")
    for character, owner in chart.rows[index]:
        line.append(character, style="none" if owner is None else _COLOURS[owner])
    return line


def _fitted(line: Text, width: int, *, pad: bool = False) -> Text:
    line = line.copy()
    line.truncate(width, overflow="ellipsis", pad=pad)
    line.no_wrap = True
    return line


def _add(curve: list[Point], point: tuple[float, Any]) -> None:
    """One point more; of too many every other one is left out."""
    if isinstance(point[1], (int, float)):
        curve.append(point)
        if len(curve) > _MOST_POINTS:
            del curve[1:-1:2]
