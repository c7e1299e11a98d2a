"""Results for the score of one of two classes: areas under curves, calibration and the best threshold."""

from __future__ import annotations

from typing import Any

import numpy as np

from layercli.data.evaluation.value_counts import ValueCounts
from layercli.data.types import Array


class ScoreResult:
    """Scores of the examples of two classes; ``is_probability`` is false for scores without bounds."""

    def __init__(self, *, is_probability: bool) -> None:
        self._is_probability = is_probability
        self._scores = (ValueCounts(), ValueCounts())
        self._squared_error = 0.0

    def add(self, true: Array, scores: Array) -> None:
        """Add a boolean array and the scores of the same shape."""
        for is_second, counts in enumerate(self._scores):
            counts.add(scores[true == bool(is_second)])
        self._squared_error += float(np.square(scores.astype(np.float64) - true).sum())

    @property
    def counts(self) -> tuple[ValueCounts, ValueCounts]:
        """The scores of the examples of each class."""
        return self._scores

    def to_json(self) -> dict[str, Any]:
        """Return the results as ``sklearn.metrics`` computes them; None if only one of the classes occurs."""
        first, second = self._scores
        count = int(first.counts.sum() + second.counts.sum())
        document: dict[str, Any] = {"roc_auc": None, "pr_auc": None}
        if self._is_probability:
            document["brier"] = self._squared_error / count
        if len(first.values) and len(second.values):
            from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

            true = np.concatenate([np.zeros(len(first.values), int), np.ones(len(second.values), int)])
            scores = np.concatenate([first.values, second.values])
            weights = np.concatenate([first.counts, second.counts])
            document["roc_auc"] = float(roc_auc_score(true, scores, sample_weight=weights))
            document["pr_auc"] = float(average_precision_score(true, scores, sample_weight=weights))
            precision, recall, thresholds = precision_recall_curve(true, scores, sample_weight=weights)
            total = precision + recall
            f1 = np.divide(2 * precision * recall, total, out=np.zeros_like(total), where=total > 0)[:-1]
            document["best_threshold"] = {
                "threshold": float(thresholds[f1.argmax()]),
                "f1": float(f1.max()),
            }
        digits = min(first.binary_digits, second.binary_digits)
        if not (first.is_exact and second.is_exact):
            document["rounded_to_binary_digits"] = digits
        return document
