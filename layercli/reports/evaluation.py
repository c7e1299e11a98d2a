"""The results of an evaluation as tables for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from layercli.reports.console import make_table
from layercli.reports.formatting import format_number, format_numbers
from layercli.source.nodes import sanitize_text

if TYPE_CHECKING:
    from rich.console import Console

_MAX_SHOWN_CLASSES: Final = 30
_MAX_SHOWN_LABELS: Final = 5
_UNLIMITED_WIDTH: Final = 1_000_000
_MAX_NAME_LENGTH: Final = 24
_SCORE_TITLES: Final = {"roc_auc": "ROC-AUC", "pr_auc": "PR-AUC", "brier": "Brier score"}


def print_results(console: Console, result: Mapping[str, Any]) -> None:
    """Print the results of each output in a document of ``evaluate --json``."""
    for title, document in result.get("outputs", {"": result}).items():
        if title and document:
            console.print(f"\nOutput {sanitize_text(title, limit=60)}:")
        if "per_class" in document:
            _print_classes(console, document)
        if "scores" in document:
            _print_scores(console, document["scores"])
        if "errors" in document:
            _print_errors(console, document)
        if invalid := document.get("invalid_predictions"):
            console.print(f"{invalid:,} predictions are NaN or infinite; they are left out of these results.")


def _print_classes(console: Console, document: Mapping[str, Any]) -> None:
    rows: Sequence[Mapping[str, Any]] = document["per_class"]
    keys = ["precision", "recall", "f1", *(["iou"] if "iou" in rows[0] else [])]
    table = make_table("class", numbers=[*keys, "positions" if "iou" in keys else "examples"])
    shown = sorted(rows, key=lambda row: row["f1"])[:_MAX_SHOWN_CLASSES] if _has_many(rows) else rows
    for row in shown:
        table.add_row(
            _format_name(row["class"]), *(_format_optional(row[key]) for key in keys), f"{row['support']:,}"
        )
    table.add_section()
    for average in ("macro", "weighted"):
        values = [_format_optional(document[average][key]) for key in ("precision", "recall", "f1")]
        overlap = (
            [_format_optional(document["mean_iou"] if average == "macro" else None)] if "iou" in keys else []
        )
        table.add_row(f"{average} average", *values, *overlap, "")
    console.print(table)
    if _has_many(rows):
        console.print(f"The {len(shown)} of {len(rows):,} classes with the lowest F1.")
    if "baseline" in document:
        console.print(describe_guess(document["baseline"]))
    if naive := document.get("naive_forecast"):
        console.print(
            f"Repeating the last known class would have an accuracy of {_format_optional(naive['accuracy'])}."
        )
    if "confusion" in document:
        _print_confusion(console, document)


def describe_guess(baseline: Mapping[str, Any]) -> str:
    """Return a sentence with the results of a constant prediction of a class, or of several labels."""
    accuracy = _format_optional(baseline["accuracy"])
    if "class" in baseline:
        return f"Always predicting {_quote_name(baseline['class'])} would have an accuracy of {accuracy}."
    labels = baseline["labels"]
    names = ", ".join(map(_quote_name, labels[:_MAX_SHOWN_LABELS]))
    more = f" and {len(labels) - _MAX_SHOWN_LABELS:,} others" if len(labels) > _MAX_SHOWN_LABELS else ""
    guess = f"{names}{more}" if labels else "no label"
    return (
        f"Predicting the more frequent value of each label ({guess}) would have an accuracy of {accuracy} over all labels "
        f"and a macro average F1 of {_format_optional(baseline['f1'])}."
    )


def _has_many(rows: Sequence[Mapping[str, Any]]) -> bool:
    return len(rows) > _MAX_SHOWN_CLASSES


def _print_confusion(console: Console, document: Mapping[str, Any]) -> None:
    """Print the confusion matrix, or the most confused pairs if it is too wide."""
    names = [_format_name(name) for name in document["classes"]]
    table = make_table("true \\ predicted", numbers=names)
    for name, counts in zip(names, document["confusion"], strict=True):
        table.add_row(name, *(f"{count:,}" if count else "·" for count in counts))
    unlimited = console.options.update(max_width=_UNLIMITED_WIDTH)
    if console.measure(table, options=unlimited).maximum <= console.width:
        console.print(table)
        return
    confused = document["most_confused"]
    if not confused:
        return
    support = {row["class"]: row["support"] for row in document["per_class"]}
    table = make_table("true class", "predicted", numbers=["count", "of"])
    for pair in confused:
        table.add_row(
            _format_name(pair["class"]),
            _format_name(pair["predicted"]),
            f"{pair['count']:,}",
            f"{support[pair['class']]:,}",
        )
    console.print("Most confused classes:")
    console.print(table)


def _print_scores(console: Console, scores: Mapping[str, Any]) -> None:
    if scores["roc_auc"] is None:
        console.print("ROC-AUC and PR-AUC are undefined, because only one of the classes occurs.")
    shown = [
        f"{title} {_format_optional(scores[key])}"
        for key, title in _SCORE_TITLES.items()
        if scores.get(key) is not None
    ]
    if shown:
        console.print("  ".join(shown))
    best = scores.get("best_threshold")
    if best is not None:
        console.print(
            f"The threshold {_format_optional(best['threshold'])} has the highest F1: {_format_optional(best['f1'])}."
        )


def _print_errors(console: Console, document: Mapping[str, Any]) -> None:
    errors, baseline, naive = document["errors"], document["baseline"], document.get("naive_forecast")
    table = make_table("error", numbers=["model", "predicting the mean", *(["last value"] if naive else [])])
    sources = (errors, baseline, *([naive] if naive else []))
    rows = [
        (title, [source.get(key) for source in sources]) for key, title in (("mae", "MAE"), ("rmse", "RMSE"))
    ]
    r2 = [source.get("r2") for source in sources]
    quantiles = [
        (f"{percent} % of errors are below", [value, None, *([naive["quantiles"][percent]] if naive else [])])
        for percent, value in errors["quantiles"].items()
    ]
    unit = iter(format_numbers([v for _, values in (*rows, *quantiles) for v in values if v is not None]))
    for title, values in rows:
        table.add_row(title, *("-" if value is None else next(unit) for value in values))
    table.add_row("R2", *map(_format_optional, r2))
    for title, values in quantiles:
        table.add_row(title, *("" if value is None else next(unit) for value in values))
    console.print(table)
    if "per_target" in document:
        _print_targets(console, document["per_target"])


def _print_targets(console: Console, rows: Sequence[Mapping[str, Any]]) -> None:
    """Print the errors of each target."""
    has_naive = "naive_forecast" in rows[0]
    titles = ["MAE", "RMSE", "R2", "MAE of mean", *(["MAE of last"] if has_naive else [])]
    table = make_table("target", numbers=titles)
    for row in rows:
        guesses = [row["baseline"]["mae"], *([row["naive_forecast"]["mae"]] if has_naive else [])]
        mae, rmse, *shown = _format_errors([row["mae"], row["rmse"], *guesses])
        table.add_row(_format_name(row["target"]), mae, rmse, _format_optional(row["r2"]), *shown)
    console.print(table)


def _format_errors(values: Sequence[float | None]) -> list[str]:
    """Return errors in one unit with the same digits."""
    shown = iter(format_numbers([value for value in values if value is not None]))
    return ["-" if value is None else next(shown) for value in values]


def _format_optional(value: float | None) -> str:
    return "-" if value is None else format_number(value)


def _format_name(name: str) -> str:
    return sanitize_text(name, limit=_MAX_NAME_LENGTH)


def _quote_name(name: str) -> str:
    return f'"{_format_name(name)}"'
