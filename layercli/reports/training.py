"""The result of a training, and the next commands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from layercli.reports.console import make_table
from layercli.reports.formatting import format_count, format_duration, format_number
from layercli.source.nodes import sanitize_text

if TYPE_CHECKING:
    from rich.console import Console

_GAP: Final = 5
"""The space around a column of names."""


def print_training_summary(
    console: Console,
    summary: Mapping[str, Any],
    next_commands: Sequence[str] = (),
    *,
    has_schedule: bool = False,
) -> None:
    """Print the time, why the training ended, the metrics of the saved model, its path, and the next commands.

    Args:
        console: Where to print.
        summary: What ``summary.json`` of the run contains.
        next_commands: The commands that the user may run next.
        has_schedule: Whether a learning-rate schedule needs the last epochs, so that EarlyStopping does not help.
    """
    best, run = summary["best"], summary["run"]
    epochs = "1 epoch" if summary["epochs"] == 1 else f"{summary['epochs']} epochs"
    message = f"Trained {epochs} in {format_duration(summary['seconds'])}, {summary['examples_per_second']:,.0f} examples/s"
    if run is None:  # two steps are not an epoch, and say nothing about speed
        message = f"The smoke test took {format_duration(summary['seconds'])}"
    share = (
        f", {format_count(summary['trainable_parameters'])} of them trainable" if "lora" in summary else ""
    )
    console.print(f"{message}; {format_count(summary['parameters'])} parameters{share}.", soft_wrap=True)
    if reason := summary.get("stop_reason"):
        _print_sentence(console, reason)
    if best and run is not None:
        monitor = best["monitor"]
        console.print(
            f"Best epoch: {best['epoch']} ({monitor} {format_number(best[monitor])})", soft_wrap=True
        )
    if (
        best
        and run is not None
        and summary.get("restored_epoch") is None
        and best["epoch"] != summary["epochs"]
    ):
        advice = (
            "" if has_schedule else "; EarlyStopping with `restore_best_weights: true` keeps the best ones"
        )
        _print_sentence(console, f"The model has the last epoch's weights{advice}.")
    _print_metrics(console, summary)
    for note in summary.get("notes", ()):
        if note != reason:
            _print_sentence(console, note)
    if run is not None:
        console.print(f"Model: {sanitize_text(run)}/model.keras", soft_wrap=True)
    if next_commands:
        console.print("Next:", *(f"  {command}" for command in next_commands), sep="\n", soft_wrap=True)


def _print_metrics(console: Console, summary: Mapping[str, Any]) -> None:
    """Print the metrics of each set, and of a constant prediction next to them."""
    epoch = summary.get("restored_epoch") or summary["epochs"]
    model = {name: values[epoch - 1] for name, values in summary["history"].items()}
    model.pop("learning_rate", None)
    validation = {name.removeprefix("val_"): model[name] for name in model if name.startswith("val_")}
    columns = {"training": model, "validation": validation, "test": summary["test"]}
    columns = {title: values for title, values in columns.items() if values}
    names = [name for name in model or summary["test"] if not name.startswith("val_")]
    baseline = summary.get("baseline") or {}
    if baseline:
        columns[sanitize_text(baseline["predicts"])] = baseline["metrics"]
    if not names:
        return
    from rich.cells import cell_len

    rows = {
        sanitize_text(name): {
            title: _format_cell(values[name]) for title, values in columns.items() if name in values
        }
        for name in names
    }
    table = make_table(numbers=columns)
    for cells in rows.values():
        table.add_row(*(cells.get(title, "") for title in columns))
    longest = max(map(cell_len, ("metric", *rows)))
    if longest + _GAP + console.measure(table).maximum > console.width:
        _print_blocks(console, rows)
    else:
        table = make_table("metric", numbers=columns)
        for name, cells in rows.items():
            table.add_row(name, *(cells.get(title, "") for title in columns))
        console.print(table)
    if baseline:
        _print_sentence(console, f"{baseline['predicts']}: {_describe_baseline(baseline)}")


def _print_blocks(console: Console, rows: Mapping[str, Mapping[str, str]]) -> None:
    """Print each metric on a line, and its values below it, because names do not fit next to their values."""
    console.print()
    for name, cells in rows.items():
        console.print(name, soft_wrap=True)
        values = (f"{title} {' '.join(cell.split())}" for title, cell in cells.items())
        console.print(f"  {'  '.join(values)}", soft_wrap=True)
    console.print()


def _print_sentence(console: Console, text: str) -> None:
    """Print a sentence; wrap it only on a terminal, because other programs read lines."""
    console.print(sanitize_text(text), soft_wrap=not console.is_terminal)


def _describe_baseline(baseline: Mapping[str, Any]) -> str:
    meanings = {
        "majority": "a model that always predicts the frequencies of the training classes",
        "mean": "a model that always predicts the mean of the training targets",
    }
    default = "a model that always predicts the frequencies of the training classes, or the mean of numbers"
    return f"{meanings.get(baseline['predicts'], default)}, on the {baseline['set']} set."


def _format_cell(value: Any) -> str:
    """Return a number, or the values of a metric with a value for each class, one per line."""
    return "\n".join(map(format_number, value)) if isinstance(value, list) else format_number(value)
