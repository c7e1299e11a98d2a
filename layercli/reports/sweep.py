"""Show the progress and the results of a sweep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from layercli.reports.console import make_table
from layercli.reports.formatting import format_duration, format_number
from layercli.reports.live_table import LiveTable
from layercli.schema.flow_style import format_value
from layercli.source.nodes import sanitize_text

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

TrialRow = Mapping[str, Any]
_MAX_VALUE_LENGTH = 28
"""Longest value in a table, in characters."""


class SweepProgress(LiveTable):
    """A live table of running and best trials on a terminal; otherwise a line for each finished trial."""

    def __init__(
        self, console: Console, *, is_live: bool, metric: str, is_maximizing: bool, trial_count: int
    ) -> None:
        super().__init__(console, is_live=is_live)
        self._metric = metric
        self._is_maximizing = is_maximizing
        self._trial_count = trial_count
        self._reported_trials: set[int] = set()
        self._is_first_update = True

    def show_trials(self, rows: Sequence[TrialRow]) -> None:
        """Show the changes since the last call."""
        if self._live is not None:
            self._draw_table(self._progress_table(rows))
            return
        for row in rows:
            if row["number"] in self._reported_trials or row["state"] in ("running", "waiting"):
                continue
            self._reported_trials.add(row["number"])
            if not self._is_first_update:  # it has the trials of an earlier start
                self._console.print(self.format_trial(row), soft_wrap=True)
        self._is_first_update = False

    def format_trial(self, row: TrialRow) -> str:
        """Return a line such as ``trial 3  complete  val_accuracy 0.9333  2 epochs  1.2 s  units=16``."""
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
        finished = [row for row in rows if row["state"] not in ("running", "waiting")]
        best = sorted(
            (row for row in finished if row["state"] == "complete"),
            key=lambda row: row["value"],
            reverse=self._is_maximizing,
        )
        max_rows = max(3, self._console.height - 8)
        running = [row for row in rows if row["state"] == "running"][: max_rows // 2]
        title = f"{len(finished)} of {self._trial_count} trials"
        return make_trials_table(
            [*running, *best[: max_rows - len(running)]], self._metric, self._console, title
        )


def make_trials_table(
    rows: Sequence[TrialRow], metric: str, console: Console, title: str | None = None
) -> Table:
    """Return a table with a row for each trial and a column for each parameter that fits the width."""
    names = list(dict.fromkeys(name for row in rows for name in row["params"]))
    table = make_table(numbers=("trial", metric, "epochs"), title=title)
    table.add_column("state", no_wrap=True)
    width_left = console.width - 34 - len(metric)
    shown_names: list[str] = []
    for name in names:
        value_width = max(len(_format_value(row["params"].get(name, ""))) for row in rows)
        header = _distinct_suffix(name, names)
        width_left -= max(len(header), value_width) + 2
        if width_left < 0 and shown_names:
            break
        shown_names.append(name)
        table.add_column(header, justify="right", overflow="ellipsis", no_wrap=True)
    for row in rows:
        cells = [_format_value(row["params"][name]) if name in row["params"] else "" for name in shown_names]
        value = "" if row["value"] is None else format_number(row["value"])
        table.add_row(str(row["number"]), value, str(row["epochs"] or ""), row["state"], *cells)
    return table


def _distinct_suffix(name: str, names: Sequence[str]) -> str:
    """Return the shortest end of a path that no other path has."""
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
    """Print the number of trials, the best ones, the importances and the paths of the results."""
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
