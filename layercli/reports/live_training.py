"""Live display of a training run: charts of the loss and a metric, progress, speed and remaining time."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from layercli.activity import find_current_activity
from layercli.config.training.custom_objects import NON_METRIC_KEYS
from layercli.reports.activity_line import describe_activity
from layercli.reports.chart import ChartPoint, TerminalChart, draw_chart
from layercli.reports.formatting import format_duration, format_metrics, format_number
from layercli.source.nodes import sanitize_text

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.text import Text

_MAX_POINTS = 2000
"""Maximum number of points kept of a curve; more than a terminal has columns."""
_CURVE_COLORS = ("cyan", "yellow")
"""Colors of the training and the validation curve."""
_MIN_EPOCH_SHARE = 0.25
"""Fraction of an epoch after which its means are comparable with those of complete epochs."""
_LABEL_WIDTH = 10
"""Columns in front of a chart."""
_MIN_TWO_CHARTS_WIDTH = 50
"""Minimum terminal width for two charts."""
_MIN_CHART_HEIGHT = 14
"""Minimum terminal height for charts."""


class TrainingScreen:
    """State and display of a running training; updated and drawn by different threads."""

    def __init__(self, *, epochs: int, steps: int, batch_size: int) -> None:
        self._epochs, self._steps, self._batch_size = epochs, steps, batch_size
        self._curves: dict[str, list[ChartPoint]] = {}
        self._running_curves: dict[str, list[ChartPoint]] = {}
        self._latest_logs: Mapping[str, Any] = {}
        self._epoch, self._step = 1, 0
        self._start_point: tuple[float, float] | None = None
        self._best_text = ""
        self._speed = 0.0

    def finish_step(self, epoch: int, step: int, logs: Mapping[str, float]) -> None:
        """Record a finished step; ``epoch`` and ``step`` count from 1."""
        now = time.monotonic(), self._count_finished_epochs(epoch, step)
        if self._start_point is None:
            self._start_point = now
        elapsed = now[0] - self._start_point[0]
        if elapsed > 1 and not self._speed:
            self._speed = (now[1] - self._start_point[1]) * self._steps * self._batch_size / elapsed
        self._epoch, self._step, self._latest_logs = epoch, step, logs
        if self._curves and step / self._steps < _MIN_EPOCH_SHARE:
            return  # means over few steps would draw a spike at the start of each epoch
        for name, value in logs.items():
            _add_point(self._running_curves.setdefault(name, []), (epoch - 1 + step / self._steps, value))

    def finish_epoch(self, record: Mapping[str, Any], best: Mapping[str, Any]) -> None:
        """Record a finished epoch; ``best`` is the best one so far."""
        logs = {name: value for name, value in record.items() if name not in NON_METRIC_KEYS}
        for name, value in logs.items():
            _add_point(self._curves.setdefault(name, []), (record["epoch"], value))
        self._running_curves = {}
        self._latest_logs = logs
        self._epoch, self._step = record["epoch"], self._steps
        self._speed = record["examples_per_second"]
        if best:
            monitor = best["monitor"]
            self._best_text = f"{monitor} {format_number(best[monitor])} at epoch {best['epoch']}"

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        width = options.max_width - 1
        yield from self.chart_lines(console, width)
        yield self._progress_bar(width)
        for line in self._status_lines(width):
            yield _fit_line(line, width)

    @property
    def has_curves(self) -> bool:
        """Whether two epochs are finished."""
        return any(len(points) > 1 for points in self._curves.values())

    @property
    def final_charts(self) -> FinalCharts:
        """The curves of all finished epochs."""
        return FinalCharts(self)

    def chart_lines(self, console: Console, width: int) -> Iterator[Text]:
        """Yield the curves, if the terminal is high enough for them."""
        if console.height >= _MIN_CHART_HEIGHT:
            yield from self._chart_lines(width, min(8, console.height // 3))

    def _count_finished_epochs(self, epoch: int, step: int) -> float:
        """Return the number of finished epochs, with a fraction for the running one."""
        return epoch - 1 + step / self._steps

    def _progress_bar(self, width: int) -> Text:
        from rich.text import Text

        line = Text(f"epoch {self._epoch}/{self._epochs} ", style="bold")
        end = f" {self._step:,}/{self._steps:,} steps"
        room = max(width - len(line) - len(end), 1)
        filled = round(room * self._step / self._steps)
        line.append("━" * filled, style="green").append("━" * (room - filled), style="dim")
        return _fit_line(line.append(end, style="none"), width)

    def _status_lines(self, width: int) -> Iterator[Text]:
        from rich.text import Text

        if self._latest_logs:
            yield Text(sanitize_text(format_metrics(self._latest_logs)))
        parts = [f"best {sanitize_text(self._best_text)}"] if self._best_text else []
        if self._speed:
            parts.append(f"{self._speed:,.0f} examples/s")
        if (left := self._estimate_seconds_left()) is not None:
            parts.append(f"{format_duration(left)} left")
        while len("   ".join(parts)) > width and len(parts) > 1:
            del parts[0]  # the time left is the last one
        yield Text("   ".join(parts), style="dim")
        if (current := find_current_activity(of_display=True)) is not None:
            yield Text(describe_activity(*current, time.monotonic(), width), style="dim")

    def _estimate_seconds_left(self) -> float | None:
        if self._start_point is None:
            return None
        since, at = self._start_point
        done = self._count_finished_epochs(self._epoch, self._step)
        pace = (time.monotonic() - since) / (done - at) if done > at else 0.0
        return pace * (self._epochs - done) if pace else None

    def _chart_lines(self, width: int, height: int) -> Iterator[Text]:
        """Yield a chart of the loss, and one of the first metric if it fits, below a line of names."""
        names = [name for name in (self._curves or self._running_curves) if not name.startswith("val_")]
        if not names:
            return
        shown = names[: 1 if width < _MIN_TWO_CHARTS_WIDTH else 2]
        columns = width // len(shown)
        drawn = [self._draw_metric(name, columns, height) for name in shown]
        for parts in zip(*drawn, strict=True):
            line = parts[0]
            for part in parts[1:]:
                line.append_text(part)
            yield line

    def _draw_metric(self, name: str, columns: int, height: int) -> list[Text]:
        """Return lines of exactly ``columns`` characters: a title, then the training and validation curves."""
        from rich.text import Text

        curves = [
            [*self._curves.get(name, []), *self._running_curves.get(name, [])],
            list(self._curves.get(f"val_{name}", [])),
        ]
        title = Text(sanitize_text(name, limit=columns // 2), style="bold")
        for style, label, curve in zip(_CURVE_COLORS, ("training", "validation"), curves, strict=True):
            if curve:
                title.append("  ").append(label, style=style)
        room = max(columns - _LABEL_WIDTH - 2, 4)
        chart = draw_chart([curve for curve in curves if curve], width=room, height=height)
        lines = [title]
        if chart is not None:
            lines += [_chart_row(chart, index) for index in range(height)]
        else:
            lines += [Text()] * height
        return [_fit_line(line, columns, pad=True) for line in lines]


class FinalCharts:
    """The curves of a training that ended; nothing for fewer than two epochs."""

    def __init__(self, screen: TrainingScreen) -> None:
        self._screen = screen

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        if self._screen.has_curves:
            yield from self._screen.chart_lines(console, options.max_width - 1)


def _chart_row(chart: TerminalChart, index: int) -> Text:
    from rich.text import Text

    label = {0: format_number(chart.high), len(chart.rows) - 1: format_number(chart.low)}.get(index, "")
    line = Text(f"{label:>{_LABEL_WIDTH}} ", style="dim")
    for character, owner in chart.rows[index]:
        line.append(character, style="none" if owner is None else _CURVE_COLORS[owner])
    return line


def _fit_line(line: Text, width: int, *, pad: bool = False) -> Text:
    line = line.copy()
    line.truncate(width, overflow="ellipsis", pad=pad)
    line.no_wrap = True
    return line


def _add_point(curve: list[ChartPoint], point: tuple[float, Any]) -> None:
    """Append a point; remove every second one if there are too many."""
    if isinstance(point[1], (int, float)):
        curve.append(point)
        if len(curve) > _MAX_POINTS:
            del curve[1:-1:2]
