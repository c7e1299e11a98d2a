"""A sweep as it goes, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from layercli.reports.formatting import format_duration, format_number
from layercli.schema.strict_model import format_value
from layercli.source.nodes import sanitize_text

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live
    from rich.table import Table

TrialRow = Mapping[str, Any]
_MAX_VALUE_LENGTH = 28
"""Characters of a value that a table shows."""


class SweepProgress:
    """A table of running and best trials on a terminal; elsewhere a line for each trial that has ended."""

    def __init__(
        self, console: Console, *, live: bool, metric: str, maximizes: bool, trial_count: int
    ) -> None:
        self._console = console
        self._wants_live = live
        self._metric = metric
        self._maximizes = maximizes
        self._trial_count = trial_count
        self._live: Live | None = None
        self._reported_trials: set[int] = set()
        self._is_first_update = True

    def __enter__(self) -> Self:
        if self._wants_live:
            from rich.live import Live

            self._live = Live(console=self._console, refresh_per_second=4, transient=True)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def show_trials(self, rows: Sequence[TrialRow]) -> None:
        """Show what is new."""
        if self._live is not None:
            self._live.update(self._progress_table(rows))
            return
        for row in rows:
            if row["number"] in self._reported_trials or row["state"] in ("running", "waiting"):
                continue
            self._reported_trials.add(row["number"])
            if not self._is_first_update:  # what an earlier start has finished was told then
                self._console.print(self.format_trial(row), soft_wrap=True)
        self._is_first_update = False

    def format_trial(self, row: TrialRow) -> str:
        """``trial 3  complete  val_accuracy 0.9333  2 epochs  1.2 s  units=16``."""
        parts = [f"trial {row['number']}", row["state"]]
        if row["value"] is not None:
            parts.append(f"{self._metric} {format_number(row['value'])}")
        if row["epochs"]:
            parts.append("1 epoch" if row["epochs"] == 1 else f"{row['epochs']} epochs")
        if row["seconds"] is not None:
            parts.append(format_duration(row["seconds"]))
        names = [*row["params"]]
        parts += [
            f"{_distinct_suffix(name, names)}={_format_value(value)}" for name, value in row["params"].items()
        ]
        return "  ".join(parts) + (f"\n  {sanitize_text(row['problem'])}" if row["problem"] else "")

    def _progress_table(self, rows: Sequence[TrialRow]) -> Table:
        ended = [row for row in rows if row["state"] not in ("running", "waiting")]
        best = sorted(
            (row for row in ended if row["state"] == "complete"),
            key=lambda row: row["value"],
            reverse=self._maximizes,
        )
        room = max(3, self._console.height - 8)
        running = [row for row in rows if row["state"] == "running"][: room // 2]
        title = f"{len(ended)} of {self._trial_count} trials"
        return make_trials_table([*running, *best[: room - len(running)]], self._metric, self._console, title)


def make_trials_table(
    rows: Sequence[TrialRow], metric: str, console: Console, title: str | None = None
) -> Table:
    """A row for each trial, a column for each parameter that there is room for."""
    from rich import box
    from rich.table import Table

    names = list(dict.fromkeys(name for row in rows for name in row["params"]))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1), title=title, title_justify="left")
    for head in ("trial", metric, "epochs"):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("state", no_wrap=True)
    room = console.width - 34 - len(metric)
    shown: list[str] = []
    for name in names:
        widest = max(len(_format_value(row["params"].get(name, ""))) for row in rows)
        head = _distinct_suffix(name, names)
        room -= max(len(head), widest) + 2
        if room < 0 and shown:
            break
        shown.append(name)
        table.add_column(head, justify="right", overflow="ellipsis", no_wrap=True)
    for row in rows:
        cells = [_format_value(row["params"][name]) if name in row["params"] else "" for name in shown]
        value = "" if row["value"] is None else format_number(row["value"])
        table.add_row(str(row["number"]), value, str(row["epochs"] or ""), row["state"], *cells)
    return table


def _distinct_suffix(name: str, names: Sequence[str]) -> str:
    """The end of a path that tells it from the others."""
    steps = name.split(".")
    for length in range(1, len(steps) + 1):
        end = ".".join(steps[-length:])
        if sum(other == end or other.endswith(f".{end}") for other in names) == 1:
            return sanitize_text(end)
    return sanitize_text(name)


def _format_value(value: Any) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else format_value(value)
    return sanitize_text(text, limit=_MAX_VALUE_LENGTH)


def print_sweep_summary(console: Console, summary: Mapping[str, Any]) -> None:
    """How many trials, the best one, what mattered, and where it all is."""
    states = [row["state"] for row in summary["trials"]]
    counts = ", ".join(
        f"{states.count(state)} {state}"
        for state in ("complete", "pruned", "failed", "running", "waiting")
        if state in states
    )
    console.print(f"{len(states)} trials: {counts}.", soft_wrap=True)
    best = summary["best"]
    if best is None:
        return
    complete = [row for row in summary["trials"] if row["state"] == "complete"]
    is_descending = summary["direction"] == "maximize"
    ranked = sorted(complete, key=lambda row: row["value"], reverse=is_descending)[:5]
    console.print(make_trials_table(ranked, summary["metric"], console))
    if summary["importances"]:
        shares = "  ".join(
            f"{sanitize_text(name)} {share:.0%}" for name, share in summary["importances"].items()
        )
        console.print(f"Importance: {shares}", soft_wrap=True)
    console.print(
        f"Best: trial {best['number']}, {summary['metric']} {format_number(best['value'])} in epoch {best['best_epoch']}",
        soft_wrap=True,
    )
    if best["run"]:
        console.print(f"Run: {best['run']}", soft_wrap=True)
    console.print(f"Config: {summary['config']}", soft_wrap=True)
    console.print(f"Plots: {summary['report']}", soft_wrap=True)
