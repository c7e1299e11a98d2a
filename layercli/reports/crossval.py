"""Show the progress and the results of a cross-validation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from layercli.reports.console import make_table
from layercli.reports.formatting import format_duration, format_metrics, format_number
from layercli.reports.live_table import LiveTable
from layercli.source.nodes import sanitize_text

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from layercli.runs.crossval_directory import Fold
    from layercli.runs.listing import Run


@dataclass(frozen=True, slots=True)
class FoldRow:
    """A fold that has started."""

    fold: Fold
    run: Run
    is_finished: bool


class CrossvalProgress(LiveTable):
    """A live table of the folds on a terminal; otherwise a line for each finished fold."""

    def __init__(self, console: Console, *, is_live: bool, total: int, repeats: int) -> None:
        super().__init__(console, is_live=is_live)
        self._total = total
        self._repeats = repeats
        self._reported: set[str] = set()

    def show_folds(self, rows: Sequence[FoldRow]) -> None:
        """Show the changes since the last call."""
        if self._live is not None:
            self._draw_table(self._make_progress_table(rows))
        for row in rows:
            name = row.fold.directory_name
            if row.is_finished and name not in self._reported:
                self._reported.add(name)
                self._console.print(self._format_fold(row), soft_wrap=True)

    def _format_fold(self, row: FoldRow) -> str:
        """Return a line such as ``fold 2 of 5  loss 0.1203  accuracy 0.9667  30 epochs  2.1 s``."""
        parts = [self._name_fold(row.fold), format_metrics(row.run.test)]
        if row.run.epochs:
            parts.append("1 epoch" if row.run.epochs == 1 else f"{row.run.epochs} epochs")
        if row.run.seconds is not None:
            parts.append(format_duration(row.run.seconds))
        return "  ".join(parts)

    def _name_fold(self, fold: Fold) -> str:
        name = f"fold {fold.number} of {fold.folds}"
        return name if self._repeats == 1 else f"repeat {fold.repeat}, {name}"

    def _make_progress_table(self, rows: Sequence[FoldRow]) -> Table:
        finished = sum(row.is_finished for row in rows)
        table = make_table(numbers=("epochs",), title=f"{finished} of {self._total} folds")
        table.add_column("training", no_wrap=True)
        for row in rows:
            if not row.is_finished:
                planned = f" of {row.run.planned_epochs}" if row.run.planned_epochs else ""
                table.add_row(f"{row.run.epochs or 0}{planned}", self._name_fold(row.fold))
        return table


def print_crossval_summary(console: Console, summary: Mapping[str, Any]) -> None:
    """Print mean, standard deviation and confidence interval of each metric, and the paths of the results."""
    percent = f"{summary['confidence']:.0%} interval"
    table = make_table("metric", numbers=("mean", "deviation", percent))
    for name, mean in summary["mean"].items():
        low, high = summary["interval"][name]
        deviation = format_number(summary["std"][name])
        interval = f"{format_number(low)} to {format_number(high)}"
        table.add_row(sanitize_text(name), format_number(mean), deviation, interval)
    console.print(table)
    directory = sanitize_text(summary["directory"])
    console.print(f"{len(summary['folds'])} runs: {directory}", soft_wrap=True)
    predictions = sanitize_text(summary["predictions"])
    console.print(f"Predictions of {summary['examples']:,} examples: {predictions}", soft_wrap=True)


def print_next_commands(console: Console, summary: Mapping[str, Any]) -> None:
    """Print the path of the averaged model, if there is one, and the commands that are useful next."""
    commands = [f"layercli runs {sanitize_text(summary['directory'])}"]
    if "ensemble" in summary:
        path = sanitize_text(summary["ensemble"])
        console.print(f"Average of the {len(summary['folds'])} models: {path}", soft_wrap=True)
        commands += [
            f"layercli predict {path} --part train --output predictions.csv",
            f"layercli report {path}",
            f"layercli export {path} --format keras",
        ]
    console.print("Next:", *(f"  {command}" for command in commands), sep="\n", soft_wrap=True)
