"""Show the progress of several runs of one config."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from layercli.reports.console import make_table
from layercli.reports.formatting import format_duration, format_metrics
from layercli.reports.live_table import LiveTable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from layercli.runs.group_directory import Member
    from layercli.runs.listing import Run


@dataclass(frozen=True, slots=True)
class MemberRow:
    """A run of a group that has started."""

    member: Member
    run: Run
    is_finished: bool


class GroupProgress(LiveTable):
    """A live table of the runs on a terminal; otherwise a line for each finished run.

    Args:
        console: The output.
        is_live: Whether it is a terminal.
        total: The number of runs.
        plural: The word for several runs, such as "folds".
        name_member: A function that returns the name of a run, such as "fold 2 of 5".
        read_results: A function that returns the metrics of a finished run.
    """

    def __init__(
        self,
        console: Console,
        *,
        is_live: bool,
        total: int,
        plural: str,
        name_member: Callable[[Any], str],
        read_results: Callable[[Run], Mapping[str, Any]] = lambda run: run.test,
    ) -> None:
        super().__init__(console, is_live=is_live)
        self._total = total
        self._plural = plural
        self._name_member = name_member
        self._read_results = read_results
        self._reported: set[str] = set()

    def show_members(self, rows: Sequence[MemberRow]) -> None:
        """Show the changes since the last call."""
        if self._live is not None:
            self._draw_table(self._make_progress_table(rows))
        for row in rows:
            name = row.member.directory_name
            if row.is_finished and name not in self._reported:
                self._reported.add(name)
                self._console.print(self._format_member(row), soft_wrap=True)

    def _format_member(self, row: MemberRow) -> str:
        """Return a line such as ``fold 2 of 5  loss 0.1203  accuracy 0.9667  30 epochs  2.1 s``."""
        parts = [self._name_member(row.member), format_metrics(self._read_results(row.run))]
        if row.run.epochs:
            parts.append("1 epoch" if row.run.epochs == 1 else f"{row.run.epochs} epochs")
        if row.run.seconds is not None:
            parts.append(format_duration(row.run.seconds))
        return "  ".join(parts)

    def _make_progress_table(self, rows: Sequence[MemberRow]) -> Table:
        finished = sum(row.is_finished for row in rows)
        done = sum(1.0 if row.is_finished else _estimate_share(row.run) for row in rows)
        left = self._describe_time_left(done, self._total)
        table = make_table(numbers=("epochs",), title=f"{finished} of {self._total} {self._plural}{left}")
        table.add_column("training", no_wrap=True)
        for row in rows:
            if not row.is_finished:
                planned = f" of {row.run.planned_epochs}" if row.run.planned_epochs else ""
                table.add_row(f"{row.run.epochs or 0}{planned}", self._name_member(row.member))
        return table


def _estimate_share(run: Run) -> float:
    """Return how much of a running training is finished, from 0 to 1."""
    return min((run.epochs or 0) / run.planned_epochs, 1.0) if run.planned_epochs else 0.0
