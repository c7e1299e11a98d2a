"""The result of a training, and the next commands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from layercli.reports.formatting import format_count, format_duration, format_number, format_numbers
from layercli.reports.metric_table import print_metrics
from layercli.source.nodes import sanitize_text

if TYPE_CHECKING:
    from rich.console import Console


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
    rows = {
        sanitize_text(name): dict(
            zip(titles, _format_cells([columns[title][name] for title in titles]), strict=True)
        )
        for name in names
        if (titles := [title for title, values in columns.items() if name in values])
    }
    print_metrics(console, list(columns), rows)
    if baseline:
        _print_sentence(console, f"{baseline['predicts']}: {_describe_baseline(baseline)}")


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


def _format_cells(values: Sequence[Any]) -> list[str]:
    """Return numbers, or the values of a metric with a value for each class, one per line."""
    if any(isinstance(value, list) for value in values):
        return ["\n".join(format_numbers(value if isinstance(value, list) else [value])) for value in values]
    return format_numbers(values)
