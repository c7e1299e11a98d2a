"""Show the progress and the results of a sweep."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby, zip_longest
from typing import TYPE_CHECKING, Any

from layercli.config.sweep.section import STATIC_METRICS
from layercli.reports.console import make_table
from layercli.reports.formatting import count_noun, format_count, format_duration, format_number
from layercli.reports.live_table import LiveTable
from layercli.schema.flow_style import format_value
from layercli.source.nodes import sanitize_text
from layercli.sweep.ranking import TrialRow, count_refused, rank_rows

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_MAX_VALUE_LENGTH = 28
"""Longest value in a table, in characters."""
_UNLIMITED_WIDTH = 1000
_MIN_SHOWN, _MAX_SHOWN = 5, 20
"""Numbers of trials in the table of a finished sweep."""


class SweepProgress(LiveTable):
    """A live table of running and best trials on a terminal; otherwise a line for each finished trial."""

    def __init__(
        self,
        console: Console,
        *,
        is_live: bool,
        metrics: Sequence[str],
        maximize: Sequence[bool],
        trial_count: int,
    ) -> None:
        super().__init__(console, is_live=is_live)
        self._metrics = metrics
        self._maximize = maximize
        self._trial_count = trial_count
        self._reported_trials: set[int] = set()
        self._is_first_update = True

    def show_trials(self, rows: Sequence[TrialRow]) -> None:
        """Show the changes since the last call."""
        if self._live is not None:
            self._draw_table(self._progress_table(rows))
            return
        new = [
            row
            for row in rows
            if row["number"] not in self._reported_trials and row["state"] not in ("running", "waiting")
        ]
        self._reported_trials.update(row["number"] for row in new)
        if not self._is_first_update:  # it has the trials of an earlier start
            for line in self._list_lines(new):
                self._console.print(line, soft_wrap=True)
        self._is_first_update = False

    def _list_lines(self, new: Sequence[TrialRow]) -> Iterator[str]:
        """Yield a line for each finished trial, and one for several refused trials in a row."""
        for is_refused, group in groupby(new, key=lambda row: row["state"] == "refused"):
            rows = list(group)
            if is_refused and len(rows) > 1:
                span = f"trials {rows[0]['number']} to {rows[-1]['number']}"
                yield f"{span}  refused  {describe_refused(rows)}"
            else:
                yield from map(self.format_trial, rows)

    def format_trial(self, row: TrialRow) -> str:
        """Return a line such as ``trial 3  complete  val_accuracy 0.9333  2 epochs  1.2 s  units=16``."""
        parts = [f"trial {row['number']}", row["state"]]
        parts += [
            f"{metric} {_format_objective(metric, value)}"
            for metric, value in zip(self._metrics, row["values"], strict=False)
            if value is not None
        ]
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
        finished = [row for row in rows if row["state"] not in ("running", "waiting", "refused")]
        best = rank_rows(rows, self._maximize)
        max_rows = max(3, self._console.height - 8)
        running = [row for row in rows if row["state"] == "running"][: max_rows // 2]
        refused = [row for row in rows if row["state"] == "refused"]
        left = self._describe_time_left(len(finished), self._trial_count)
        title = f"{len(finished)} of {self._trial_count} trials{left}"
        if refused:
            title += f"; refused: {describe_refused(refused)}"
        return make_trials_table(
            [*running, *best[: max_rows - len(running)]], self._metrics, self._console, title
        )


def describe_refused(rows: Sequence[TrialRow]) -> str:
    """Return how many trials exceed each limit: ``parameters 12, flops 3``."""
    return ", ".join(f"{limit} {count:,}" for limit, count in count_refused(rows).items())


def make_trials_table(
    rows: Sequence[TrialRow], metrics: Sequence[str], console: Console, title: str | None = None
) -> Table:
    """Return a table with a row for each trial and a column for each parameter that fits the width."""
    names, shown_names = _list_parameters(rows), choose_parameters(rows, metrics, console)
    table = make_table(numbers=("trial", *metrics, "epochs"), title=title)
    table.add_column("state", no_wrap=True)
    for name in shown_names:
        table.add_column(_distinct_suffix(name, names), justify="right", overflow="ellipsis", no_wrap=True)
    for row in rows:
        cells = [_format_value(row["params"][name]) if name in row["params"] else "" for name in shown_names]
        values = [
            "" if value is None else _format_objective(metric, value)
            for metric, value in zip_longest(metrics, row["values"])
        ]
        table.add_row(str(row["number"]), *values, str(row["epochs"] or ""), row["state"], *cells)
    return table


def _list_parameters(rows: Sequence[TrialRow]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row["params"]))


def choose_parameters(rows: Sequence[TrialRow], metrics: Sequence[str], console: Console) -> list[str]:
    """Return the parameters whose columns fit the width of a terminal, at least one; elsewhere all."""
    names = _list_parameters(rows)
    width_left = console.width - 32 - sum(max(len(metric), 6) + 2 for metric in metrics)
    shown: list[str] = []
    for name in names:
        value_width = max(len(_format_value(row["params"].get(name, ""))) for row in rows)
        width_left -= max(len(_distinct_suffix(name, names)), value_width) + 2
        if width_left < 0 and shown and console.is_terminal:
            break
        shown.append(name)
    return shown


def _print_trials(console: Console, rows: Sequence[TrialRow], metrics: Sequence[str]) -> None:
    """Print a table of trials, and the parameters that do not fit; elsewhere than on a terminal, all fit."""
    table = make_trials_table(rows, metrics, console)
    width = console.width
    console.width = width if console.is_terminal else _UNLIMITED_WIDTH
    console.print(table)
    console.width = width
    names = _list_parameters(rows)
    hidden = names[len(choose_parameters(rows, metrics, console)) :]
    if hidden:
        listed = ", ".join(_distinct_suffix(name, names) for name in hidden)
        console.print(
            f"Not shown: {listed}. A wider terminal shows them, and `layercli runs` does.", style="dim"
        )


def _distinct_suffix(name: str, names: Sequence[str]) -> str:
    """Return the shortest end of a path that no other path has."""
    steps = name.split(".")
    for length in range(1, len(steps) + 1):
        end = ".".join(steps[-length:])
        if sum(other == end or other.endswith(f".{end}") for other in names) == 1:
            return sanitize_text(end)
    return sanitize_text(name)


def _format_objective(metric: str, value: float) -> str:
    return format_count(int(value)) if metric in STATIC_METRICS else format_number(value)


def _format_value(value: Any) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else format_value(value)
    return sanitize_text(text, limit=_MAX_VALUE_LENGTH)


def print_sweep_summary(console: Console, summary: Mapping[str, Any]) -> None:
    """Print the number of trials, the best ones, the importances and the paths of the results."""
    states = [row["state"] for row in summary["trials"]]
    counts = ", ".join(
        f"{states.count(state)} {state}"
        for state in ("complete", "pruned", "failed", "refused", "running", "waiting")
        if state in states
    )
    console.print(f"{count_noun(len(states), 'trial')}: {counts}.", soft_wrap=True)
    if summary["refused"]:
        console.print(f"Refused by limit: {describe_refused(summary['trials'])}.", soft_wrap=True)
    best, objectives = summary["best"], summary["objectives"]
    metrics = [objective["metric"] for objective in objectives]
    ranked = rank_rows(summary["trials"], [x["direction"] == "maximize" for x in objectives])
    shown = ranked[: max(_MIN_SHOWN, min(len(summary["pareto"]), _MAX_SHOWN))]
    _print_trials(console, shown, metrics)
    if summary["pareto"]:
        numbers = ", ".join(map(str, summary["pareto"][:_MAX_SHOWN]))
        more = len(summary["pareto"]) - _MAX_SHOWN
        console.print(
            f"Pareto set: trials {numbers}" + (f" and {more} more" if more > 0 else ""), soft_wrap=True
        )
    if summary["importances"]:
        shares = "  ".join(
            f"{sanitize_text(name)} {share:.0%}" for name, share in summary["importances"].items()
        )
        console.print(f"Importance: {shares}", soft_wrap=True)
    value = _format_objective(summary["metric"], best["value"])
    console.print(
        f"Best: trial {best['number']}, {summary['metric']} {value} in epoch {best['best_epoch']}",
        soft_wrap=True,
    )
    if best["run"]:
        console.print(f"Run: {best['run']}", soft_wrap=True)
    console.print(f"Config: {summary['config']}", soft_wrap=True)
    console.print(f"Plots: {summary['report']}", soft_wrap=True)
