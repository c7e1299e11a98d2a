"""How training goes: a line an epoch, and on a terminal a live screen below."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from layercli.config.training.metrics import NON_METRIC_KEYS
from layercli.config.training.section import TrainSection
from layercli.errors import Problem
from layercli.graph.checks.monitors import find_best_epoch
from layercli.reports.formatting import format_duration, format_number
from layercli.reports.live_training import TrainingScreen

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live


class SilentProgress:
    """Shows nothing: for callers from Python."""

    def print_message(self, text: str) -> None:
        """Nothing."""

    def print_warning(self, problem: Problem) -> None:
        """Nothing."""

    def start_training(self, counts: tuple[int, ...], train: TrainSection) -> None:
        """Nothing."""

    def finish_step(self, epoch: int, step: int, logs: Mapping[str, float]) -> None:
        """Nothing."""

    def finish_epoch(self, record: Mapping[str, Any]) -> None:
        """Nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


class QuietProgress(SilentProgress):
    """Tells of warnings alone."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def print_warning(self, problem: Problem) -> None:
        """Print it as a line."""
        line = f"{problem.location_prefix}warning: {problem.full_message} [{problem.code}]"
        self._console.print(line, soft_wrap=True)


class TrainingProgress(QuietProgress):
    """Shows epochs as they come; ``live`` draws the running training below them."""

    def __init__(self, console: Console, *, live: bool) -> None:
        super().__init__(console)
        self._train: TrainSection | None = None
        self._best: Mapping[str, Any] = {}
        self._has_header = False
        self._live: Live | None = None
        self._screen: TrainingScreen | None = None
        self._wants_live = live

    def print_message(self, text: str) -> None:
        """Print a line."""
        self._console.print(text, soft_wrap=True)

    def start_training(self, counts: tuple[int, ...], train: TrainSection) -> None:
        """Say what there is to train on, and remember how long the way is."""
        self._train = train
        examples, validation, test = counts
        steps = -(-examples // train.batch_size)
        self.print_message(
            f"{examples:,} examples to train on, {validation:,} to validate, {test:,} to test; "
            f"{steps:,} steps an epoch."
        )
        if self._wants_live:
            from rich.live import Live

            self._screen = TrainingScreen(epochs=train.epochs, steps=steps, batch_size=train.batch_size)
            self._live = Live(
                self._screen,
                console=self._console,
                refresh_per_second=_FRAMES_PER_SECOND,
                transient=True,
                vertical_overflow="crop",
            )

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def finish_step(self, epoch: int, step: int, logs: Mapping[str, float]) -> None:
        """Tell the screen, if there is one."""
        if self._screen is not None:
            self._screen.finish_step(epoch, step, logs)

    def finish_epoch(self, record: Mapping[str, Any]) -> None:
        """Print the finished epoch as a row of a table; its head comes before the first."""
        assert self._train is not None
        cells = {"epoch": f"{record['epoch']}/{self._train.epochs}"}
        cells |= {name: format_number(value) for name, value in record.items() if name not in NON_METRIC_KEYS}
        cells |= {
            "time": format_duration(record["seconds"]),
            "examples/s": f"{record['examples_per_second']:,.0f}",
        }
        widths = {name: max(len(name), _MIN_COLUMN_WIDTH) for name in cells}
        if self._screen is not None:
            widths = _fit_columns(widths, self._console.width)
            best = find_best_epoch([self._best, record] if self._best else [record], self._train)
            if best and best["epoch"] == record["epoch"]:
                self._best = record
            self._screen.finish_epoch(record, best)
        if not self._has_header:
            self._has_header = True
            self.print_message("  ".join(name.rjust(width) for name, width in widths.items()))
        self.print_message("  ".join(cells[name].rjust(width) for name, width in widths.items()))


_FRAMES_PER_SECOND = 5
"""How often the screen is drawn in a second."""
_MIN_COLUMN_WIDTH = 7
"""Width of a column whose name is shorter: room for ``12/20``, ``0.1234`` and ``9 m 59 s``."""


def _fit_columns(widths: dict[str, int], room: int) -> dict[str, int]:
    """As many columns as fit beside one another; the last metrics are left out first, the losses last."""
    by_priority = sorted(
        widths, key=lambda name: name not in ("epoch", "loss", "val_loss", "time", "examples/s")
    )
    fitting: set[str] = set()
    for name in by_priority:
        if sum(widths[one] + 2 for one in (*fitting, name)) - 2 < room:
            fitting.add(name)
    return {name: width for name, width in widths.items() if name in fitting}
