"""The result of a training, and the next commands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from layercli.reports.console import make_table
from layercli.reports.formatting import format_count, format_duration, format_number
from layercli.source.nodes import sanitize_text

if TYPE_CHECKING:
    from rich.console import Console


def print_training_summary(console: Console, summary: Mapping[str, Any]) -> None:
    """Print the time, the metrics of the saved model, its path, and the next commands."""
    best, test, run = summary["best"], summary["test"], sanitize_text(summary["run"])
    epochs = "1 epoch" if summary["epochs"] == 1 else f"{summary['epochs']} epochs"
    message = f"Trained {epochs} in {format_duration(summary['seconds'])}, {summary['examples_per_second']:,.0f} examples/s"
    console.print(f"{message}; {format_count(summary['parameters'])} parameters.", soft_wrap=True)
    if best:
        monitor = best["monitor"]
        console.print(
            f"Best epoch: {best['epoch']} ({monitor} {format_number(best[monitor])})", soft_wrap=True
        )
    restored_epoch = summary.get("restored_epoch")
    if best and restored_epoch is None and best["epoch"] != summary["epochs"]:
        message = "The model has the last epoch's weights; EarlyStopping with `restore_best_weights: true` keeps the best ones."
        console.print(message, soft_wrap=True)
    model = {
        name: values[(restored_epoch or summary["epochs"]) - 1] for name, values in summary["history"].items()
    }
    model.pop("learning_rate", None)
    validation = {name.removeprefix("val_"): model[name] for name in model if name.startswith("val_")}
    parts = {"training": model, "validation": validation, "test": test}
    parts = {title: values for title, values in parts.items() if values}
    names = [name for name in model or test if not name.startswith("val_")]
    if names:
        table = make_table("metric", numbers=parts)
        for name in names:
            table.add_row(
                sanitize_text(name),
                *(_format_cell(values[name]) if name in values else "" for values in parts.values()),
            )
        console.print(table)
    for note in summary.get("notes", ()):
        console.print(sanitize_text(note))
    console.print(f"Model: {run}/model.keras", soft_wrap=True)
    console.print(
        "Next:",
        *(f"  layercli {command.format(run)}" for command in _NEXT_COMMANDS[0 if test else 1 :]),
        sep="\n",
        soft_wrap=True,
    )


_NEXT_COMMANDS = (
    "evaluate {}",
    "report {}",
    "predict {} --input FILE --output predictions.csv",
    "export {} --format onnx",
)
"""The next commands; the first needs a test set."""


def _format_cell(value: Any) -> str:
    """Return a number, or the values of a metric with a value for each class, one per line."""
    return "\n".join(map(format_number, value)) if isinstance(value, list) else format_number(value)
