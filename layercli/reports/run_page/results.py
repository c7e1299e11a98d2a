"""The results of an evaluation: metrics, confusion, classes, curves, calibration, thresholds and residuals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from layercli.page.charts import Chart, Series, draw_lines, draw_points
from layercli.page.html import (
    Column,
    Markup,
    join_markup,
    make_details,
    make_element,
    make_scroll_area,
    make_table,
)
from layercli.reports.evaluation import describe_guess
from layercli.reports.formatting import format_number
from layercli.reports.run_page.content import EvaluationContent, OutputContent, RunContent
from layercli.reports.run_page.summary import SET_TITLES
from layercli.source.nodes import sanitize_text

_MAX_MATRIX_CLASSES: Final = 30
_MAX_SHOWN_CLASSES: Final = 60
_MAX_NAME_LENGTH: Final = 40
_MARGIN: Final = 0.04
"""The margin of the axes of points, as a share of the range of their values."""
_LARGEST: Final = 1e90


def make_results(content: RunContent) -> Markup:
    """Return the metrics, and for each output what fits its target."""
    evaluation = content.evaluation
    if evaluation is None:
        return Markup()
    outputs = [
        join_markup(
            [*([make_element("h3", f"Output {output.title}")] if output.title else []), make_output(output)]
        )
        for output in evaluation.outputs
    ]
    notes = [make_element("p", note, class_="notice") for note in evaluation.notes]
    return join_markup([_make_metrics(evaluation), *outputs, *notes])


def _make_metrics(evaluation: EvaluationContent) -> Markup:
    name = SET_TITLES[evaluation.split]
    text = (
        f"All results on this page were computed on the {evaluation.examples:,} examples of the {name} set."
    )
    rows = [[sanitize_text(key), format_number(value)] for key, value in evaluation.metrics.items()]
    columns = [Column("metric"), Column(name, is_number=True)]
    return join_markup([make_element("p", text), make_table(columns, rows, label="Metrics")])


def make_output(output: OutputContent) -> Markup:
    """Return the results of one output."""
    document, parts = output.document, []
    if "errors" in document:
        parts.append(_make_errors(document))
    if "per_class" in document:
        if "confusion" in document:
            parts.append(_make_confusion(document))
        parts.append(_make_confused_pairs(document))
        parts.append(_make_class_table(document))
    charts = [*_draw_curves(output), *_draw_calibration(output), *_draw_residuals(output)]
    if charts:
        parts.append(make_element("div", *charts, class_="charts"))
    if output.thresholds:
        parts.append(_make_threshold_table(output))
    if not parts:
        parts.append(make_element("p", "No results are computed for this kind of target."))
    return join_markup(parts)


def _make_errors(document: Mapping[str, Any]) -> Markup:
    """Return the errors of the model next to those of the mean, and of the last known value of a series."""
    errors, baseline, naive = document["errors"], document.get("baseline", {}), document.get("naive_forecast")
    titles = {"mae": "MAE (mean absolute error)", "rmse": "RMSE (root mean squared error)", "r2": "R2"}
    rows = [
        [
            title,
            _format_optional(errors.get(key)),
            _format_optional(baseline.get(key)),
            *([_format_optional(naive.get(key))] if naive else []),
        ]
        for key, title in titles.items()
    ]
    rows += [
        [
            f"{percent} % of the errors are below",
            _format_optional(value),
            "",
            *([_format_optional(naive["quantiles"].get(percent))] if naive else []),
        ]
        for percent, value in errors["quantiles"].items()
    ]
    guesses = ["predicting the mean", *(["repeating the last value"] if naive else [])]
    columns = [Column("error"), *(Column(title, is_number=True) for title in ("model", *guesses))]
    parts = [make_table(columns, rows, label="Errors")]
    if "per_target" in document:
        parts.append(_make_target_table(document["per_target"]))
    return join_markup(parts)


def _make_target_table(rows: Sequence[Mapping[str, Any]]) -> Markup:
    """Return the errors of each of several numbers."""
    cells = [
        [
            _shorten_name(row["target"]),
            *(_format_optional(row[key]) for key in ("mae", "rmse", "r2")),
            _format_optional(row["baseline"]["mae"]),
            *([_format_optional(row["naive_forecast"]["mae"])] if "naive_forecast" in row else []),
        ]
        for row in rows[:_MAX_SHOWN_CLASSES]
    ]
    titles = [
        "MAE",
        "RMSE",
        "R2",
        "MAE of the mean",
        *(["MAE of the last value"] if "naive_forecast" in rows[0] else []),
    ]
    columns = [Column("target"), *(Column(title, is_number=True) for title in titles)]
    return join_markup(
        [make_element("h3", "Each target"), make_table(columns, cells, label="Errors of each target")]
    )


def _format_optional(value: float | None) -> str:
    return "-" if value is None else format_number(value)


def _make_confusion(document: Mapping[str, Any]) -> Markup:
    """Return the confusion matrix as a table with shaded cells; only its most confused classes if there are many."""
    names, counts = document["classes"], document["confusion"]
    chosen = list(range(len(names)))
    note = "Rows are the true classes, columns the predicted ones."
    shading = make_element("span", " A darker cell has a larger share of its row.", class_="drawn")
    if len(names) > _MAX_MATRIX_CLASSES:
        wrong = [
            sum(row) - row[index] + sum(other[index] for other in counts) - row[index]
            for index, row in enumerate(counts)
        ]
        chosen = sorted(sorted(chosen, key=lambda index: -wrong[index])[:_MAX_MATRIX_CLASSES])
        note += f" These are the {len(chosen)} of {len(names):,} classes with the most mistakes."
    head = [make_element("th", "true \\ predicted", scope="col")]
    head += [
        make_element("th", _shorten_name(names[index]), scope="col", title=names[index]) for index in chosen
    ]
    rows = []
    for index in chosen:
        total = sum(counts[index]) or 1
        cells = [make_element("th", _shorten_name(names[index]), scope="row", title=names[index])]
        for other in chosen:
            count = counts[index][other]
            cells.append(
                make_element(
                    "td",
                    f"{count:,}" if count else "·",
                    style=f"--share: {count / total:.3f}",
                    class_="diagonal" if index == other else None,
                    title=f"{_shorten_name(names[index])} predicted as {_shorten_name(names[other])}: {count:,} of {total:,}",
                )
            )
        rows.append(make_element("tr", *cells))
    table = make_element(
        "table",
        make_element("thead", make_element("tr", *head)),
        make_element("tbody", *rows),
        class_="matrix",
    )
    return join_markup(
        [
            make_element("h3", "Which classes it confuses"),
            make_element("p", note, shading, class_="muted"),
            make_scroll_area(table, label="Confusion matrix"),
        ]
    )


def _make_confused_pairs(document: Mapping[str, Any]) -> Markup:
    pairs = document.get("most_confused")
    if not pairs:
        return Markup()
    support = {row["class"]: row["support"] for row in document["per_class"]}
    rows = [
        [
            _shorten_name(pair["class"]),
            _shorten_name(pair["predicted"]),
            f"{pair['count']:,}",
            f"{support[pair['class']]:,}",
        ]
        for pair in pairs
    ]
    columns = [
        Column("true class"),
        Column("predicted"),
        Column("count", is_number=True),
        Column("of", is_number=True),
    ]
    return make_details(
        "The most frequent mistakes",
        make_table(columns, rows, label="Most confused classes"),
        class_="printed",
    )


def _make_class_table(document: Mapping[str, Any]) -> Markup:
    """Return precision, recall and F1 of each class; if there are many classes, only for those with the lowest F1."""
    rows = document["per_class"]
    has_overlap = bool(rows) and "iou" in rows[0]
    shown = (
        sorted(rows, key=lambda row: row["f1"])[:_MAX_SHOWN_CLASSES]
        if len(rows) > _MAX_SHOWN_CLASSES
        else rows
    )
    keys = ["precision", "recall", "f1", *(["iou"] if has_overlap else [])]
    cells = [
        [_shorten_name(row["class"]), *(_format_optional(row[key]) for key in keys), f"{row['support']:,}"]
        for row in shown
    ]
    for average in ("macro", "weighted"):
        values = [_format_optional(document[average][key]) for key in ("precision", "recall", "f1")]
        overlap = (
            [_format_optional(document["mean_iou"]) if average == "macro" else ""] if has_overlap else []
        )
        cells.append([f"{average} average", *values, *overlap, ""])
    titles = {"precision": "precision", "recall": "recall", "f1": "F1", "iou": "IoU"}
    columns = [
        Column("class"),
        *(Column(titles[key], is_number=True) for key in keys),
        Column("positions" if has_overlap else "examples", is_number=True),
    ]
    parts = [make_element("h3", "Each class"), make_table(columns, cells, label="Results of each class")]
    if len(shown) < len(rows):
        note = f"These are the {len(shown)} of {len(rows):,} classes with the lowest F1."
        parts.append(make_element("p", note, class_="muted"))
    baseline = document.get("baseline")
    if baseline:
        parts.append(make_element("p", describe_guess(baseline)))
    return join_markup(parts)


def _draw_curves(output: OutputContent) -> Sequence[Markup]:
    """Return the ROC and the precision-recall curves."""
    named = list(output.class_curves)
    if output.curves is not None:
        named = [("model", output.curves)]
    if not named:
        return []
    is_one = output.curves is not None
    note = None if is_one else "Each class against all others."
    roc = [
        Series(
            f"{name} (area {curve.roc_auc:.3f})",
            curve.false_positive_rate,
            curve.true_positive_rate,
            index % 8,
            index // 8,
        )
        for index, (name, curve) in enumerate(named)
    ]
    pr = [
        Series(f"{name} (area {curve.pr_auc:.3f})", curve.recall, curve.precision, index % 8, index // 8)
        for index, (name, curve) in enumerate(named)
    ]
    area = f"The area under it is {named[0][1].roc_auc:.4f}." if is_one else "Each class has a line."
    pr_area = f"The average precision is {named[0][1].pr_auc:.4f}." if is_one else "Each class has a line."
    share = (
        f"The share of the second class is {named[0][1].share:.3f}: the precision of a guess."
        if is_one
        else note
    )
    return [
        draw_lines(
            Chart(
                "ROC curve",
                f"True positive rate against false positive rate. {area} The diagonal is the result of guessing.",
                "false positive rate",
                "true positive rate",
                roc,
                note=f"{area} The diagonal is the result of guessing." if is_one else note,
                x_range=(0, 1),
                y_range=(0, 1.02),
                has_diagonal=True,
            )
        ),
        draw_lines(
            Chart(
                "Precision-recall curve",
                f"Precision against recall. {pr_area}",
                "recall",
                "precision",
                pr,
                note=f"{pr_area} {share}" if is_one else note,
                x_range=(0, 1),
                y_range=(0, 1.02),
            )
        ),
    ]


def _draw_calibration(output: OutputContent) -> Sequence[Markup]:
    rows = output.calibration
    if not rows or output.calibration_error is None:
        return []
    subject = "the second class" if output.kind.kind == "two" else "the predicted class"
    from layercli.data.evaluation.calibration import BINS  # imports numpy

    error = f"Expected calibration error {output.calibration_error:.4f}, over {BINS} bins of the probability of {subject}."
    series = Series("model", [row.predicted for row in rows], [row.observed for row in rows], 0, 0, "o")
    chart = draw_lines(
        Chart(
            "Calibration",
            f"How often the predicted class occurs, for each predicted probability. {error} On the diagonal both are equal.",
            "predicted probability",
            "observed frequency",
            [series],
            note=f"{error} Below the diagonal the model is overconfident.",
            x_range=(0, 1),
            y_range=(0, 1.02),
            has_diagonal=True,
        )
    )
    cells = [
        [f"{row.low:.1f} to {row.high:.1f}", f"{row.count:,}", f"{row.predicted:.3f}", f"{row.observed:.3f}"]
        for row in rows
    ]
    columns = [
        Column("probability"),
        *(Column(title, is_number=True) for title in ("predictions", "mean predicted", "observed")),
    ]
    table = make_details("Bins", make_table(columns, cells, label="Bins of the calibration"))
    return [make_element("div", chart, table)]


def _draw_residuals(output: OutputContent) -> Sequence[Markup]:
    if not output.pairs:
        return []
    predicted = [pair[0] for pair in output.pairs]
    residuals = [pair[0] - pair[1] for pair in output.pairs]
    true = [pair[1] for pair in output.pairs]
    note = f"{len(output.pairs):,} points, drawn at random from all predictions."
    both, largest = _find_range([*true, *predicted]), max(map(abs, residuals), default=0.0)
    return [
        draw_points(
            Chart(
                "Prediction and target",
                "Each point is a prediction. On the diagonal it is exact.",
                "target",
                "prediction",
                [Series("", true, predicted)],
                note=note,
                x_range=both,
                y_range=both,
                has_diagonal=True,
            )
        ),
        draw_points(
            Chart(
                "Residuals",
                "The error of each prediction: prediction minus target. A pattern means that the model misses something.",
                "prediction",
                "prediction minus target",
                [Series("", predicted, residuals, 1)],
                x_range=_find_range(predicted),
                y_range=_find_range([-largest, largest]),
                note="Prediction minus target. A slope, a curve or a funnel means that the model misses something.",
                marked_y=0.0,
            )
        ),
    ]


def _find_range(values: Sequence[float]) -> tuple[float, float] | None:
    """Return the range of an axis that shows these values with a margin; None if they are too large to draw."""
    low, high = min(values), max(values)
    margin = _MARGIN * (high - low) or _MARGIN * abs(high) or 1.0
    return (low - margin, high + margin) if low > -_LARGEST and high < _LARGEST else None


def _make_threshold_table(output: OutputContent) -> Markup:
    best = output.document.get("scores", {}).get("best_threshold")
    names = output.document.get("classes", ("0", "1"))
    rows = []
    for row in output.thresholds:
        is_best = best is not None and row.threshold == best["threshold"]
        title = f"{format_number(row.threshold)} (highest F1)" if is_best else f"{row.threshold:.1f}"
        rows.append(
            [
                title,
                *(f"{value:.4f}" for value in (row.precision, row.recall, row.f1, row.accuracy)),
                f"{row.positives:,}",
            ]
        )
    columns = [
        Column("threshold"),
        *(Column(title, is_number=True) for title in ("precision", "recall", "F1", "accuracy", "predicted")),
    ]
    note = (
        f"The results if {_quote_name(names[-1])} is predicted from this probability on. The model uses 0.5."
    )
    return join_markup(
        [
            make_element("h3", "Thresholds"),
            make_element("p", note, class_="muted"),
            make_table(columns, rows, label="Results for each threshold"),
        ]
    )


def _shorten_name(name: str) -> str:
    return sanitize_text(name, limit=_MAX_NAME_LENGTH)


def _quote_name(name: str) -> str:
    return f'"{_shorten_name(name)}"'
