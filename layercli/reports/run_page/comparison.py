"""Several runs next to each other: curves, results, and the values of their configs that differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from layercli.page.html import Column, Markup, join_markup, make_element, make_table
from layercli.reports.formatting import format_count, format_duration, format_number
from layercli.reports.run_page.content import RunContent
from layercli.reports.run_page.folds import make_folds
from layercli.reports.run_page.seeds import make_seeds
from layercli.reports.run_page.training import draw_curves, list_curve_metrics
from layercli.runs.query import find_config_differences
from layercli.source.nodes import sanitize_text
from layercli.source.scalars import is_number

_MAX_CHARTS: Final = 6
_MAX_LINES: Final = 8
"""Runs whose curves are drawn together; each has a color."""
_MAX_DIFFERENCES: Final = 100


def make_comparison(contents: Sequence[RunContent]) -> Markup:
    """Return the results, the curves and the differences of runs."""
    return join_markup(
        [
            make_folds(contents),
            make_seeds(contents),
            _make_result_table(contents),
            _draw_all_curves(contents),
            _make_difference_table(contents),
        ]
    )


def _make_result_table(contents: Sequence[RunContent]) -> Markup:
    rows: dict[str, list[str]] = {
        "state": [content.run.state for content in contents],
        "epochs": [format_count(content.run.epochs) for content in contents],
        "parameters": [format_count(content.run.parameters) for content in contents],
        "time": [
            "?" if content.run.seconds is None else format_duration(content.run.seconds)
            for content in contents
        ],
        "best epoch": [_format_value(content.run.best.get("epoch")) for content in contents],
    }
    names = list(dict.fromkeys(name for content in contents for name in content.run.best))
    for name in names:
        if name not in ("epoch", "monitor"):
            rows[f"{name} (best epoch)"] = [_format_value(content.run.best.get(name)) for content in contents]
    splits = {content.evaluation.split for content in contents if content.evaluation}
    metrics = dict.fromkeys(
        name for content in contents if content.evaluation for name in content.evaluation.metrics
    )
    for name in metrics:
        title = f"{name} ({' or '.join(sorted(splits))} set)"
        rows[title] = [
            _format_value(content.evaluation.metrics.get(name)) if content.evaluation else ""
            for content in contents
        ]
    for title, values in _list_results(contents).items():
        rows[title] = [_format_value(value) for value in values]
    columns = [Column(""), *(Column(content.title, is_number=True) for content in contents)]
    table = make_table(
        columns, [[sanitize_text(name, limit=60), *cells] for name, cells in rows.items()], label="Results"
    )
    parts = [make_element("h2", "Results", id="results"), table]
    kinds = [
        tuple(output.kind.kind for output in content.evaluation.outputs) if content.evaluation else None
        for content in contents
    ]
    if len({kind for kind in kinds if kind is not None}) > 1:
        text = "The runs predict different kinds of targets, so their results cannot be compared."
        parts.append(make_element("p", text, class_="notice"))
    # The split depends on the seed and the fold, so only runs that have the same ones can have the same examples.
    examples = {
        (str(content.manifest.get("seed")), _find_fold(content), content.manifest["data"]["fingerprint"])
        for content in contents
        if content.manifest
    }
    if len(examples) > len({(seed, fold) for seed, fold, _ in examples}):
        text = "The runs were not trained on the same examples: the fingerprints of their data differ."
        parts.append(make_element("p", text, class_="notice"))
    return join_markup(parts)


def _find_fold(content: RunContent) -> str:
    """Return the fold of a run, as its config names it."""
    return str([content.run.config.get(f"data.split.fold.{key}") for key in ("number", "folds", "repeat")])


def _list_results(contents: Sequence[RunContent]) -> dict[str, list[Any]]:
    """Return results beyond the metrics, for runs with one output each."""
    documents = [
        content.evaluation.outputs[0].document
        if content.evaluation and len(content.evaluation.outputs) == 1
        else {}
        for content in contents
    ]
    errors = [
        content.evaluation.outputs[0].calibration_error
        if content.evaluation and len(content.evaluation.outputs) == 1
        else None
        for content in contents
    ]
    found: dict[str, list[Any]] = {
        "macro F1": [document.get("macro", {}).get("f1") for document in documents],
        "ROC-AUC": [document.get("scores", {}).get("roc_auc") for document in documents],
        "PR-AUC": [document.get("scores", {}).get("pr_auc") for document in documents],
        "MAE": [document.get("errors", {}).get("mae") for document in documents],
        "RMSE": [document.get("errors", {}).get("rmse") for document in documents],
        "R2": [document.get("errors", {}).get("r2") for document in documents],
        "calibration error": errors,
        "accuracy of a guess": [document.get("baseline", {}).get("accuracy") for document in documents],
    }
    return {title: values for title, values in found.items() if any(value is not None for value in values)}


def _draw_all_curves(contents: Sequence[RunContent]) -> Markup:
    runs = [(content.title, content.history) for content in contents if content.history]
    metrics = list_curve_metrics([history for _, history in runs])
    if not metrics:
        return Markup()
    charts = [draw_curves(metric, runs[:_MAX_LINES]) for metric in metrics[:_MAX_CHARTS]]
    parts = [
        make_element("h2", "Learning curves", id="curves"),
        make_element("div", *charts, class_="charts"),
    ]
    if len(runs) > _MAX_LINES:
        parts.append(
            make_element("p", f"The curves of the first {_MAX_LINES} runs are shown.", class_="muted")
        )
    return join_markup(parts)


def _make_difference_table(contents: Sequence[RunContent]) -> Markup:
    differences = find_config_differences([content.run for content in contents])
    heading = make_element("h2", "Differences of the configs", id="differences")
    if not differences:
        return join_markup([heading, make_element("p", "Their configs are the same.")])
    columns = [Column("key"), *(Column(content.title) for content in contents)]
    rows = [
        [sanitize_text(key, limit=80), *(_format_setting(value) for value in values)]
        for key, values in list(differences.items())[:_MAX_DIFFERENCES]
    ]
    parts = [heading, make_table(columns, rows, label="Differences of the configs")]
    if len(differences) > _MAX_DIFFERENCES:
        parts.append(
            make_element("p", f"{len(differences) - _MAX_DIFFERENCES:,} more values differ.", class_="muted")
        )
    return join_markup(parts)


def _format_value(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return format_count(value)
    if is_number(value) or isinstance(value, list):
        return format_number(value)
    return ""


def _format_setting(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else sanitize_text(str(value), limit=80)
