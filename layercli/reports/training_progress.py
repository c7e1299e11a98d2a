"""Training progress: a line per epoch, and a live display on a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from layercli.activity import show_activity
from layercli.config.training.custom_objects import NON_METRIC_KEYS
from layercli.config.training.section import TrainSection
from layercli.errors import Problem
from layercli.graph.best_epoch import find_best_epoch
from layercli.reports.formatting import format_duration, format_number
from layercli.reports.live_training import TrainingScreen
from layercli.source.nodes import sanitize_text

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live


class SilentProgress:
    """Progress without output, for callers from Python."""

    def print_message(self, text: str) -> None:
        """Do nothing."""

    def print_detail(self, text: str) -> None:
        """Do nothing."""

    def print_warning(self, problem: Problem) -> None:
        """Do nothing."""

    def start_training(self, counts: tuple[int, ...], train: TrainSection) -> None:
        """Do nothing."""

    def finish_step(self, epoch: int, step: int, logs: Mapping[str, float]) -> None:
        """Do nothing."""

    def finish_epoch(self, record: Mapping[str, Any]) -> None:
        """Do nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


class QuietProgress(SilentProgress):
    """Progress that shows only warnings."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def print_warning(self, problem: Problem) -> None:
        """Print the warning on one line, and its hint on the next."""
        line = f"{problem.location_prefix}warning: {problem.full_message} [{problem.code}]"
        self._console.print(sanitize_text(line), soft_wrap=True)
        if problem.hint:
            self._console.print(f"  fix: {sanitize_text(problem.hint)}", soft_wrap=True)


class TrainingProgress(QuietProgress):
    """Progress that prints each epoch; with ``live``, a live display follows the printed lines.

    ``is_verbose`` also prints how the training is executed.
    """

    def __init__(self, console: Console, *, live: bool, is_verbose: bool = False) -> None:
        super().__init__(console)
        self._is_verbose = is_verbose
        self._train: TrainSection | None = None
        self._best: Mapping[str, Any] = {}
        self._has_header = False
        self._live: Live | None = None
        self._own_display = ExitStack()
        self._screen: TrainingScreen | None = None
        self._wants_live = live

    def print_message(self, text: str) -> None:
        """Print a line."""
        self._console.print(text, soft_wrap=True)

    def print_detail(self, text: str) -> None:
        """Print a line on the execution, if the progress is verbose."""
        if self._is_verbose:
            self.print_message(text)

    def start_training(self, counts: tuple[int, ...], train: TrainSection) -> None:
        """Print the number of examples, and set up the live display."""
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
            self._own_display.enter_context(show_activity(""))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None and self._screen is not None:
            self._live.stop()
            self._own_display.close()
            self._console.print(self._screen.final_charts)

    def finish_step(self, epoch: int, step: int, logs: Mapping[str, float]) -> None:
        """Update the live display."""
        if self._screen is not None:
            self._screen.finish_step(epoch, step, logs)

    def finish_epoch(self, record: Mapping[str, Any]) -> None:
        """Print the epoch as a table row, with a header before the first one."""
        assert self._train is not None
        cells = {"epoch": f"{record['epoch']}/{self._train.epochs}"}
        if "stage" in record:
            cells["stage"] = str(record["stage"])
        cells |= {name: format_number(value) for name, value in record.items() if name not in NON_METRIC_KEYS}
        cells |= {
            "time": format_duration(record["seconds"]),
            "examples/s": f"{record['examples_per_second']:,.0f}",
        }
        widths = {name: max(len(name), _MIN_COLUMN_WIDTH) for name in cells}
        widths["epoch"] = max(len("epoch"), len(f"{self._train.epochs}/{self._train.epochs}"))
        if "stage" in widths:
            widths["stage"] = len("stage")
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
"""Refresh rate of the live display."""
_MIN_COLUMN_WIDTH = 7
"""Smallest width of a column: fits ``12/20``, ``0.1234`` and ``9 m 59 s``."""


def _fit_columns(widths: dict[str, int], room: int) -> dict[str, int]:
    """Return as many columns as fit; the last metrics are dropped first, the losses last."""
    by_priority = sorted(
        widths, key=lambda name: name not in ("epoch", "loss", "val_loss", "time", "examples/s")
    )
    fitting: set[str] = set()
    for name in by_priority:
        if sum(widths[one] + 2 for one in (*fitting, name)) - 2 < room:
            fitting.add(name)
    return {name: width for name, width in widths.items() if name in fitting}
