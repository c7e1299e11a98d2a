"""Show the progress and the results of a cross-validation."""

from __future__ import annotations

from collections.abc import Mapping
from shlex import quote
from typing import TYPE_CHECKING, Any

from layercli.reports.formatting import format_numbers
from layercli.reports.group_progress import GroupProgress
from layercli.reports.metric_table import print_metrics
from layercli.source.nodes import sanitize_text

if TYPE_CHECKING:
    from rich.console import Console

    from layercli.runs.crossval_directory import Fold


def make_fold_progress(console: Console, *, is_live: bool, total: int, repeats: int) -> GroupProgress:
    """Return the display of the folds of a cross-validation."""

    def name_fold(fold: Fold) -> str:
        name = f"fold {fold.number} of {fold.folds}"
        return name if repeats == 1 else f"repeat {fold.repeat}, {name}"

    return GroupProgress(console, is_live=is_live, total=total, plural="folds", name_member=name_fold)


def print_crossval_summary(console: Console, summary: Mapping[str, Any]) -> None:
    """Print mean, standard deviation and confidence interval of each metric, and the paths of the results."""
    percent = f"{summary['confidence']:.0%} interval"
    rows = {}
    for name, mean in summary["mean"].items():
        shown = format_numbers([mean, summary["std"][name], *summary["interval"][name]])
        rows[sanitize_text(name)] = {
            "mean": shown[0],
            "deviation": shown[1],
            percent: f"{shown[2]} to {shown[3]}",
        }
    print_metrics(console, ["mean", "deviation", percent], rows)
    directory = sanitize_text(summary["directory"])
    console.print(f"{len(summary['folds'])} runs: {directory}", soft_wrap=True)
    predictions = sanitize_text(summary["predictions"])
    console.print(f"Predictions of {summary['examples']:,} examples: {predictions}", soft_wrap=True)


def print_next_commands(console: Console, summary: Mapping[str, Any]) -> None:
    """Print the path of the averaged model, if there is one, and the commands that are useful next."""
    directory = quote(sanitize_text(summary["directory"]))
    commands = [f"layercli report {directory}", f"layercli runs {directory}"]
    if "ensemble" in summary:
        path = sanitize_text(summary["ensemble"])
        console.print(f"Average of the {len(summary['folds'])} models: {path}", soft_wrap=True)
        quoted = quote(path)
        commands += [
            f"layercli predict {quoted} --part train --output predictions.csv",
            f"layercli report {quoted}",
            f"layercli export {quoted} --format keras",
        ]
    console.print("Next:", *(f"  {command}" for command in commands), sep="\n", soft_wrap=True)
