"""Curves over the thresholds of scores of two classes, from counts of their values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from layercli.data.evaluation.value_counts import ValueCounts
from layercli.data.types import Array

_MAX_POINTS: Final = 200
"""Points of a curve that are kept; a picture shows no more."""
THRESHOLDS: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass(frozen=True, slots=True)
class ScoreCurves:
    """The ROC curve and the precision-recall curve, each as its points."""

    false_positive_rate: list[float]
    true_positive_rate: list[float]
    roc_auc: float
    recall: list[float]
    precision: list[float]
    pr_auc: float
    share: float
    """Share of the examples in the second class: the precision of a guess."""


@dataclass(frozen=True, slots=True)
class ThresholdRow:
    """Results if every score above a threshold is the second class."""

    threshold: float
    precision: float
    recall: float
    f1: float
    accuracy: float
    positives: int
    """Examples with a higher score."""


def compute_score_curves(first: ValueCounts, second: ValueCounts) -> ScoreCurves | None:
    """Return the curves of the scores of two classes; None if only one of them occurs."""
    if not len(first.values) or not len(second.values):
        return None
    from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score, roc_curve

    true = np.concatenate([np.zeros(len(first.values), int), np.ones(len(second.values), int)])
    scores = np.concatenate([first.values, second.values])
    weights = np.concatenate([first.counts, second.counts])
    false_positive_rate, true_positive_rate, _ = roc_curve(true, scores, sample_weight=weights)
    precision, recall, _ = precision_recall_curve(true, scores, sample_weight=weights)
    x_roc, y_roc = _reduce_points(np.stack([false_positive_rate, true_positive_rate])).tolist()
    x_pr, y_pr = _reduce_points(np.stack([recall[::-1], precision[::-1]])).tolist()
    return ScoreCurves(
        x_roc,
        y_roc,
        float(roc_auc_score(true, scores, sample_weight=weights)),
        x_pr,
        y_pr,
        float(average_precision_score(true, scores, sample_weight=weights)),
        float(second.counts.sum() / weights.sum()),
    )


def compute_threshold_rows(
    first: ValueCounts, second: ValueCounts, *, best_threshold: float | None = None
) -> list[ThresholdRow]:
    """Return the results of two classes for some thresholds of their scores, in ascending order.

    A score above a threshold is the second class, as for the model's own 0.5; ``best_threshold`` includes scores that are
    equal to it, as in ``sklearn.metrics.precision_recall_curve``.
    """
    rows = []
    class_counts = (first, second)
    negatives, true_count = (int(counts.counts.sum()) for counts in class_counts)
    for threshold in sorted({*THRESHOLDS, *([] if best_threshold is None else [best_threshold])}):
        false_positives, true_positives = (
            int(
                counts.counts[
                    counts.values >= threshold if threshold == best_threshold else counts.values > threshold
                ].sum()
            )
            for counts in class_counts
        )
        positives = true_positives + false_positives
        total = negatives + true_count
        rows.append(
            ThresholdRow(
                threshold,
                true_positives / positives if positives else 0.0,
                true_positives / true_count if true_count else 0.0,
                2 * true_positives / (positives + true_count) if positives + true_count else 0.0,
                (true_positives + negatives - false_positives) / total if total else 0.0,
                positives,
            )
        )
    return rows


def _reduce_points(points: Array) -> Array:
    """Return points of a curve of shape (2, points): those at equal distances along it, with the first and the last."""
    if points.shape[1] <= _MAX_POINTS:
        return points
    steps = np.abs(np.diff(points, axis=1)).sum(0)
    places = np.concatenate([[0.0], np.cumsum(steps)])
    wanted = np.linspace(0, places[-1], _MAX_POINTS)
    thinned: Array = points[:, np.unique(np.searchsorted(places, wanted))]
    return thinned
