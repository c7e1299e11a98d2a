"""What came of a training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from layercli.reports.numbers import duration
from layercli.reports.progress import metrics, number

if TYPE_CHECKING:
    from rich.console import Console


def print_outcome(console: Console, summary: Mapping[str, Any]) -> None:
    """The best epoch, the result on the test split, and where it all is."""
    best, test = summary["best"], summary["test"]
    epochs = "1 epoch" if summary["epochs"] == 1 else f"{summary['epochs']} epochs"
    console.print(
        f"Trained {epochs} in {duration(summary['seconds'])}, "
        f"{summary['examples_per_second']:,.0f} examples/s.",
        soft_wrap=True,
    )
    if best:
        watched = best["monitor"]
        console.print(f"Best epoch: {best['epoch']} ({watched} {number(best[watched])})", soft_wrap=True)
    if test:
        console.print(f"Test: {metrics(test)}", soft_wrap=True)
    console.print(f"Model: {summary['run']}/model.keras", soft_wrap=True)
